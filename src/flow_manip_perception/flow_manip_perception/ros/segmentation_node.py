# SPDX-License-Identifier: Apache-2.0
"""Serves segmentation by words."""

from __future__ import annotations

from typing import Any

from flow_manip_msgs.msg import InstanceMask, InstanceMasks
from flow_manip_msgs.srv import Segment
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.service import Service

from flow_manip_core.errors import FlowManipError
from flow_manip_core.observation import Observation
from flow_manip_perception.segmentation import Segmenter, SEGMENTERS
from flow_manip_ros import qos
from flow_manip_ros.conversions import make_header, msg_from_mask, observation_from_msg
from flow_manip_ros.goals import run_service
from flow_manip_ros.nodes import ManagedNode, run_node


class SegmentationNode(ManagedNode):
    """Answers `segment`; shows the last answer on `perception/<camera>/masks`."""

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters and build the backend; `kwargs` go to the node."""
        super().__init__('segmentation_node', **kwargs)
        context = self.parameters.context()
        self._camera = context.rig.camera.name
        self._segmenter: Segmenter = self.parameters.backend(SEGMENTERS, 'tabletop', context)
        self.parameters.check()
        self._service: Service | None = None

    def set_up(self) -> None:
        """Create the publisher."""
        self._masks = self.create_publisher(
            InstanceMasks, f'perception/{self._camera}/masks', qos.LATCHED
        )

    def start(self) -> None:
        """Serve."""
        self._service = self.create_service(
            Segment, 'segment', self._segment, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def stop(self) -> None:
        """Stop serving."""
        if self._service is not None:
            self.destroy_service(self._service)
            self._service = None

    def tear_down(self) -> None:
        """Give the publisher back."""
        if hasattr(self, '_masks'):
            self.destroy_publisher(self._masks)
            del self._masks

    def _segment(self, request: Segment.Request, response: Segment.Response) -> Segment.Response:
        def work() -> None:
            observation = observation_from_msg(request.observation)
            try:
                mask = self._segmenter.segment(observation, request.phrase)
            except FlowManipError:
                response.seen = self._seen(observation)
                raise
            header = make_header(observation.frame_id, observation.stamp)
            response.mask = msg_from_mask(mask, header)
            response.seen = self._segmenter.describe(observation)
            self._show(response.mask)

        return run_service(response, work, self.get_logger())

    def _seen(self, observation: Observation) -> list[str]:
        """Return what is seen; nothing where that is what failed."""
        try:
            return self._segmenter.describe(observation)
        except FlowManipError as error:
            self.get_logger().warning(f'nothing to describe: {error.name} {error}')
            return []

    def _show(self, mask: InstanceMask) -> None:
        self._masks.publish(InstanceMasks(header=mask.header, masks=[mask]))


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run_node(SegmentationNode, args)
