# SPDX-License-Identifier: Apache-2.0
"""Motion of things so thin that their points do not tell a turn about their long axis.

A pen may be rolled between the fingers and nothing that is seen or wanted changes. What the points
do tell is where its middle is and where its tip points; of all rotations that agree with that the
one without any turn about the long axis is taken, from step to step (parallel transport: Bishop
1975, "There is more than one way to frame a curve").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow_manip_planning.flow_to_poses.motion import Array
from flow_manip_planning.flow_to_poses.settings import FitConfig
from flow_manip_planning.flow_to_poses.steps import NOISE_IN_SPREAD, Steps

REFITS = 2
BAND = 3.0  # standard deviations of a coordinate that a point may be away
CHI_SQUARED_3_MEDIAN = 2.366
# Of a thing, not of a ball: variance along the axis over that across it.
SLENDER = 9.0
SHORTEST = 1e-3  # [m] root mean square: less is one place


def without_turn(points: Array, weights: Array, steps: Steps, config: FitConfig) -> Steps:
    """Fit middle and direction of every step, if the turn about a long axis is what is unknown.

    Args:
        points: (T, N, 3) finite [m].
        weights: (T, N), 0 where hidden.
        steps: as fitted with all three rotations.
        config: what fails a step.

    Returns:
        steps whose failures are those of the middle or the direction; the given ones if the points
        are no long thin thing, or tell its turn.
    """
    both = weights[1:] * weights[0]
    axis = _long_axis(points[0], weights[0], steps, config)
    if axis is None:
        return steps
    used = _agreeing(both, steps.inliers[1:], config)
    for _ in range(REFITS):
        poses, directions = _carried(points, used, axis)
        squared = _squared_distances(points, poses)
        band = _band(squared, both, config.inlier_distance)
        used = np.where(squared < band[:, None] ** 2, both, 0.0)
    result = Steps(
        poses=np.concatenate([np.eye(4)[None], poses]),
        inliers=np.concatenate([steps.inliers[:1], used > 0]),
        residuals=np.zeros(len(points)),
        noise=np.zeros(len(points)),
        undetermined=axis,
    )
    total = np.maximum(used.sum(axis=1), 1e-12)
    result.residuals[1:] = np.sqrt((used * squared).sum(axis=1) / total)
    result.noise[1:] = result.residuals[1:] / np.sqrt(3.0)
    result.failed = _failures(both, used, directions, result, config)
    return result


def _long_axis(points: Array, weights: Array, steps: Steps, config: FitConfig) -> Array | None:
    """Return the (3,) long axis of the first step's points, None if a turn about it shows."""
    seen = points[weights > 0]
    if len(seen) < config.min_points:
        return None
    variances, axes = np.linalg.eigh(np.cov(seen.T))
    noise = steps.noise[1:][np.isfinite(steps.noise[1:])]
    noise = float(np.median(noise)) if len(noise) else 0.0
    across = max(variances[0] + variances[1] - NOISE_IN_SPREAD * noise**2, 0.0)
    along = variances[2] - 0.5 * noise**2
    if along < max(SLENDER * 0.5 * across, SHORTEST**2):
        return None
    # Otherwise it is something else that made steps fail.
    return axes[:, 2] if 2 * len(steps.unsure) >= len(steps.failed) else None


def _agreeing(both: Array, inliers: NDArray[np.bool_], config: FitConfig) -> Array:
    """Return (T-1, N) weights of the points that agreed, of all where hardly any did."""
    seen = np.count_nonzero(both, axis=1)
    enough = inliers.sum(axis=1) >= np.maximum(config.min_points, config.min_inlier_share * seen)
    return np.where(inliers | ~enough[:, None], both, 0.0)


def _carried(points: Array, used: Array, axis: Array) -> tuple[Array, Array]:
    """Return the (T-1, 4, 4) poses that carry middles and axis, and the (T-1, 3) directions.

    A direction's length is the variance along the axis that both steps share [m^2].
    """
    total = np.maximum(used.sum(axis=1, keepdims=True), 1e-12)
    share = used / total
    before, after = share @ points[0], np.einsum('tn,tnc->tc', share, points[1:])
    along = (points[0] @ axis)[None] - (before @ axis)[:, None]
    directions = np.einsum('tn,tnc->tc', share * along, points[1:] - after[:, None])
    rotation, last = np.eye(3), axis
    poses = np.tile(np.eye(4), (len(used), 1, 1))
    for step, direction in enumerate(directions):
        length = np.linalg.norm(direction)
        if length > 0:
            rotation = _shortest(last, direction / length) @ rotation
            last = direction / length
        poses[step, :3, :3] = rotation
        poses[step, :3, 3] = after[step] - rotation @ before[step]
    return poses, directions


def _shortest(a: Array, b: Array) -> Array:
    """Return the (3, 3) smallest rotation from one unit vector to another, not opposite."""
    v = np.cross(a, b)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + cross + cross @ cross / max(1.0 + float(a @ b), 1e-9)


def _squared_distances(points: Array, poses: Array) -> Array:
    """Return (T-1, N) squared distances of carried points from where they are seen [m^2]."""
    moved = points[0] @ poses[:, :3, :3].swapaxes(1, 2) + poses[:, None, :3, 3]
    return ((moved - points[1:]) ** 2).sum(axis=-1)


def _band(squared: Array, both: Array, distance: float) -> Array:
    """Return the (T-1,) distances within which points agree, by the median [m]."""
    seen = np.where(both > 0, squared, np.nan)
    seen[~(both > 0).any(axis=1)] = 0.0
    deviation = np.sqrt(np.nanmedian(seen, axis=1) / CHI_SQUARED_3_MEDIAN)
    return np.clip(BAND * deviation, 0.4 * distance, 2.5 * distance)


def _failures(
    both: Array, used: Array, directions: Array, steps: Steps, config: FitConfig
) -> dict[int, str]:
    """Say at which steps the middle or the direction is not determined, and why."""
    limit = np.radians(config.max_turn_error_degrees)
    reasons: dict[int, str] = {}
    for index in range(len(both)):
        step, seen, agree = index + 1, np.count_nonzero(both[index]), (used[index] > 0).sum()
        along = float(np.linalg.norm(directions[index]))
        tilt = float(steps.noise[step] / np.sqrt(max(agree * along, 1e-18)))
        if seen < config.min_points:
            reasons[step] = f'{seen} visible points, {config.min_points} are needed'
        elif agree < max(config.min_points, config.min_inlier_share * seen):
            reasons[step] = f'only {agree} of {seen} points follow one rigid motion'
        elif steps.residuals[step] > config.max_residual:
            reasons[step] = (
                f'the points are {steps.residuals[step]:.3f} m from any rigid motion, limit '
                f'{config.max_residual:.3f} m'
            )
        elif not tilt < limit:
            reasons[step] = (
                f'the direction of its long axis is uncertain by {np.degrees(tilt):.0f} degrees, '
                f'limit {config.max_turn_error_degrees:.0f}'
            )
    return reasons
