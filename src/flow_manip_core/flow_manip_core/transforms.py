# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as (4, 4) float64 matrices named ``T_<to>_<from>``; quaternions are xyzw."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation, Slerp

Matrix = NDArray[np.float64]


def make_transform(
    translation: ArrayLike = (0.0, 0.0, 0.0), rotation: ArrayLike | None = None
) -> Matrix:
    """Build a transform.

    Args:
        translation: (3,) metres.
        rotation: (3, 3) rotation matrix; identity if left out.
    """
    transform = np.eye(4)
    if rotation is not None:
        transform[:3, :3] = rotation
    transform[:3, 3] = translation
    return transform


def transform_from_quaternion(translation: ArrayLike, quaternion: ArrayLike) -> Matrix:
    """Build a transform from (3,) metres and an xyzw quaternion of any positive length."""
    return make_transform(translation, Rotation.from_quat(np.asarray(quaternion)).as_matrix())


def quaternion_from_transform(transform: ArrayLike) -> NDArray[np.float64]:
    """Return the xyzw unit quaternion with w >= 0 of the (4, 4) transform's rotation."""
    quaternion = Rotation.from_matrix(np.asarray(transform)[:3, :3]).as_quat()
    return quaternion if quaternion[3] >= 0 else -quaternion


def rotation_about(axis: ArrayLike, angle: float) -> NDArray[np.float64]:
    """Return the (3, 3) rotation by `angle` radians about `axis` (right-handed)."""
    axis = np.asarray(axis, dtype=np.float64)
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()


def invert_transform(transform: ArrayLike) -> Matrix:
    """Return the inverse of a (..., 4, 4) rigid transform."""
    transform = np.asarray(transform, dtype=np.float64)
    inverse = np.zeros_like(transform)
    rotation = np.swapaxes(transform[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ transform[..., :3, 3, None])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def transform_points(transform: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Move (..., 3) points by one (4, 4) transform."""
    transform = np.asarray(transform)
    return np.asarray(points) @ transform[:3, :3].T + transform[:3, 3]


def transform_distance(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Return how far apart two transforms are: metres between origins, radians between axes."""
    a, b = np.asarray(a), np.asarray(b)
    angle = Rotation.from_matrix(a[:3, :3].T @ b[:3, :3]).magnitude()
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3])), float(angle)


def interpolate_transforms(times: ArrayLike, transforms: ArrayLike, at: ArrayLike) -> Matrix:
    """Interpolate (T, 4, 4) transforms at new times: linear positions, spherical rotations.

    Args:
        times: (T,) seconds, strictly increasing, T >= 2.
        transforms: (T, 4, 4).
        at: (M,) seconds; clipped to the range of `times`.

    Returns:
        (M, 4, 4).
    """
    times, transforms = np.asarray(times, dtype=np.float64), np.asarray(transforms)
    at = np.clip(np.atleast_1d(np.asarray(at, dtype=np.float64)), times[0], times[-1])
    result = np.tile(np.eye(4), (len(at), 1, 1))
    result[:, :3, :3] = Slerp(times, Rotation.from_matrix(transforms[:, :3, :3]))(at).as_matrix()
    for axis in range(3):
        result[:, axis, 3] = np.interp(at, times, transforms[:, axis, 3])
    return result


def is_rigid(transform: ArrayLike, tolerance: float = 1e-6) -> bool:
    """Say whether a (4, 4) matrix is a rotation and a translation: no scale, no mirror."""
    transform = np.asarray(transform, dtype=np.float64)
    if transform.shape != (4, 4) or not np.isfinite(transform).all():
        return False
    rotation = transform[:3, :3]
    return bool(
        np.allclose(rotation @ rotation.T, np.eye(3), atol=tolerance)
        and np.linalg.det(rotation) > 0
        and np.allclose(transform[3], [0, 0, 0, 1], atol=tolerance)
    )
