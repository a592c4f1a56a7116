# SPDX-License-Identifier: Apache-2.0
"""Serves `manipulate`: the state machine over the stages' nodes."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import threading
import time
from typing import Any

from flow_manip_msgs.action import Manipulate
from flow_manip_msgs.msg import ObjectFlow as ObjectFlowMsg
from flow_manip_msgs.msg import StageReport
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from flow_manip_core.errors import error_from_code, Stage
from flow_manip_ros import qos
from flow_manip_ros.conversions import color_from_image, msg_from_flow
from flow_manip_ros.goals import SingleGoalServer
from flow_manip_ros.markers import cloud_from_observation, flow_markers, plan_markers
from flow_manip_ros.nodes import PlainNode, run_node
from flow_manip_task.checking import CheckConfig
from flow_manip_task.image_check import ImageCheckConfig
from flow_manip_task.listener import error_code, Listener, Listeners
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.policy import ManipulationConfig
from flow_manip_task.record import RunRecord
from flow_manip_task.ros.observing import Observer, ObservingConfig
from flow_manip_task.ros.stage_clients import StageClients, TimeoutsConfig
from flow_manip_task.stages import ManipulateRequest, ManipulationResult

FEEDBACK_PERIOD = 0.4  # [s] feedback comes at least this often while a goal runs


class TaskNode(PlainNode):
    """The `manipulate` action; one goal at a time, others are rejected meanwhile."""

    def __init__(self, **kwargs: Any) -> None:
        """Declare parameters, connect to the stages, start serving."""
        super().__init__('task_node', **kwargs)
        value, context = self.parameters.value, self.parameters.context()
        pipeline = value('pipeline', 'default', 'Name of the pipeline that was launched')
        config = ManipulationConfig(
            max_attempts=value('max_attempts', 3, 'How often a goal is tried'),
            max_planned_flows=value('max_planned_flows', 2, 'Candidates that are planned for'),
            recover_after_failure=value(
                'recover_after_failure', True, 'Withdraw the arm also after the last attempt'
            ),
            pipeline=pipeline,
            check=self.parameters.dataclass(CheckConfig, 'check.'),
            image_check=self.parameters.dataclass(ImageCheckConfig, 'image_check.'),
        )
        folder = value('record_folder', '', "Where records go; empty: FLOW_MANIP_RUNS or './runs'")
        self._records = Path(folder or os.environ.get('FLOW_MANIP_RUNS') or 'runs')
        observing = self.parameters.dataclass(ObservingConfig, 'observing.')
        timeouts = self.parameters.dataclass(TimeoutsConfig, 'timeouts.')
        track = value('track', False, 'Have tracking_node follow the object while a plan runs')
        self.parameters.check()
        self._about = {
            'pipeline': pipeline,
            'robot': context.robot.name,
            'rig': self.get_parameter('rig').value,
        }
        self._gripper = context.robot.gripper
        self._status = self.create_publisher(StageReport, 'task/status', qos.LATCHED)
        self._flow = self.create_publisher(ObjectFlowMsg, 'world_model/object_flow', qos.LATCHED)
        self._cloud = self.create_publisher(PointCloud2, 'task/cloud', qos.LATCHED)
        self._flow_markers = self.create_publisher(MarkerArray, 'task/flow_markers', qos.LATCHED)
        self._plan_markers = self.create_publisher(MarkerArray, 'task/plan_markers', qos.LATCHED)
        self._observer = Observer(self, context.rig, observing)
        self._stage_clients = StageClients(
            self, self._observer, context.robot, timeouts, track=track
        )
        self._manipulation = Manipulation(
            self._stage_clients.stages, config, open_record=self._open_record
        )
        self._feedback: _Feedback | None = None
        self.create_timer(
            FEEDBACK_PERIOD,
            self._repeat_feedback,
            callback_group=MutuallyExclusiveCallbackGroup(),
            # Simulated time may stand still; people wait in real time.
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._server = SingleGoalServer(self, Manipulate, 'manipulate', self._manipulate)

    def destroy_node(self) -> None:
        """Stop the running goal, then the node."""
        self._server.close()
        super().destroy_node()

    def _open_record(self, request: ManipulateRequest) -> RunRecord:
        return RunRecord(self._records, request, about=self._about)

    def _manipulate(
        self, goal_handle: ServerGoalHandle, result: Any, cancelled: Callable[[], bool]
    ) -> None:
        """Work on one goal and fill `result`; raises the error that ended it."""
        goal = goal_handle.request
        self._feedback = _Feedback(goal_handle)
        goal_id = bytes(goal_handle.goal_id.uuid).hex()
        listener = Listeners([self._feedback, _Announcer(self, goal_id)])
        self.get_logger().info(f"goal accepted: '{goal.instruction[:120]}'")
        try:
            request = ManipulateRequest(
                instruction=goal.instruction,
                object=goal.object,
                goal_image=color_from_image(goal.goal_image) if goal.goal_image.data else None,
                seed=goal.seed,
                dry_run=goal.dry_run,
                pipeline=goal.pipeline,
            )
            ended = self._manipulation.run(request, cancelled=cancelled, listener=listener)
        finally:
            self._feedback = None
        _fill(result, ended)
        self.get_logger().info(f'{ended.sentence}; record: {ended.record_path or "none"}')
        if ended.traceback:
            self.get_logger().error(f'a bug ended the goal\n{ended.traceback}')
        if not ended.succeeded:
            raise error_from_code(ended.code, ended.message)

    def _repeat_feedback(self) -> None:
        feedback = self._feedback
        if feedback is not None:
            feedback.publish()

    def publish_status(self, report: StageReport) -> None:
        """Publish a stage report with the time of now."""
        report.stamp = self.get_clock().now().to_msg()
        self._status.publish(report)

    def publish_value(self, name: str, value: Any) -> None:
        """Publish what other nodes and RViz show of a goal."""
        if name.startswith('observation'):
            self._cloud.publish(cloud_from_observation(value))
        elif name == 'flow':
            self._flow.publish(msg_from_flow(value))
            self._flow_markers.publish(flow_markers([value]))
        elif name == 'plan':
            self._plan_markers.publish(plan_markers(value, self._gripper))


def _fill(result: Any, ended: ManipulationResult) -> None:
    """Write everything but code and message, which the goal runner sets."""
    result.failure_stage = int(ended.failure)
    result.stage_names = list(ended.seconds)
    result.stage_seconds = [float(seconds) for seconds in ended.seconds.values()]
    result.final_error_metres = float(ended.final_error_metres)
    result.final_error_degrees = float(ended.final_error_degrees)
    result.record_path = ended.record_path


class _Feedback(Listener):
    """Publishes a goal's feedback at each change, and again when asked."""

    def __init__(self, goal_handle: ServerGoalHandle) -> None:
        self._goal_handle = goal_handle
        self._message = Manipulate.Feedback(attempt=1)
        self._begun = time.monotonic()
        self._lock = threading.Lock()

    def publish(self) -> None:
        """Publish the present state with the seconds so far."""
        with self._lock:
            self._message.seconds = time.monotonic() - self._begun
            # On shutdown or after a loss the goal may already be gone.
            if self._goal_handle.is_active:
                self._goal_handle.publish_feedback(self._message)

    def on_stage_begun(self, stage: Stage, attempt: int, text: str) -> None:
        self.on_stage(stage, attempt, 1.0 if stage is Stage.DONE else 0.0, text)

    def on_stage(self, stage: Stage, attempt: int, progress: float, text: str) -> None:
        with self._lock:
            self._message = Manipulate.Feedback(
                stage=stage.value, attempt=max(attempt, 1), progress=float(progress), text=text
            )
        self.publish()


class _Announcer(Listener):
    """Publishes stage reports and what the stages made."""

    def __init__(self, node: TaskNode, goal_id: str) -> None:
        self._node, self._goal_id = node, goal_id

    def on_stage_begun(self, stage: Stage, attempt: int, text: str) -> None:
        self._node.publish_status(
            StageReport(goal_id=self._goal_id, stage=stage.name, attempt=attempt, text=text)
        )

    def on_stage_ended(
        self, stage: Stage, attempt: int, seconds: float, error: Exception | None
    ) -> None:
        self._node.publish_status(
            StageReport(
                goal_id=self._goal_id,
                stage=stage.name,
                attempt=attempt,
                ended=True,
                seconds=float(seconds),
                error_code=error_code(error),
                text=str(error or ''),
            )
        )

    def on_value(self, name: str, attempt: int, value: Any) -> None:
        self._node.publish_value(name, value)


def main() -> None:
    """Run the node."""
    run_node(TaskNode)
