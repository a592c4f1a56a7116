# SPDX-License-Identifier: Apache-2.0
"""Serves `estimate_depth`: the depth of an image from its colours, in metres by its own sensor."""

from __future__ import annotations

import threading
from typing import Any

from flow_manip_msgs.srv import EstimateDepth
import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.service import Service

from flow_manip_core.errors import ConfigurationError
from flow_manip_core.observation import Observation
from flow_manip_core.video import Video
from flow_manip_perception.calibration import calibrate, CalibrationConfig
from flow_manip_perception.depth import DEPTH_ESTIMATORS, DepthEstimator
from flow_manip_ros.conversions import image_from_array, make_header, observation_from_msg
from flow_manip_ros.goals import run_service
from flow_manip_ros.nodes import ManagedNode, run_node

HELD = 0.1  # [s] between the two equal frames that an image is as a video


class DepthNode(ManagedNode):
    """Answers `estimate_depth`; keeps nothing between calls.

    With the backend 'sensor' the answer is the sensor's own depth, which is its own calibration.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters and build the backend; `kwargs` go to the node.

        Raises:
            ConfigurationError: a parameter is wrong, or wants a mask, which no request has.
        """
        super().__init__('depth_node', **kwargs)
        context = self.parameters.context()
        self._estimator: DepthEstimator = self.parameters.backend(
            DEPTH_ESTIMATORS, 'sensor', context
        )
        self._calibration = self.parameters.dataclass(CalibrationConfig, 'calibration.')
        self.parameters.check()
        if self._calibration.region == 'mask':
            raise ConfigurationError(
                "calibration.region is 'mask', but a request has none: use 'image'"
            )
        self._stopping = threading.Event()
        self._service: Service | None = None

    def start(self) -> None:
        """Serve."""
        self._stopping.clear()
        self._service = self.create_service(
            EstimateDepth,
            'estimate_depth',
            self._answer,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    def stop(self) -> None:
        """Stop a running estimate and serve no more."""
        self._stopping.set()
        if self._service is not None:
            self.destroy_service(self._service)
            self._service = None

    def destroy_node(self) -> None:
        """Stop first: an estimate may be running."""
        self.stop()
        super().destroy_node()

    def _answer(
        self, request: EstimateDepth.Request, response: EstimateDepth.Response
    ) -> EstimateDepth.Response:
        """Convert in, estimate, calibrate, convert out."""

        def work() -> None:
            observation = observation_from_msg(request.observation)
            estimate = self._estimator.estimate(
                as_video(observation), cancelled=self._stopping.is_set
            )[0]
            found = calibrate(
                estimate, observation.depth, self._calibration, kind=self._estimator.kind
            )
            header = make_header(observation.frame_id, observation.stamp)
            header.frame_id = request.observation.depth.header.frame_id or header.frame_id
            response.depth = image_from_array(found.apply(estimate), '32FC1', header)
            response.scale, response.shift = found.scale, found.shift
            response.inlier_share, response.residual = found.inlier_share, found.residual

        return run_service(response, work, self.get_logger())


def as_video(observation: Observation) -> Video:
    """Return an image with its depth as the shortest video: two equal frames."""
    depth = np.where(observation.depth > 0, observation.depth, np.float32(np.nan))
    return Video(
        np.stack([observation.color] * 2),
        np.array([0.0, HELD]),
        source='camera',
        depth=np.stack([depth] * 2).astype(np.float32),
        camera_poses=np.stack([observation.T_world_camera] * 2),
    )


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run_node(DepthNode, args)
