# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera: pixels to rays to points and back.

Optical frame as in REP-103: z forward, x right, y down. Pixel (u, v) = (column, row); the centre
of the first pixel is (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import invert_transform, transform_points


@dataclass(frozen=True, slots=True)
class CameraModel:
    """Intrinsics of a rectified pinhole camera.

    Attributes:
        width: columns [px].
        height: rows [px].
        fx: focal length along u [px].
        fy: focal length along v [px].
        cx: principal point, column [px].
        cy: principal point, row [px].
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        """Refuse intrinsics that no camera has."""
        values = np.array([self.fx, self.fy, self.cx, self.cy], dtype=float)
        if self.width <= 0 or self.height <= 0:
            raise InvalidInputError(f'camera is {self.width} x {self.height} pixels')
        if not np.isfinite(values).all() or self.fx <= 0 or self.fy <= 0:
            raise InvalidInputError(
                f'camera intrinsics fx, fy, cx, cy = {values.tolist()}: focal lengths must be '
                'positive'
            )

    @classmethod
    def from_fov(cls, width: int, height: int, fovy: float) -> CameraModel:
        """Build a centred camera with square pixels from its vertical field of view [rad]."""
        focal = height / (2.0 * np.tan(fovy / 2.0))
        return cls(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)

    @classmethod
    def from_matrix(cls, width: int, height: int, k: ArrayLike) -> CameraModel:
        """Build from a (3, 3) matrix K; a skew other than zero is refused."""
        k = np.asarray(k, dtype=np.float64).reshape(3, 3)
        if abs(k[0, 1]) > 1e-6:
            raise InvalidInputError(f'camera matrix has skew {k[0, 1]:g}; rectify the image first')
        return cls(width, height, float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The (3, 3) matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def project(self, points_camera: ArrayLike) -> NDArray[np.float64]:
        """Project (..., 3) optical frame points to (..., 2) pixels; NaN behind the camera."""
        points = np.asarray(points_camera, dtype=np.float64)
        z = np.where(points[..., 2] > 1e-9, points[..., 2], np.nan)
        return np.stack(
            [self.fx * points[..., 0] / z + self.cx, self.fy * points[..., 1] / z + self.cy],
            axis=-1,
        )

    def deproject(self, pixels: ArrayLike, depth: ArrayLike) -> NDArray[np.float64]:
        """Lift (..., 2) pixels at (...,) depth along z [m] to (..., 3) optical frame points."""
        pixels, depth = np.asarray(pixels, dtype=np.float64), np.asarray(depth, dtype=np.float64)
        x = (pixels[..., 0] - self.cx) / self.fx * depth
        y = (pixels[..., 1] - self.cy) / self.fy * depth
        return np.stack([x, y, depth], axis=-1)

    def lift(self, depth: NDArray) -> NDArray[np.float64]:
        """Lift a (H, W) depth image [m] to (H, W, 3) optical frame points, NaN where depth is."""
        if depth.shape != (self.height, self.width):
            raise InvalidInputError(
                f'depth is {depth.shape}, the camera {(self.height, self.width)}'
            )
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return self.deproject(np.stack([u, v], axis=-1), depth)


def project_from(
    camera: CameraModel, T_world_camera: NDArray, points_world: ArrayLike
) -> NDArray[np.float64]:
    """Project (..., 3) world points to (..., 2) pixels; NaN behind the camera."""
    return camera.project(transform_points(invert_transform(T_world_camera), points_world))
