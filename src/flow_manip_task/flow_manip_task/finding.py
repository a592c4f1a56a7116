# SPDX-License-Identifier: Apache-2.0
"""Finding an object again, by its words or by its colour where it should be."""

from __future__ import annotations

from collections.abc import Callable
import re

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow_manip_core.errors import (
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
)
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import transform_points

MIN_POINTS = 25
NEAR = 0.015  # [m] from a predicted point: this is the surface that was meant

# Where a noun phrase stops describing the object and begins to say where it was.
PLACE_WORDS = re.compile(
    r'\s+(?:(?:that|which)\s+(?:is|are)\s+)?(?:to\s+the\s+(?:left|right)\s+of|(?:on\s+the\s+)?(?:left|right)\s+of|'
    r'in\s+front\s+of|next\s+to|close\s+to|behind|beside|near|between|inside|under|below|above|on|in|at|from|by)\b.*$',
    re.IGNORECASE,
)


def head_noun_phrase(phrase: str) -> str:
    """Drop where the object *was*: 'red cube left of the bowl' is somewhere else once moved."""
    return PLACE_WORDS.sub('', phrase).strip() or phrase


def find_by_color(
    expected: NDArray[np.float64],
    before: Observation,
    mask: Mask,
    after: Observation,
    radius: float,
    color_distance: float,
) -> Mask | None:
    """Find the patch of the object's colour that lies nearest to where the object should be.

    Of the connected patches within `radius` of the predicted points, the one with most pixels at
    the points themselves; where none is at them, the largest.

    Args:
        expected: (N, 3) points of the object where it should be [m].
        before: shows the object under `mask`.
        mask: of the object in `before`.
        after: to look in.
        radius: how far around the predicted points [m].
        color_distance: largest distance from the object's colour (CIE Lab, brightness times 0.4).

    Returns:
        A mask with score 0.5, None where nothing is alike.
    """
    points = after.points_world()
    lower, upper = expected.min(axis=0) - radius, expected.max(axis=0) + radius
    near = ((points >= lower) & (points <= upper)).all(axis=-1)
    wanted = np.median(lab(before.color)[mask.pixels], axis=0)
    alike = near & (np.linalg.norm(lab(after.color) - wanted, axis=-1) < color_distance)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(alike.astype(np.uint8))
    if count < 2:
        return None
    distance, _ = cKDTree(expected).query(points[alike], distance_upper_bound=NEAR)
    meant = np.bincount(labels[alike][np.isfinite(distance)], minlength=count)[1:]
    sizes = meant if meant.any() else stats[1:, cv2.CC_STAT_AREA]
    return Mask(labels == 1 + int(np.argmax(sizes)), mask.label, 0.5)


def find_tracked(
    known: tuple[Observation, Mask],
    motion: NDArray[np.float64],
    observation: Observation,
    by_words: Callable[[], Mask],
    radius: float,
    color_distance: float,
) -> Mask:
    """Find an object that was tracked from an earlier look.

    Its words count where they find something at the tracked place; where they find nothing, or
    something elsewhere, the patch of its colour at that place does.

    Args:
        known: the earlier look and the object in it.
        motion: (4, 4) of the object since then, in the world.
        observation: to look in.
        by_words: finds it by its words.
        radius: how far around the predicted points it may be [m].
        color_distance: as in `find_by_color`.

    Raises:
        ObjectAbsentError, ObjectAmbiguousError, PhraseNotUnderstoodError: of `by_words`, where
            there is nothing of its colour at the tracked place either.
    """
    before, mask = known
    points = mask.points(before)
    expected = transform_points(motion, points)
    # Its hidden sides reach as far beyond its seen ones, hardly farther: alike things are near.
    radius = min(radius, 0.5 * float(np.linalg.norm(np.ptp(points, axis=0))))
    found, error = None, None
    try:
        found = by_words()
    except (ObjectAbsentError, ObjectAmbiguousError, PhraseNotUnderstoodError) as raised:
        error = raised
    if found is not None and _is_at(found.points(observation), expected):
        return found
    tracked = find_by_color(expected, before, mask, observation, radius, color_distance)
    if tracked is not None and len(tracked.points(observation)) >= MIN_POINTS:
        return tracked
    if error is not None:
        raise error
    assert found is not None
    return found


def _is_at(points: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    """Say whether points are where others are expected: half of these have one nearby."""
    if len(points) < MIN_POINTS:
        return False
    distance, _ = cKDTree(points).query(expected)
    return bool(np.median(distance) < NEAR)


def lab(color: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (H, W, 3) CIE Lab of an RGB image; brightness counts less: shadows change it."""
    values = cv2.cvtColor(color.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return values * np.array([0.4, 1.0, 1.0], dtype=np.float32)
