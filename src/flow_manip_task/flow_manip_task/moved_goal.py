# SPDX-License-Identifier: Apache-2.0
"""Has what the goal refers to moved since it was first seen? Then so has the goal.

"On the plate" means the plate where it is now: an object at the end of its flow is not on a plate
that was taken away, and one that left its flow together with the plate still is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow_manip_core.camera import project_from
from flow_manip_core.errors import (
    ConfigurationError,
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
)
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_task.finding import head_noun_phrase, lab

MIN_POINTS = 25
MAX_POINTS = 1500
ITERATIONS = 30
MIN_SIGHT = 0.1  # share of a reference's points that must be in sight to say that it has gone


@dataclass(frozen=True)
class MovedConfig:
    """When a reference counts as moved.

    Attributes:
        metres: nearer than this it is where it was: two looks differ by noise [m].
        vacated: share of the points in sight where something else is seen now, above which it
            may have moved at all.
        gone: share above which it has, even if it is not found again.
        residual: largest misfit of its shape where it is found again [m].
        depth_margin: depth differences below this are noise [m].
        color: larger colour distances are another thing (CIE Lab, brightness times 0.4).
    """

    metres: float = 0.03
    vacated: float = 0.25
    gone: float = 0.6
    residual: float = 0.01
    depth_margin: float = 0.008
    color: float = 20.0

    def __post_init__(self) -> None:
        """Refuse bounds that nothing meets."""
        if min(self.metres, self.residual, self.color) <= 0 or not 0 < self.vacated <= self.gone:
            raise ConfigurationError(f'{self} has a bound that nothing meets')


@dataclass(frozen=True)
class Moved:
    """What became of the references.

    Attributes:
        shift: (3,) by which the goal moved with them, zero where it stayed [m].
        sentence: in words; empty where nothing moved.
        gone: one is not where it was, and was not found elsewhere.
    """

    shift: NDArray[np.float64]
    sentence: str = ''
    gone: bool = False


def reference_motion(
    config: MovedConfig,
    before: Observation,
    references: Sequence[tuple[str, Mask]],
    after: Observation,
    segment: Callable[[str], Mask],
) -> Moved:
    """Measure how the references moved between two looks.

    A reference has moved where both agree: its old place shows something else (what is hidden by
    something nearer counts neither way), and it is found, by its words and with its shape,
    elsewhere. Several references move a goal by their mean.

    Args:
        config: bounds.
        before: shows the references under their masks.
        references: words and mask of each.
        after: a new look, in the same world frame.
        segment: finds a phrase in `after`; errors other than absent, ambiguous and not understood
            pass.
    """
    shifts, said = [], []
    for phrase, mask in references:
        vacated = vacated_share(config, before, mask, after)
        shift = np.zeros(3)
        if vacated >= config.vacated:
            found = _shift(config, mask.points(before), phrase, after, segment)
            if found is None and vacated >= config.gone:
                sentence = (
                    f'{phrase} is no longer where it was ({vacated * 100:.0f} % of its place '
                    'shows something else) and was not found elsewhere'
                )
                return Moved(np.zeros(3), sentence, gone=True)
            shift = shift if found is None else found
        if np.linalg.norm(shift) > config.metres:
            said.append(f'{phrase} moved by {np.linalg.norm(shift) * 1000:.0f} mm')
            shifts.append(shift)
        else:
            shifts.append(np.zeros(3))
    total = np.mean(shifts, axis=0) if shifts else np.zeros(3)
    return Moved(total, ', '.join(said))


def vacated_share(
    config: MovedConfig, before: Observation, mask: Mask, after: Observation
) -> float:
    """Return which share of a mask's points in sight has made way for something else.

    A point has, where the new image sees past it, or sees another colour at its depth. 0 where too
    few of them are in sight to say.
    """
    points = mask.points(before)
    colors = lab(before.color)[mask.pixels & np.isfinite(before.points_world()).all(axis=-1)]
    pixels = project_from(after.camera, after.T_world_camera, points)
    depth = transform_points(invert_transform(after.T_world_camera), points)[:, 2]
    whole = np.round(np.nan_to_num(pixels, nan=-1.0)).astype(int)
    inside = ((whole >= 0) & (whole < [after.camera.width, after.camera.height])).all(axis=1)
    u, v = whole[inside].T
    seen = after.depth[v, u] - depth[inside]
    other = np.linalg.norm(lab(after.color)[v, u] - colors[inside], axis=1) > config.color
    in_sight = np.isfinite(seen) & (seen > -config.depth_margin)
    if in_sight.sum() < max(MIN_POINTS, MIN_SIGHT * len(points)):
        return 0.0
    return float(np.mean((seen > config.depth_margin)[in_sight] | other[in_sight]))


def _shift(
    config: MovedConfig,
    points: NDArray[np.float64],
    phrase: str,
    after: Observation,
    segment: Callable[[str], Mask],
) -> NDArray[np.float64] | None:
    """Return the (3,) way from where the points were to where they are [m], None if unknown."""
    try:
        found = segment(head_noun_phrase(phrase))
    except (ObjectAbsentError, ObjectAmbiguousError, PhraseNotUnderstoodError):
        return None
    seen = found.points(after)
    if len(seen) < MIN_POINTS or len(points) < MIN_POINTS:
        return None
    way, residual = slide(points, seen)
    return way if residual <= config.residual else None


def slide(
    points: NDArray[np.float64], seen: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Find the translation that carries (N, 3) points to where (M, 3) of them are seen.

    Everything seen must be on the moved object, while parts of the object may be hidden by what
    lies on it: iterated closest points (Besl and McKay 1992) from the seen ones, translation only,
    from the middles of the boxes around both. A flat round plate tells no more: its turn does not
    show, and planes slide freely along each other in other metrics.

    Returns:
        (3,) the way and the root mean square distance of the seen points to the object [m].
    """
    tree = cKDTree(points)
    seen = seen[:: max(1, len(seen) // MAX_POINTS)]
    way = _middle(seen) - _middle(points)
    residual = np.inf
    for _ in range(ITERATIONS):
        distance, index = tree.query(seen - way)
        residual = float(np.sqrt(np.mean(distance**2)))
        step = (seen - way - points[index]).mean(axis=0)
        way = way + step
        if np.linalg.norm(step) < 1e-5:
            break
    return way, residual


def _middle(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (3,) middle of the box around points without the outermost 2 %."""
    return np.asarray(np.percentile(points, [2.0, 98.0], axis=0).mean(axis=0))
