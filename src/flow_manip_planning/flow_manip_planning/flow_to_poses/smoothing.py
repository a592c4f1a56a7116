# SPDX-License-Identifier: Apache-2.0
"""Pose paths without gaps and haste.

Positions are those of a point of the object, its middle, not of the origin that its poses are
written about: only so does interpolation leave turning and moving apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.transforms import interpolate_transforms
from flow_manip_planning.flow_to_poses.motion import Array
from flow_manip_planning.kinematics import rotation_vectors


def about(poses: Array, center: ArrayLike) -> Array:
    """Return (T, 4, 4) poses whose translation is where (3,) `center` is carried to."""
    moved = poses.copy()
    moved[:, :3, 3] += poses[:, :3, :3] @ np.asarray(center)
    return moved


def from_about(moved: Array, center: ArrayLike) -> Array:
    """Undo `about`."""
    poses = moved.copy()
    poses[:, :3, 3] -= moved[:, :3, :3] @ np.asarray(center)
    return poses


def fill_gaps(times: Array, poses: Array, good: NDArray[np.bool_], center: ArrayLike) -> Array:
    """Replace the poses that are not `good` by interpolation between those that are.

    Args:
        times: (T,) seconds.
        poses: (T, 4, 4).
        good: (T,), first and last True.
        center: (3,) point at the start that goes straight in between [m].
    """
    if good.all():
        return poses
    known = about(poses[good], center)
    filled = poses.copy()
    between = interpolate_transforms(times[good], known, times[~good])
    filled[~good] = from_about(between, center)
    return filled


def slowed_times(
    times: Array, poses: Array, center: ArrayLike, max_speed: float, max_turn_rate: float
) -> Array:
    """Stretch time where an object moves or turns too fast; elsewhere it passes as before.

    Args:
        times: (T,) seconds.
        poses: (T, 4, 4) T_world_start.
        center: (3,) point at the start whose speed counts [m].
        max_speed: [m/s].
        max_turn_rate: [rad/s].

    Returns:
        (T,) seconds, first 0.
    """
    moved = about(poses, center)
    way = np.linalg.norm(np.diff(moved[:, :3, 3], axis=0), axis=1)
    turns = poses[1:, :3, :3] @ poses[:-1, :3, :3].swapaxes(1, 2)
    angle = np.linalg.norm(rotation_vectors(turns), axis=1)
    needed = np.maximum(way / max_speed, angle / max_turn_rate)
    return np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(times), needed))])
