# SPDX-License-Identifier: Apache-2.0
"""`GripperCommand` as ros2_control's gripper controller serves it.

As there, `position` is the position of the commanded joint: the travel of one finger, half the
opening.
"""

from __future__ import annotations

import threading

from control_msgs.action import GripperCommand
import numpy as np
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from flow_manip_mujoco.control import GripperStatus
from flow_manip_mujoco.runner import CellRunner

_SLACK = 1e-3  # [m] beyond the fingers' travel that is still meant as its end
_FEEDBACK_EVERY = 5  # ticks


class _Command:
    """A goal on its way; `ending` is the goal's terminal transition once it is known."""

    def __init__(self, goal_handle: ServerGoalHandle) -> None:
        self.goal_handle = goal_handle
        self.done = threading.Event()
        self.ending = 'abort'
        self.status: GripperStatus | None = None
        self.ticks = 0


class GripperServer:
    """Serves the gripper. A new goal takes over from the running one, which is aborted."""

    def __init__(self, node: Node, name: str, runner: CellRunner, allow_stalling: bool) -> None:
        """Start serving the action `name`.

        Args:
            node: owner.
            name: of the action.
            runner: of the cell.
            allow_stalling: fingers that are stopped by an object have succeeded; else the goal is
                aborted.
        """
        self._node, self._runner, self._allow_stalling = node, runner, allow_stalling
        self._travel = runner.cell.context.robot.gripper.max_width / 2
        self._command: _Command | None = None
        self._server = ActionServer(
            node,
            GripperCommand,
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
        """Abort the running goal (another takes over, or the cell is reset)."""
        with self._runner.lock:
            if self._command is not None:
                self._finish('abort')

    def tick(self) -> None:
        """Look at the running goal; called with the runner's lock held."""
        command = self._command
        if command is None:
            return
        controller = self._runner.cell.gripper_controller
        status = controller.status
        if command.goal_handle.is_cancel_requested:
            controller.hold(self._runner.cell.model)
            self._finish('canceled')
        elif status.settled:
            ok = status.reached or self._allow_stalling
            self._finish('succeed' if ok else 'abort')
        else:
            command.ticks += 1
            if command.ticks % _FEEDBACK_EVERY == 0 and command.goal_handle.is_active:
                command.goal_handle.publish_feedback(_fill(GripperCommand.Feedback(), status))

    def _on_goal(self, request: GripperCommand.Goal) -> GoalResponse:
        position, effort = request.command.position, request.command.max_effort
        if np.isfinite([position, effort]).all() and (
            -_SLACK <= position <= self._travel + _SLACK and effort >= 0
        ):
            return GoalResponse.ACCEPT
        self._node.get_logger().error(
            f'gripper goal rejected: position {position} m of 0..{self._travel} m of one finger, '
            f'max_effort {effort} N'
        )
        return GoalResponse.REJECT

    def _execute(self, goal_handle: ServerGoalHandle) -> GripperCommand.Result:
        request = goal_handle.request.command
        with self._runner.lock:
            self.abandon()
            command = self._command = _Command(goal_handle)
            self._runner.cell.gripper_controller.move(
                max(2.0 * request.position, 0.0), request.max_effort, self._runner.cell.model
            )
        command.done.wait()
        if goal_handle.is_active:
            getattr(goal_handle, command.ending)()
        assert command.status is not None
        return _fill(GripperCommand.Result(), command.status)

    def _finish(self, ending: str) -> None:
        command, self._command = self._command, None
        assert command is not None
        command.ending, command.status = ending, self._runner.cell.gripper_controller.status
        command.done.set()


def _fill(message: object, status: GripperStatus) -> object:
    """Copy a status into a result or feedback."""
    message.position = status.width / 2  # type: ignore[attr-defined]
    message.effort = status.effort  # type: ignore[attr-defined]
    message.stalled = status.stalled  # type: ignore[attr-defined]
    message.reached_goal = status.reached  # type: ignore[attr-defined]
    return message
