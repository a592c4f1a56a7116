# SPDX-License-Identifier: Apache-2.0
"""Serves `execute_plan` by driving the robot's trajectory and gripper controllers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from control_msgs.action import FollowJointTrajectory, GripperCommand
from control_msgs.msg import JointTolerance
from flow_manip_msgs.action import ExecutePlan
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from sensor_msgs.msg import JointState

from flow_manip_control.execution import ExecutionConfig, PlanExecutor
from flow_manip_control.monitoring import MonitorConfig, ObjectMonitor
from flow_manip_control.ros.tracked_pose import TopicTracker
from flow_manip_core.errors import (
    ControllerRejectedError,
    RejectedError,
    StageTimeoutError,
    StaleInputError,
    ToleranceViolatedError,
)
from flow_manip_core.plan import GripperReading, Trajectory
from flow_manip_core.robot import RobotConfig
from flow_manip_ros import qos
from flow_manip_ros.calls import ActionClient, call_action
from flow_manip_ros.conversions import (
    duration_from_seconds,
    msg_from_trajectory,
    plan_from_msg,
    seconds_from_stamp,
)
from flow_manip_ros.goals import SingleGoalServer
from flow_manip_ros.nodes import PlainNode, run_node
from flow_manip_ros.watchdog import PeerWatch

Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class ControlConfig:
    """Parameters of the node.

    Attributes:
        state_timeout: joint states older than this stop the arm [s].
        duration_factor: a motion may take this many times its planned time ...
        duration_margin: ... plus this [s].
        goal_tolerance: of each joint at the end of a motion [rad].
        driver: node whose death stops everything; empty: nobody is watched.
        driver_silence: how long after its lease the driver still counts as alive [s].
        tracked_pose: topic of the object's tracked pose; empty: the rig's camera's.
        execution: limits and thresholds.
        monitor: how far the tracked object may be off its flow.
    """

    state_timeout: float = field(
        default=0.1, metadata={'doc': 'Older joint states stop the arm [s]'}
    )
    duration_factor: float = field(
        default=1.5, metadata={'doc': 'Longest time of a motion over its plan'}
    )
    duration_margin: float = field(
        default=3.0, metadata={'doc': 'Added to the longest time of a motion [s]'}
    )
    goal_tolerance: float = field(
        default=0.02, metadata={'doc': 'Of each joint at the end of a motion [rad]'}
    )
    driver: str = field(default='', metadata={'doc': 'Node whose death stops the arm'})
    driver_silence: float = field(default=0.05, metadata={'doc': 'After its lease [s]'})
    tracked_pose: str = field(
        default='', metadata={'doc': "Topic; empty: perception/<the rig's camera>/tracked_pose"}
    )
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)


class JointStates:
    """Remembers the newest joint state and how old it is by the ROS clock."""

    def __init__(self, node: PlainNode, timeout: float) -> None:
        """Subscribe to `joint_states`."""
        self._node, self._timeout = node, timeout
        self._positions: dict[str, float] = {}
        self._stamp = float('-inf')
        node.create_subscription(
            JointState,
            'joint_states',
            self._on_state,
            qos.SENSOR,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    def _on_state(self, message: JointState) -> None:
        # Arm and hand may publish separately.
        self._positions = {**self._positions, **dict(zip(message.name, message.position))}
        self._stamp = seconds_from_stamp(message.header.stamp)

    def age(self) -> float:
        """Return seconds since the newest state was stamped."""
        return self._node.get_clock().now().nanoseconds * 1e-9 - self._stamp

    def positions(self) -> dict[str, float]:
        """Return all joints [rad, m].

        Raises:
            StaleInputError: none came yet, or the newest is too old.
        """
        age = self.age()
        if age > self._timeout:
            raise StaleInputError(
                f'the newest joint state is {age:.2f} s old, limit {self._timeout} s'
            )
        return self._positions


class ControllerArm:
    """An arm behind a FollowJointTrajectory server."""

    def __init__(
        self,
        node: PlainNode,
        robot: RobotConfig,
        config: ControlConfig,
        states: JointStates,
        watch: PeerWatch | None,
    ) -> None:
        """Connect to ``robot.trajectory_action``."""
        self._node, self._robot, self._config, self._states, self._watch = (
            node,
            robot,
            config,
            states,
            watch,
        )
        self._client = ActionClient(
            node,
            FollowJointTrajectory,
            robot.trajectory_action,
            callback_group=ReentrantCallbackGroup(),
        )

    def joint_positions(self) -> dict[str, float]:
        """Return the newest joints."""
        return self._states.positions()

    def follow(
        self, trajectory: Trajectory, cancelled: Cancelled, goal_tolerance: float = 0.0
    ) -> None:
        """Send the trajectory and wait for its end."""
        goal = FollowJointTrajectory.Goal(trajectory=msg_from_trajectory(trajectory))
        tolerance = goal_tolerance or self._config.goal_tolerance
        goal.goal_tolerance = [
            JointTolerance(name=name, position=tolerance) for name in trajectory.joint_names
        ]
        goal.goal_time_tolerance = duration_from_seconds(self._config.duration_margin)
        limit = trajectory.duration * self._config.duration_factor + self._config.duration_margin
        deadline = _Deadline(self._node, limit, f'a motion of {trajectory.duration:.1f} s')

        def interrupted() -> bool:
            if self._states.age() > self._config.state_timeout:
                stale.append(self._states.age())
                return True
            return deadline.passed() or cancelled()

        stale: list[float] = []
        try:
            # By the wall a slow simulation may take far longer than by the ROS clock, which
            # `deadline` follows.
            result = call_action(
                self._client,
                goal,
                timeout=20 * limit + 60,
                cancelled=interrupted,
                watch=self._watch,
            )
        except RejectedError as error:
            raise ControllerRejectedError(f'{self._robot.trajectory_action}: {error}') from error
        except Exception:
            if stale:
                raise StaleInputError(
                    f'joint states stopped {stale[0]:.2f} s ago during the motion'
                ) from None
            deadline.check()
            raise
        if result.error_code in (result.PATH_TOLERANCE_VIOLATED, result.GOAL_TOLERANCE_VIOLATED):
            raise ToleranceViolatedError(f'{self._robot.trajectory_action}: {result.error_string}')
        if result.error_code != result.SUCCESSFUL:
            raise ControllerRejectedError(
                f'{self._robot.trajectory_action}: code {result.error_code} {result.error_string}'
            )

    def stop(self) -> None:
        """Brake; every motion here brakes when it is cancelled, so nothing is left to do."""


class ControllerGripper:
    """A gripper behind a GripperCommand server.

    Its position is the travel of one finger, half the opening, as ros2_control has it.
    """

    def __init__(
        self, node: PlainNode, robot: RobotConfig, states: JointStates, watch: PeerWatch | None
    ) -> None:
        """Connect to ``robot.gripper_action``."""
        self._node, self._robot, self._states, self._watch = node, robot, states, watch
        self._client = ActionClient(
            node, GripperCommand, robot.gripper_action, callback_group=ReentrantCallbackGroup()
        )

    def width(self) -> float:
        """Return the opening between the fingers [m]."""
        positions = self._states.positions()
        try:
            return sum(positions[name] for name in self._robot.gripper.joint_names)
        except KeyError as error:
            raise StaleInputError(f'no joint state of {error}') from error

    def move(self, width: float, effort: float, cancelled: Cancelled) -> GripperReading:
        """Open or close and wait until the fingers rest."""
        goal = GripperCommand.Goal()
        goal.command.position = width / 2.0
        goal.command.max_effort = effort
        deadline = _Deadline(self._node, 10.0, 'the gripper')
        try:
            result = call_action(
                self._client,
                goal,
                timeout=300.0,
                cancelled=lambda: deadline.passed() or cancelled(),
                watch=self._watch,
            )
        except RejectedError as error:
            raise ControllerRejectedError(f'{self._robot.gripper_action}: {error}') from error
        except Exception:
            deadline.check()
            raise
        return GripperReading(width=2.0 * result.position, stalled=result.stalled)


class _Deadline:
    """A time-out by the ROS clock."""

    def __init__(self, node: PlainNode, seconds: float, what: str) -> None:
        self._node, self._seconds, self._what = node, seconds, what
        self._begun = node.get_clock().now()

    def passed(self) -> bool:
        return (self._node.get_clock().now() - self._begun).nanoseconds * 1e-9 > self._seconds

    def check(self) -> None:
        if self.passed():
            raise StageTimeoutError(f'{self._what} took longer than {self._seconds:.1f} s')


class ControlNode(PlainNode):
    """The node `control_node`.

    Attributes:
        states: the robot's joints as last heard.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Connect to the controllers and serve `execute_plan`."""
        super().__init__('control_node', **kwargs)
        context = self.parameters.context()
        config = self.parameters.dataclass(ControlConfig)
        self.parameters.check()
        watch = None
        if config.driver:
            watch = PeerWatch(self, config.driver, patience=config.driver_silence)
        self.states = JointStates(self, config.state_timeout)
        arm = ControllerArm(self, context.robot, config, self.states, watch)
        gripper = ControllerGripper(self, context.robot, self.states, watch)
        self._executor_of_plans = PlanExecutor(arm, gripper, context, config.execution)
        topic = config.tracked_pose or f'perception/{context.rig.camera.name}/tracked_pose'
        self._tracker = TopicTracker(self, topic, context.rig.frame_id)
        self._monitor_config, self._said_open = config.monitor, False
        self._server = SingleGoalServer(self, ExecutePlan, 'execute_plan', self._execute)

    def _execute(self, goal_handle: Any, result: ExecutePlan.Result, cancelled: Cancelled) -> None:
        plan = plan_from_msg(goal_handle.request.plan)

        def on_segment(index: int, name: str, progress: float) -> None:
            result.segments_done = index
            goal_handle.publish_feedback(
                ExecutePlan.Feedback(segment=index, name=name, progress=progress)
            )

        monitor = ObjectMonitor(
            self._tracker, lambda: self.get_clock().now().nanoseconds * 1e-9, self._monitor_config
        )
        try:
            outcome = self._executor_of_plans.execute(
                plan, on_segment=on_segment, cancelled=cancelled, monitor=monitor
            )
        finally:
            self._report(monitor)
        result.segments_done = outcome.segments_done
        result.final_gripper_width = outcome.final_gripper_width

    def _report(self, monitor: ObjectMonitor) -> None:
        """Say how well the object followed its flow, or, once, that nobody looks."""
        if monitor.worst is not None:
            self.get_logger().info(
                f'the object was at most {monitor.worst} ({monitor.looks} poses compared)'
            )
        elif not monitor.tracking and not self._said_open:
            self._said_open = True
            self.get_logger().info(
                f'{self._tracker.topic} has no fresh poses: plans run open loop, only the fingers '
                'tell whether the object is held'
            )


def main() -> None:
    """Run the node."""
    run_node(ControlNode)


if __name__ == '__main__':
    main()
