# SPDX-License-Identifier: Apache-2.0
"""Shows in the browser what the topics carry."""

from __future__ import annotations

from typing import Any

from flow_manip_msgs.msg import InstanceMasks, ObjectFlow, Plan, StageReport
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState

from flow_manip_core.errors import FlowManipError
from flow_manip_ros import qos
from flow_manip_ros.conversions import flow_from_msg, mask_from_msg, plan_from_msg
from flow_manip_ros.nodes import PlainNode, run_node
from flow_manip_task.ros.observing import Observer, ObservingConfig
from flow_manip_task.viewer import LOOPBACK, SceneView


class ViewerNode(PlainNode):
    """A browser view of cloud, masks, flow, grasps, plan and robot."""

    def __init__(self, **kwargs: Any) -> None:
        """Declare parameters, start serving, subscribe."""
        super().__init__('viewer_node', **kwargs)
        context = self.parameters.context()
        port = self.parameters.value('port', 8080, 'Of the page')
        host = self.parameters.value('host', LOOPBACK, 'Address to serve on; this machine only')
        period = self.parameters.value('period', 1.0, 'Between clouds while no goal runs [s]')
        self.parameters.check()
        self._view = SceneView(port, robot=context.robot, rig=context.rig, host=host)
        self._observer = Observer(self, context.rig, ObservingConfig())
        self._stage = ''
        group = MutuallyExclusiveCallbackGroup()
        masks = f'perception/{context.rig.camera.name}/masks'
        for kind, topic, callback, profile in (
            (InstanceMasks, masks, self._on_masks, qos.LATCHED),
            (ObjectFlow, 'world_model/object_flow', self._on_flow, qos.LATCHED),
            (Plan, 'planning/plan', self._on_plan, qos.LATCHED),
            (StageReport, 'task/status', self._on_status, qos.LATCHED),
            (JointState, 'joint_states', self._on_joints, qos.SENSOR),
        ):
            self.create_subscription(kind, topic, callback, profile, callback_group=group)
        self.create_timer(
            period,
            self._look,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self.get_logger().info(f'open {self._view.url}')

    def destroy_node(self) -> None:
        """Stop serving."""
        self._view.close()
        super().destroy_node()

    def _look(self) -> None:
        """Show a new cloud, unless a goal's own picture is being looked at."""
        if self._stage not in ('', 'OBSERVING', 'DONE', 'CHECKING'):
            return
        try:
            self._view.show_observation(self._observer.observe(cancelled=lambda: False))
        except FlowManipError as error:
            self.get_logger().warning(f'no cloud: {error}', throttle_duration_sec=10.0)

    def _on_masks(self, message: InstanceMasks) -> None:
        self._shown(lambda: self._view.show_masks([mask_from_msg(m) for m in message.masks]))

    def _on_flow(self, message: ObjectFlow) -> None:
        self._shown(lambda: self._view.show_flow(flow_from_msg(message)))

    def _on_plan(self, message: Plan) -> None:
        self._shown(lambda: self._view.show_plan(plan_from_msg(message)))

    def _on_status(self, message: StageReport) -> None:
        self._stage = message.stage
        ended = ' ended' if message.ended else ''
        self._view.show_text(f'**{message.stage.lower()}**{ended}\n\n{message.text[:300]}')

    def _on_joints(self, message: JointState) -> None:
        self._view.show_joints(dict(zip(message.name, message.position)))

    def _shown(self, show: Any) -> None:
        """Show something; what is malformed is said, not shown."""
        try:
            show()
        except FlowManipError as error:
            self.get_logger().warning(f'not shown: {error}')


def main() -> None:
    """Run the node."""
    run_node(ViewerNode)
