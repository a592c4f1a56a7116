# SPDX-License-Identifier: Apache-2.0
"""`FollowJointTrajectory` as ros2_control's joint_trajectory_controller serves it."""

from __future__ import annotations

from collections.abc import Sequence
import threading
from typing import Any

from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
import numpy as np
from numpy.typing import NDArray
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from flow_manip_core.errors import BadTrajectoryError
from flow_manip_mujoco.panda import ARM_JOINTS
from flow_manip_mujoco.runner import CellRunner
from flow_manip_mujoco.splines import SplineTrajectory
from flow_manip_mujoco.tracking import Outcome, ToleranceConfig, Tolerances, TrajectoryExecution
from flow_manip_ros.conversions import duration_from_seconds, make_header, seconds_from_stamp

_FEEDBACK_EVERY = 5  # ticks
_Result = FollowJointTrajectory.Result
_CODES = {
    Outcome.SUCCEEDED: _Result.SUCCESSFUL,
    Outcome.CANCELLED: _Result.SUCCESSFUL,
    Outcome.PATH_VIOLATED: _Result.PATH_TOLERANCE_VIOLATED,
    Outcome.GOAL_VIOLATED: _Result.GOAL_TOLERANCE_VIOLATED,
    Outcome.REPLACED: _Result.INVALID_GOAL,
}


class _Motion:
    """A goal on its way."""

    def __init__(self, goal_handle: ServerGoalHandle, execution: TrajectoryExecution) -> None:
        self.goal_handle, self.execution = goal_handle, execution
        self.done = threading.Event()
        self.ticks = 0


class TrajectoryServer:
    """Serves the arm. A new goal takes over from the running one, which is aborted."""

    def __init__(
        self, node: Node, name: str, runner: CellRunner, defaults: ToleranceConfig
    ) -> None:
        """Start serving the action `name`."""
        self._node, self._runner, self._defaults = node, runner, defaults
        self._motion: _Motion | None = None
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def destroy(self) -> None:
        """Give up the running goal and stop serving."""
        self.abandon()
        self._server.destroy()

    def abandon(self) -> None:
        """End the running goal as if another had replaced it (the cell is reset)."""
        with self._runner.lock:
            if self._motion is not None:
                self._motion.execution.replace()
                self._finish(self._motion)

    def tick(self, now: float) -> None:
        """Look at the running goal; called with the runner's lock held.

        Args:
            now: of the runner's clock [s].
        """
        motion = self._motion
        if motion is None:
            return
        cell = self._runner.cell
        if motion.goal_handle.is_cancel_requested:
            motion.execution.cancel(cell.time)
        velocity = cell.arm_controller.velocities(cell.data)
        if motion.execution.update(cell.time, velocity) is not Outcome.RUNNING:
            self._finish(motion)
            return
        motion.ticks += 1
        if motion.ticks % _FEEDBACK_EVERY == 0 and motion.goal_handle.is_active:
            motion.goal_handle.publish_feedback(self._feedback(now, velocity))

    def _on_goal(self, request: FollowJointTrajectory.Goal) -> GoalResponse:
        try:
            spline = spline_from_msg(request.trajectory)
            tolerances_from_goal(request, self._defaults)
            with self._runner.lock:
                self._check_start(request.trajectory, spline)
        except BadTrajectoryError as error:
            self._node.get_logger().error(f'trajectory rejected: {error}')
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _check_start(self, message: JointTrajectory, spline: SplineTrajectory) -> None:
        """Refuse a trajectory that lies in the past."""
        start = seconds_from_stamp(message.header.stamp)
        end = start + spline.duration
        if start > 0 and end < self._runner.time:
            raise BadTrajectoryError(f'it ends at {end:.3f} s, now is {self._runner.time:.3f} s')

    def _execute(self, goal_handle: ServerGoalHandle) -> FollowJointTrajectory.Result:
        motion = self._begin(goal_handle)
        motion.done.wait()
        execution = motion.execution
        result = _Result(error_code=_CODES[execution.outcome], error_string=execution.message)
        if not goal_handle.is_active:
            return result
        if execution.outcome is Outcome.SUCCEEDED:
            goal_handle.succeed()
        elif execution.outcome is Outcome.CANCELLED:
            goal_handle.canceled()
        else:
            self._node.get_logger().warning(f'trajectory aborted: {execution.message}')
            goal_handle.abort()
        return result

    def _begin(self, goal_handle: ServerGoalHandle) -> _Motion:
        """Replace the running motion by the goal's."""
        request = goal_handle.request
        spline = spline_from_msg(request.trajectory)
        tolerances = tolerances_from_goal(request, self._defaults)
        with self._runner.lock:
            self.abandon()
            cell = self._runner.cell
            stamp = seconds_from_stamp(request.trajectory.header.stamp)
            # The message counts on the runner's clock, the cell on its own.
            wait = stamp - self._runner.time if stamp > 0 else 0.0
            if wait >= 0:
                spline = spline.starting_from(cell.arm_controller.reference, wait)
            execution = TrajectoryExecution(
                cell.arm_controller, spline, tolerances, cell.time, cell.time + min(wait, 0.0)
            )
            self._motion = _Motion(goal_handle, execution)
            return self._motion

    def _finish(self, motion: _Motion) -> None:
        if self._motion is motion:
            self._motion = None
        motion.done.set()

    def _feedback(self, now: float, velocity: NDArray) -> FollowJointTrajectory.Feedback:
        controller = self._runner.cell.arm_controller
        reference = controller.reference
        return FollowJointTrajectory.Feedback(
            header=make_header('', now),
            joint_names=list(ARM_JOINTS),
            desired=_point(now, reference.position, reference.velocity),
            actual=_point(now, controller.measured, velocity),
            error=_point(now, controller.error, reference.velocity - velocity),
        )


