# SPDX-License-Identifier: Apache-2.0
"""The camera's pose from known points, where they are in the image and how deep they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.camera import CameraModel
from flow_manip_core.transforms import transform_points

TOLERANT = 2.0  # [standard deviations] at which an error counts half
Array = NDArray[np.float64]


def refine_pose(
    pose: Array,
    start: Array,
    pixels: Array,
    depth: Array,
    camera: CameraModel,
    noise: tuple[float, float],
) -> tuple[Array, float, float]:
    """Refine a pose on what was measured: where points are in the image, and how deep.

    A factor on all depth is free as well: depth flickers from frame to frame, and so many points
    would make the pose follow it. Gauss-Newton with Cauchy weights, twice: with the focal length
    free, which tells a zoom, and for the pose itself with the focal length held.

    Args:
        pose: (4, 4) T_now_start to begin with.
        start: (N, 3) points in the first camera's frame [m].
        pixels: (N, 2) where they are now.
        depth: (N,) how deep they are now [m].
        camera: intrinsics of the first frame.
        noise: standard deviation of pixels [px], and of depth relative to it.

    Returns:
        (4, 4) refined pose; the focal length over the first frame's; measured over true depth.
    """
    _, zoom, _ = _gauss_newton(pose, start, pixels, depth, camera, noise, free_focal=True)
    refined, _, factor = _gauss_newton(pose, start, pixels, depth, camera, noise, free_focal=False)
    return refined, zoom, factor


def _gauss_newton(
    pose: Array,
    start: Array,
    pixels: Array,
    depth: Array,
    camera: CameraModel,
    noise: tuple[float, float],
    *,
    free_focal: bool,
) -> tuple[Array, float, float]:
    """Return pose, focal ratio and depth factor that explain pixels and depths best."""
    pose, zoom, factor = pose.copy(), 1.0, 1.0
    columns = [0, 1, 2, 3, 4, 5, 7, *([6] if free_focal else [])]
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
                (factor * z - depth) / depth_sigma,
            ]
        )
        jacobian = _jacobian(points, z, normal, zoom * focal, factor, depth_sigma, noise[0])
        jacobian = jacobian[:, columns]
        weights = 1.0 / (1.0 + (error / TOLERANT) ** 2)
        weighted = jacobian * weights[:, None]
        step = np.linalg.lstsq(weighted.T @ jacobian, -weighted.T @ error, rcond=None)[0]
        turn = np.eye(4)
        turn[:3, :3], turn[:3, 3] = Rotation.from_rotvec(step[3:6]).as_matrix(), step[:3]
        pose = turn @ pose
        factor *= float(np.exp(np.clip(step[6], -0.5, 0.5)))
        if free_focal:
            zoom *= float(np.exp(np.clip(step[7], -0.5, 0.5)))
        if np.abs(step).max() < 1e-9:
            break
    return pose, zoom, factor


def _jacobian(
    points: Array,
    z: Array,
    normal: Array,
    scaled: Array,
    factor: float,
    depth_sigma: Array,
    pixel_noise: float,
) -> Array:
    """Return (3 N, 8) derivatives by translation, rotation (left), log focal length, log depth."""
    count = len(points)
    moved = np.zeros((count, 3, 6))  # d point / d pose
    moved[:, :, :3] = np.eye(3)
    x, y, depth = points.T
    moved[:, 0, 4], moved[:, 0, 5] = depth, -y
    moved[:, 1, 3], moved[:, 1, 5] = -depth, x
    moved[:, 2, 3], moved[:, 2, 4] = y, -x
    flat = (moved[:, :2] - normal[..., None] * moved[:, 2:3]) / z[:, None, None]
    jacobian = np.zeros((3 * count, 8))
    jacobian[: 2 * count, :6] = (scaled[:, None] * flat / pixel_noise).reshape(-1, 6)
    jacobian[: 2 * count, 6] = (scaled * normal / pixel_noise).ravel()
    jacobian[2 * count :, :6] = factor * moved[:, 2] / depth_sigma[:, None]
    jacobian[2 * count :, 7] = factor * z / depth_sigma
    return jacobian
