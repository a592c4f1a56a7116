# SPDX-License-Identifier: Apache-2.0
"""The camera's pose from known points, where they are in the image and how deep they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.camera import CameraModel
from flow_manip_core.transforms import transform_points

HUBER = 2.0  # [standard deviations] beyond which an error counts linearly
Array = NDArray[np.float64]


def refine_pose(
    pose: Array,
    start: Array,
    pixels: Array,
    depth: Array,
    camera: CameraModel,
    noise: tuple[float, float],
) -> tuple[Array, float]:
    """Refine a pose on what was measured: where points are in the image, and how deep.

    Gauss-Newton with Huber weights, twice: with the focal length free, which tells a zoom, and for
    the pose itself with the focal length held.

    Args:
        pose: (4, 4) T_now_start to begin with.
        start: (N, 3) points in the first camera's frame [m].
        pixels: (N, 2) where they are now.
        depth: (N,) how deep they are now [m].
        camera: intrinsics of the first frame.
        noise: standard deviation of pixels [px], and of depth relative to it.

    Returns:
        (4, 4) refined pose, and the focal length over the first frame's.
    """
    _, zoom = _gauss_newton(pose, start, pixels, depth, camera, noise, free_focal=True)
    refined, _ = _gauss_newton(pose, start, pixels, depth, camera, noise, free_focal=False)
    return refined, zoom


def _gauss_newton(
    pose: Array,
    start: Array,
    pixels: Array,
    depth: Array,
    camera: CameraModel,
    noise: tuple[float, float],
    *,
    free_focal: bool,
) -> tuple[Array, float]:
    """Return pose and focal ratio that explain pixels and depths best."""
    pose, zoom = pose.copy(), 1.0
    focal, centre = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    depth_sigma = noise[1] * depth
    for _ in range(10):
        points = transform_points(pose, start)
        x, y, z = points.T
        z = np.maximum(z, 1e-3)
        normal = np.stack([x / z, y / z], axis=1)
        error = np.concatenate(
            [
                ((zoom * focal * normal + centre - pixels) / noise[0]).ravel(),
                (z - depth) / depth_sigma,
            ]
        )
        jacobian = _jacobian(points, z, normal, zoom * focal, depth_sigma, noise[0])
        if not free_focal:
            jacobian = jacobian[:, :6]
        weights = np.minimum(1.0, HUBER / np.maximum(np.abs(error), 1e-12))
        weighted = jacobian * weights[:, None]
        step = np.linalg.lstsq(weighted.T @ jacobian, -weighted.T @ error, rcond=None)[0]
        turn = np.eye(4)
        turn[:3, :3], turn[:3, 3] = Rotation.from_rotvec(step[3:6]).as_matrix(), step[:3]
        pose = turn @ pose
        if free_focal:
            zoom *= float(np.exp(np.clip(step[6], -0.5, 0.5)))
        if np.abs(step).max() < 1e-9:
            break
    return pose, zoom


def _jacobian(
    points: Array,
    z: Array,
    normal: Array,
    scaled: Array,
    depth_sigma: Array,
    pixel_noise: float,
) -> Array:
    """Return (3 N, 7) derivatives by translation, rotation (left) and log focal length."""
    count = len(points)
    moved = np.zeros((count, 3, 6))  # d point / d pose
    moved[:, :, :3] = np.eye(3)
    x, y, depth = points.T
    moved[:, 0, 4], moved[:, 0, 5] = depth, -y
    moved[:, 1, 3], moved[:, 1, 5] = -depth, x
    moved[:, 2, 3], moved[:, 2, 4] = y, -x
    flat = (moved[:, :2] - normal[..., None] * moved[:, 2:3]) / z[:, None, None]
    jacobian = np.zeros((3 * count, 7))
    jacobian[: 2 * count, :6] = (scaled[:, None] * flat / pixel_noise).reshape(-1, 6)
    jacobian[: 2 * count, 6] = (scaled * normal / pixel_noise).ravel()
    jacobian[2 * count :, :6] = moved[:, 2] / depth_sigma[:, None]
    return jacobian