def spline_from_msg(message: JointTrajectory) -> SplineTrajectory:
    """Read a trajectory of exactly the arm's joints, in any order.

    Velocities and accelerations are used if every point has them.

    Raises:
        BadTrajectoryError: joints, sizes or times are wrong, a value is not finite, or it does not
            end at rest.
    """
    if sorted(message.joint_names) != sorted(ARM_JOINTS):
        raise BadTrajectoryError(
            f'joints are {list(message.joint_names)}, expected {list(ARM_JOINTS)}'
        )
    if not message.points:
        raise BadTrajectoryError('it has no points')
    order = [message.joint_names.index(name) for name in ARM_JOINTS]
    positions = _rows([point.positions for point in message.points], 'positions', order)
    velocities = _rows([point.velocities for point in message.points], 'velocities', order)
    accelerations = _rows(
        [point.accelerations for point in message.points], 'accelerations', order
    )
    if positions is None:
        raise BadTrajectoryError('its points have no positions')
    if velocities is None:
        accelerations = None
    elif np.abs(velocities[-1]).max() > 1e-3:
        raise BadTrajectoryError(f'it ends at velocities {velocities[-1].tolist()}, not at rest')
    times = [
        point.time_from_start.sec + point.time_from_start.nanosec * 1e-9
        for point in message.points
    ]
    if times[0] < 0:
        raise BadTrajectoryError(f'it starts at {times[0]} s')
    return SplineTrajectory(times, positions, velocities, accelerations)


def tolerances_from_goal(
    goal: FollowJointTrajectory.Goal, defaults: ToleranceConfig
) -> Tolerances:
    """Read a goal's tolerances: 0 keeps the default, negative lifts the bound.

    Those of accelerations are passed over: nothing measures them.

    Raises:
        BadTrajectoryError: it names a joint that the arm lacks, or bounds joints of several
            degrees of freedom.
    """
    if goal.component_path_tolerance or goal.component_goal_tolerance:
        raise BadTrajectoryError('the arm has no joints of several degrees of freedom')
    base = Tolerances.from_config(defaults)
    given = goal.goal_time_tolerance.sec + goal.goal_time_tolerance.nanosec * 1e-9
    path, path_velocity = _bounds(goal.path_tolerance, base.path, base.path_velocity)
    end, end_velocity = _bounds(goal.goal_tolerance, base.goal, base.goal_velocity)
    time = base.goal_time if given == 0 else (np.inf if given < 0 else given)
    return Tolerances(path, path_velocity, end, end_velocity, time)


def _bounds(
    given: Sequence[JointTolerance], position: NDArray, velocity: NDArray
) -> tuple[NDArray, NDArray]:
    """Lay a goal's tolerances over the defaults."""
    position, velocity = position.copy(), velocity.copy()
    for tolerance in given:
        if tolerance.name not in ARM_JOINTS:
            raise BadTrajectoryError(f"tolerance of joint '{tolerance.name}', which the arm lacks")
        joint = ARM_JOINTS.index(tolerance.name)
        for bounds, value in ((position, tolerance.position), (velocity, tolerance.velocity)):
            if not np.isfinite(value):
                raise BadTrajectoryError(f"tolerance of joint '{tolerance.name}' is not finite")
            if value != 0:
                bounds[joint] = value if value > 0 else np.inf
    return position, velocity


def _rows(values: Sequence[Any], what: str, order: list[int]) -> NDArray[np.float64] | None:
    """Stack per-point values in the arm's order; None if no point has any."""
    if not any(len(value) for value in values):
        return None
    if any(len(value) != len(order) for value in values):
        raise BadTrajectoryError(
            f'{what} have {sorted({len(v) for v in values})} values for {len(order)} joints'
        )
    return np.array([list(value) for value in values], dtype=np.float64)[:, order]


def _point(now: float, position: NDArray, velocity: NDArray) -> JointTrajectoryPoint:
    return JointTrajectoryPoint(
        positions=position.tolist(),
        velocities=velocity.tolist(),
        time_from_start=duration_from_seconds(now),
    )
