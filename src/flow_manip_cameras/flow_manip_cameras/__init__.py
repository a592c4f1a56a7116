# SPDX-License-Identifier: Apache-2.0
"""Cameras as sources of observations: recordings and RealSense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from flow_manip_core.observation import Observation
from flow_manip_core.registry import Registry


class CameraSource(Protocol):
    """Where colour and depth images come from.

    Attributes:
        rate: of the frames [Hz].
        fixed_pose: True where every frame has the same T_world_camera.
    """

    rate: float
    fixed_pose: bool

    def frames(self) -> Iterator[Observation]:
        """Yield observations without joints: rectified colour, registered depth, pose.

        A recording ends, and can be asked again; a device does not end.
        """

    def close(self) -> None:
        """Give the device or the files back."""


CAMERAS: Registry[CameraSource] = Registry(
    'camera',
    {
        'recording': 'flow_manip_cameras.recording:RecordingCamera',
        'realsense': 'flow_manip_cameras.realsense:RealSense',
    },
)

__all__ = ['CAMERAS', 'CameraSource']
