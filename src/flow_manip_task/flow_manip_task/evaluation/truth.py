# SPDX-License-Identifier: Apache-2.0
"""The truth of a simulated trial in the place of segmenter, generator and selector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    CancelledError,
    InvalidInputError,
    ObjectAbsentError,
    TooFewPointsError,
)
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import invert_transform
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks import ReferenceMotion, TaskStep
from flow_manip_task.checking import head_noun_phrase
from flow_manip_task.evaluation.flow_sources import disturb, DREAM, NOISY, SourceSpec
from flow_manip_task.stages import Cancelled, OnDropped, Progress, Stages

NUM_POINTS = 256
MIN_POINTS = 8
STREAM = 0x666C  # keeps the errors apart from what else a trial's seed draws


@dataclass(frozen=True)
class OnlyChoice:
    """The ranking of one flow that is given, not chosen; see `stages.Ranking`."""

    scores: Sequence[float] = (1.0,)
    vetoes: Sequence[str] = ('',)
    order: Sequence[int] = (0,)
    note: str = ''


class TruthSource:
    """Gives a step of a task its mask and its flow from the simulator's state.

    A second attempt asks again: the reference then starts where the object lies by then.
    """

    def __init__(
        self,
        cell: SimulatedCell,
        spec: SourceSpec,
        on_bodies: Callable[[tuple[str, ...]], None] = lambda bodies: None,
    ) -> None:
        """Tell the truth.

        Args:
            cell: whose.
            spec: 'oracle' or 'noisy'.
            on_bodies: told the bodies of every flow: what moves, then what the words refer to.
        """
        self._cell, self._spec, self._on_bodies = cell, spec, on_bodies
        self._step: TaskStep | None = None
        self._index = 0
        self._references: dict[str, None] = {}

    def take(self, step: TaskStep, index: int = 0) -> None:
        """Go on to a step of a task; two steps of a trial have different errors."""
        self._step, self._index = step, index
        self._references.clear()

    def in_place_of(self, stages: Stages) -> Stages:
        """Return the pipeline's stages with this in the place of what sees and imagines.

        Of a dream it tells the masks alone.
        """
        if self._spec.kind == DREAM:
            return replace(stages, segment=self.segment)
        return replace(stages, segment=self.segment, imagine=self.imagine, select=self.select)

    @property
    def step(self) -> TaskStep:
        """The present step.

        Raises:
            InvalidInputError: none was taken.
        """
        if self._step is None:
            raise InvalidInputError('the source has no step of a task to tell the truth about')
        return self._step

    def segment(self, observation: Observation, phrase: str, *, cancelled: Cancelled) -> Mask:
        """Return the true pixels of what moves, or of the body whose name has the phrase's words.

        Where a phrase names no body ('square hole'): all pixels that do not show what moves.

        Raises:
            ObjectAbsentError: what moves is out of sight.
        """
        _stop_if(cancelled, 'segmenting')
        if phrase in (self.step.object, head_noun_phrase(self.step.object)):
            return replace(self._visible(self.step.body), label=phrase)
        body = body_named(self._cell.body_names, phrase)
        if body is None:
            return Mask(~self._visible(self.step.body).pixels, phrase)
        self._references[body] = None
        return replace(self._visible(body), label=phrase)

    def _visible(self, body: str) -> Mask:
        try:
            return self._cell.true_mask(body)
        except InvalidInputError as error:
            raise ObjectAbsentError(f"'{body}' is out of sight: {error}") from error

    def imagine(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        *,
        goal_image: NDArray[np.uint8] | None,
        seed: int,
        on_progress: Progress,
        on_dropped: OnDropped,
        cancelled: Cancelled,
    ) -> list[ObjectFlow]:
        """Carry points of the visible surface along the reference motion from where it is now.

        The flow has the reference's contact, which a planner may take as a hint.

        Raises:
            TooFewPointsError: too little of it is visible.
        """
        _stop_if(cancelled, 'imagining')
        self._on_bodies((self.step.body, *self._references))
        rng = np.random.default_rng([STREAM, seed, self._index])
        reference = self.step.reference_motion(self._cell)
        points = surface_points(observation, masks[0], rng)
        flow = replace(
            reference_flow(points, reference),
            frame_id=observation.frame_id,
            object=self.step.object,
            source=self._spec.text,
            stamp=observation.stamp,
            contact=reference.contact,
        )
        return [disturb(flow, self._spec, rng) if self._spec.kind == NOISY else flow]

    def select(
        self,
        observation: Observation,
        instruction: str,
        mask: Mask,
        candidates: Sequence[ObjectFlow],
        *,
        cancelled: Cancelled,
    ) -> OnlyChoice:
        """Take the only candidate."""
        return OnlyChoice()


def body_named(bodies: Sequence[str], phrase: str) -> str | None:
    """Return the body whose name is the phrase, else the only one that has all of its words."""
    words = set(phrase.lower().split()) - {'the', 'a', 'an'}
    having = [body for body in bodies if words and words <= set(body.split('_'))]
    exact = [body for body in having if set(body.split('_')) == words]
    found = exact or having
    return found[0] if len(found) == 1 else None


def surface_points(
    observation: Observation, mask: Mask, rng: np.random.Generator, count: int = NUM_POINTS
) -> NDArray[np.float64]:
    """Draw at most `count` of the (N, 3) world points that the camera sees of the mask [m].

    Raises:
        TooFewPointsError: fewer than `MIN_POINTS` have depth.
    """
    points = mask.points(observation)
    if len(points) < MIN_POINTS:
        raise TooFewPointsError(
            f"{len(points)} points of '{mask.label}' are visible, {MIN_POINTS} are needed"
        )
    if len(points) <= count:
        return points
    return points[np.sort(rng.choice(len(points), count, replace=False))]


def reference_flow(points: NDArray[np.float64], reference: ReferenceMotion) -> ObjectFlow:
    """Carry (N, 3) points, seen where the reference starts, along it; all certain."""
    poses = np.asarray(reference.poses)
    times = np.asarray(reference.times, dtype=np.float64)
    moves = poses @ invert_transform(poses[0])
    return flow_from_transforms(points, moves, times - times[0], contact=reference.contact)


def _stop_if(cancelled: Cancelled, doing: str) -> None:
    if cancelled():
        raise CancelledError(f'cancelled before {doing}')
