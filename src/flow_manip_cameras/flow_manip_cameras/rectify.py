# SPDX-License-Identifier: Apache-2.0
"""Colour and the depth registered to it without lens distortion."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError

GRID = 8  # [px] between the pixels at which a slow lens model is asked

Project = Callable[[float, float], tuple[float, float]]
"""From a ray's (x / z, y / z) to the distorted pixel (u, v)."""


class Rectifier:
    """Moves pixels to where a camera without distortion would see them."""

    def __init__(self, map_u: NDArray[np.float32], map_v: NDArray[np.float32]) -> None:
        """Keep (H, W) maps: the distorted column and row of every rectified pixel."""
        self._map_u, self._map_v = map_u, map_v

    @classmethod
    def from_coefficients(cls, camera: CameraModel, model: str, d: ArrayLike) -> Rectifier | None:
        """Build from a camera_info's distortion; None where there is none.

        Raises:
            InvalidInputError: a model that is not known, or coefficients that make no sense.
        """
        d = np.asarray(d, dtype=np.float64).ravel()
        if not np.isfinite(d).all():
            raise InvalidInputError(f'distortion coefficients {d.tolist()} are not finite')
        if not np.any(np.abs(d) > 1e-9):
            return None
        size, k = (camera.width, camera.height), camera.matrix
        if model in ('plumb_bob', 'rational_polynomial') and d.size in (4, 5, 8, 12, 14):
            maps = cv2.initUndistortRectifyMap(k, d, np.eye(3), k, size, cv2.CV_32FC1)
        elif model in ('equidistant', 'fisheye') and d.size == 4:
            maps = cv2.fisheye.initUndistortRectifyMap(k, d, np.eye(3), k, size, cv2.CV_32FC1)
        else:
            raise InvalidInputError(f"distortion model '{model}' with {d.size} coefficients")
        return cls(maps[0].astype(np.float32), maps[1].astype(np.float32))

    @classmethod
    def from_projection(cls, camera: CameraModel, project: Project) -> Rectifier:
        """Build from any lens model; it is asked every GRID pixels, between them it is linear."""
        xs = (np.arange(0, camera.width + GRID, GRID) - camera.cx) / camera.fx
        ys = (np.arange(0, camera.height + GRID, GRID) - camera.cy) / camera.fy
        coarse = np.array([[project(x, y) for x in xs] for y in ys], dtype=np.float32)
        u, v = np.meshgrid(
            np.arange(camera.width, dtype=np.float32) / GRID,
            np.arange(camera.height, dtype=np.float32) / GRID,
        )
        fine = cv2.remap(coarse, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return cls(np.ascontiguousarray(fine[..., 0]), np.ascontiguousarray(fine[..., 1]))

    def color(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Rectify a (H, W, 3) image; black where the camera did not look."""
        return cv2.remap(image, self._map_u, self._map_v, cv2.INTER_LINEAR).astype(np.uint8)

    def depth(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rectify (H, W) depth by the nearest reading: a mean of two surfaces is no surface."""
        moved = cv2.remap(
            image,
            self._map_u,
            self._map_v,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=float('nan'),
        )
        return moved.astype(np.float32)
