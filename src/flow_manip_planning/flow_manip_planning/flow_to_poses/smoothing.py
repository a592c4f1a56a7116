# SPDX-License-Identifier: Apache-2.0
"""Pose paths without noise, gaps and haste.

Positions are those of a point of the object, its middle, not of the origin that its poses are
written about: only so do smoothing and interpolation leave turning and moving apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from flow_manip_core.transforms import interpolate_transforms
from flow_manip_planning.flow_to_poses.motion import Array
from flow_manip_planning.kinematics import rotation_vectors

ORIGIN = np.zeros(3)


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


def smooth_values(values: Array, sigma: float) -> Array:
    """Smooth (T, D) values by a Gaussian over the steps.

    Ends are continued by point reflection: they stay, and a straight motion stays what it is.
    """
    if sigma <= 0 or len(values) < 3:
        return values
    pad = min(len(values) - 1, int(np.ceil(4 * sigma)))
    before = 2 * values[0] - values[pad:0:-1]
    after = 2 * values[-1] - values[-2 : -pad - 2 : -1]
    smooth = gaussian_filter1d(np.concatenate([before, values, after]), sigma, axis=0)
    smooth = smooth[pad : pad + len(values)]
    smooth[[0, -1]] = values[[0, -1]]
    return smooth


def smooth_poses(poses: Array, sigma: float, center: ArrayLike = ORIGIN) -> Array:
    """Smooth (T, 4, 4) poses over the steps without moving the ends.

    Rotations are averaged as unit quaternions, which is exact enough for neighbours a few degrees
    apart (Gramkow 2001).

    Args:
        poses: T_world_start.
        sigma: standard deviation [steps]; 0 returns the poses as they are.
        center: (3,) point at the start whose way is smoothed [m].
    """
    if sigma <= 0 or len(poses) < 3:
        return poses
    moved = about(poses, center)
    quaternions = Rotation.from_matrix(moved[:, :3, :3]).as_quat()
    signs = np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0, -1.0, 1.0)
    quaternions[1:] *= np.cumprod(signs)[:, None]
    smooth = smooth_values(np.concatenate([moved[:, :3, 3], quaternions], axis=1), sigma)
    moved[:, :3, 3] = smooth[:, :3]
    moved[:, :3, :3] = Rotation.from_quat(smooth[:, 3:]).as_matrix()
    result = from_about(moved, center)
    result[[0, -1]] = poses[[0, -1]]
    return result


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
