# SPDX-License-Identifier: Apache-2.0
"""Segmentation without a model: objects on a support, parted by depth and paint.

What it sees: things that stand on a nearly horizontal plane (a table, a shelf, the floor of a
bin) within the rig's workspace. What it cannot see: nouns beyond the vocabulary of `words`,
writing, materials. Clusters that hang in the air or come in over the workspace's side (the
robot) are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_perception.attributes import measure, ObjectAttributes
from flow_manip_perception.clusters import ClusterConfig, find_clusters
from flow_manip_perception.foreground import find_foreground, height_threshold, make_view, View
from flow_manip_perception.grounding import Grounder, GroundingConfig
from flow_manip_perception.hanging import standing_objects
from flow_manip_perception.stacked import part_stacked
from flow_manip_perception.support_plane import fit_support_plane, SupportPlane
from flow_manip_perception.words import parse_phrase


class TabletopSegmenter:
    """Finds objects by support plane, clusters and words. Keeps nothing between calls."""

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            min_height: above the support that counts as an object [m].
            min_contrast: of paint that counts as an object, in spreads of the support's paint.
            max_tilt: of the support against horizontal [rad].
            max_height_error: of the support against the rig's `support_height` [m].
            min_support: share of the workspace's points that must lie on the support.
            min_pixels: smaller clusters are dropped.
            jump: between neighbouring pixels that parts clusters [m].
            min_score: a match must have.
            clear_ratio: the second best must stay below this share of the best.
        """

        min_height: float = field(default=0.004, metadata={'doc': 'Height of an object [m]'})
        min_contrast: float = field(default=1.0, metadata={'doc': 'Paint step of an object'})
        max_tilt: float = field(default=0.2, metadata={'doc': 'Tilt of the support [rad]'})
        max_height_error: float = field(
            default=0.1, metadata={'doc': "Support against the rig's support_height [m]"}
        )
        min_support: float = field(default=0.1, metadata={'doc': 'Share of points on the support'})
        min_pixels: int = field(default=40, metadata={'doc': 'Smaller clusters are dropped'})
        jump: float = field(default=0.01, metadata={'doc': 'Depth step between objects [m]'})
        min_score: float = field(default=0.25, metadata={'doc': 'Smallest score of a match'})
        clear_ratio: float = field(
            default=0.7, metadata={'doc': 'Second best over best that is still clear'}
        )

    def __init__(self, config: Config, context: Context) -> None:
        """Keep the parameters and the rig's workspace."""
        self._config = config
        self._rig = context.rig
        self._clusters = ClusterConfig(jump=config.jump, min_pixels=config.min_pixels)
        self._grounding = GroundingConfig(
            min_score=config.min_score, clear_ratio=config.clear_ratio
        )
        # One goal asks several questions about one image; finding the objects is most of the work.
        self._last: tuple[Observation, tuple[View, list[ObjectAttributes]]] | None = None

    def segment(self, observation: Observation, phrase: str) -> Mask:
        """Return the one object that `phrase` names.

        'table', 'floor' and the like give the support itself.

        Raises:
            ObjectAbsentError: nothing fits; the message lists what is seen.
            ObjectAmbiguousError: several fit equally well; the message names them and where they
                are.
            NoSupportError: no plane that objects stand on was found.
            PhraseNotUnderstoodError: the words do not name an object.
        """
        words = parse_phrase(phrase)
        view, objects = self.find_objects(observation)
        if words.noun == 'support':
            return self._support_mask(view, objects, words.text)
        grounder = Grounder(view, objects, self._grounding)
        index, score = grounder.choose(words)
        return Mask(objects[index].mask, words.text, score)

    def describe(self, observation: Observation) -> list[str]:
        """Return colour and kind of every object, e.g. ['red cube', 'white plate'].

        Raises:
            NoSupportError: no plane that objects stand on was found.
        """
        view, objects = self.find_objects(observation)
        return Grounder(view, objects, self._grounding).names()

    def find_objects(self, observation: Observation) -> tuple[View, list[ObjectAttributes]]:
        """Return the view and the measured objects in it, nearest to the image's left first.

        Raises:
            NoSupportError: no plane that objects stand on was found.
        """
        if self._last is None or not _same_view(self._last[0], observation):
            self._last = (observation, self._find(observation))
        return self._last[1]

    def _find(self, observation: Observation) -> tuple[View, list[ObjectAttributes]]:
        points = observation.points_world()
        view = make_view(observation, points, self._fit(points), self._rig.workspace)
        foreground = find_foreground(view, self._config.min_height, self._config.min_contrast)
        label = part_stacked(view, find_clusters(view, foreground, self._clusters))
        objects = []
        for number in standing_objects(view, label, foreground):
            found = measure(view, _tidy(label, number))
            if found is not None:
                objects.append(found)
        objects.sort(key=lambda o: float(o.center @ view.right))
        return view, objects

    def _fit(self, points: NDArray) -> SupportPlane:
        """Fit the support to what is measured in the workspace."""
        workspace = self._rig.workspace
        lower = np.array(workspace.lower)
        lower[2] = min(lower[2], self._rig.support_height - self._config.max_height_error)
        with np.errstate(invalid='ignore'):
            inside = ((points >= lower) & (points <= np.array(workspace.upper))).all(axis=-1)
        return fit_support_plane(
            points[inside],
            self._rig.support_height,
            max_tilt=self._config.max_tilt,
            max_height_error=self._config.max_height_error,
            min_fraction=self._config.min_support,
        )

    def _support_mask(self, view: View, objects: list[ObjectAttributes], label: str) -> Mask:
        """Return the pixels of the support that are free."""
        limit = height_threshold(view, self._config.min_height)
        with np.errstate(invalid='ignore'):
            pixels = view.inside & (np.abs(view.heights) < limit)
        for o in objects:
            pixels &= ~o.mask
        if not pixels.any():
            raise InvalidInputError('nothing of the support is free')
        return Mask(pixels, label, 1.0)


def _same_view(a: Observation, b: Observation) -> bool:
    """Say whether two observations show the same, down to the last pixel."""
    return a is b or (
        a.camera == b.camera
        and np.array_equal(a.T_world_camera, b.T_world_camera)
        and np.array_equal(a.depth, b.depth, equal_nan=True)
        and np.array_equal(a.color, b.color)
    )


def _tidy(label: NDArray[np.int32], number: int) -> NDArray[np.bool_]:
    """Return an object's mask with pin holes filled, its neighbours' pixels left alone."""
    mask = (label == number).astype(np.uint8)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    return closed & ((label == number) | (label == 0))
