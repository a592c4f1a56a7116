# SPDX-License-Identifier: Apache-2.0
"""Depth: a video to a depth image per frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.registry import Registry
from flow_manip_core.video import Video

KINDS = ('metric', 'relative', 'disparity')


def never() -> bool:
    """Nobody asks to stop."""
    return False


class DepthEstimator(Protocol):
    """Estimates depth for every frame of a video; keeps nothing between calls.

    Attributes:
        kind: what the numbers mean. 'metric': depth along the optical axis [m]; 'relative': that
            depth up to one scale and shift; 'disparity': its inverse up to one scale and shift.
    """

    kind: str

    def estimate(
        self, video: Video, *, cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Return (T, H, W) in the unit that `kind` names, of the video's size, NaN where unknown.

        Raises:
            CancelledError: `cancelled` said so.
            DepthCalibrationError: there is no depth to be had of this video.
            BackendError: a model is not there or failed.
            PeerLostError: a server is not there or fell silent.
        """


DEPTH_ESTIMATORS: Registry[DepthEstimator] = Registry(
    'depth',
    {
        'sensor': 'flow_manip_perception.depth.sensor:SensorDepth',
        'depth_anything': 'flow_manip_perception.depth.depth_anything:DepthAnything',
        'remote': 'flow_manip_perception.depth.remote:RemoteDepth',
    },
)
