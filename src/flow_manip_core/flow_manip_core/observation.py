# SPDX-License-Identifier: Apache-2.0
"""What a camera saw and how the robot stood: the input of every stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import is_rigid, transform_points


@dataclass(frozen=True)
class Observation:
    """One RGB-D image with its camera and the robot's joints at that moment.

    Attributes:
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 along the optical axis [m], registered to `color`; NaN where unknown.
        camera: intrinsics of `color`.
        T_world_camera: (4, 4) pose of the optical frame.
        frame_id: tf frame that "world" means here.
        stamp: seconds of the clock that the images carry.
        joint_positions: the robot's joints by name [rad, m]; empty if no robot was seen.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: CameraModel
    T_world_camera: NDArray[np.float64]
    frame_id: str = 'world'
    stamp: float = 0.0
    joint_positions: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shapes and that the camera's pose is rigid."""
        expected = (self.camera.height, self.camera.width)
        if self.color.shape != (*expected, 3) or self.color.dtype != np.uint8:
            raise InvalidInputError(
                f'colour is {self.color.shape} {self.color.dtype}, expected {(*expected, 3)} uint8'
            )
        if self.depth.shape != expected or self.depth.dtype != np.float32:
            raise InvalidInputError(
                f'depth is {self.depth.shape} {self.depth.dtype}, expected {expected} float32'
            )
        if not is_rigid(self.T_world_camera, tolerance=1e-4):
            raise InvalidInputError(
                'T_world_camera is not a rigid transform: '
                f'{np.asarray(self.T_world_camera).tolist()}'
            )
        if any(not np.isfinite(value) for value in self.joint_positions.values()):
            raise InvalidInputError(
                f'joint positions are not finite: {dict(self.joint_positions)}'
            )

    def points_world(self) -> NDArray[np.float64]:
        """Return the (H, W, 3) world points of all pixels, NaN where depth is unknown."""
        depth = np.where(self.depth > 0, self.depth, np.nan)
        return transform_points(self.T_world_camera, self.camera.lift(depth))


@dataclass(frozen=True)
class Mask:
    """One object in one image.

    Attributes:
        pixels: (H, W) bool, True on the object.
        label: the words it was found by.
        score: 0..1.
    """

    pixels: NDArray[np.bool_]
    label: str
    score: float = 1.0

    def __post_init__(self) -> None:
        """Refuse empty masks: whoever found nothing raises instead."""
        if self.pixels.ndim != 2 or self.pixels.dtype != np.bool_:
            raise InvalidInputError(
                f'mask is {self.pixels.shape} {self.pixels.dtype}, expected (H, W) bool'
            )
        if not self.pixels.any():
            raise InvalidInputError(f"mask of '{self.label}' is empty")

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tight (x, y, width, height) around the mask [px]."""
        rows = np.flatnonzero(self.pixels.any(axis=1))
        columns = np.flatnonzero(self.pixels.any(axis=0))
        return (
            int(columns[0]),
            int(rows[0]),
            int(columns[-1] - columns[0] + 1),
            int(rows[-1] - rows[0] + 1),
        )

    def points(self, observation: Observation) -> NDArray[np.float64]:
        """Return the (N, 3) world points of the mask's pixels that have depth."""
        if self.pixels.shape != observation.depth.shape:
            raise InvalidInputError(
                f'mask is {self.pixels.shape}, the image {observation.depth.shape}'
            )
        points = observation.points_world()[self.pixels]
        return points[np.isfinite(points).all(axis=1)]
