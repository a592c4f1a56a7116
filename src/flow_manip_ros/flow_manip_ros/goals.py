# SPDX-License-Identifier: Apache-2.0
"""Serving goals: one at a time, cancellable always, each in exactly one terminal state."""

from __future__ import annotations

from collections.abc import Callable
import threading
import traceback
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from flow_manip_core.errors import CancelledError, FlowManipError


def run_goal(
    goal_handle: ServerGoalHandle, result: Any, work: Callable[[], None], logger: Any
) -> Any:
    """Run `work`, which fills `result`, and put the goal into its terminal state.

    An exception that escapes an execute callback would reach the client as a default result, so
    nothing does.
    """
    try:
        work()
    except CancelledError as error:
        fail(result, error)
        _finish(goal_handle, 'canceled' if goal_handle.is_cancel_requested else 'abort')
    except FlowManipError as error:
        logger.warning(f'goal failed: {error.name} ({error.code}) {error}')
        fail(result, error)
        _finish(goal_handle, 'abort')
    except Exception as error:  # a bug must not look like success
        logger.error(f'goal failed on a bug\n{traceback.format_exc()}')
        result.error_code, result.error_msg = result.UNKNOWN, repr(error)
        _finish(goal_handle, 'abort')
    else:
        result.error_code, result.error_msg = result.NONE, ''
        _finish(goal_handle, 'succeed')
    return result


def fail(result: Any, error: FlowManipError) -> None:
    """Write `error` into a result or response with `error_code` and `error_msg`."""
    # The root class stands for "unknown"; every interface has an UNKNOWN of its own.
    known = type(error) is not FlowManipError or error.code != FlowManipError.code
    result.error_code = error.code if known else result.UNKNOWN
    result.error_msg = str(error)


def run_service(response: Any, work: Callable[[], None], logger: Any) -> Any:
    """Run `work`, which fills `response`; errors become its code and message."""
    try:
        work()
    except FlowManipError as error:
        fail(response, error)
    except Exception as error:  # an exception would end the node's executor
        logger.error(f'service failed on a bug\n{traceback.format_exc()}')
        response.error_code, response.error_msg = response.UNKNOWN, repr(error)
    else:
        response.error_code, response.error_msg = response.NONE, ''
    return response


def _finish(goal_handle: ServerGoalHandle, state: str) -> None:
    """Make the terminal transition; on shutdown the goal may already be gone."""
    if goal_handle.is_active:
        getattr(goal_handle, state)()


class SingleGoalServer:
    """An action server that works on one goal at a time and refuses others meanwhile.

    Args:
        node: owner.
        action_type: e.g. `PlanFromFlow`.
        name: of the action.
        work: called with (goal_handle, result, cancelled) in a thread of its own; fills `result`,
            raises FlowManipError.
            `cancelled()` turns True on a cancel request and on shutdown.
    """

    def __init__(
        self,
        node: Node,
        action_type: Any,
        name: str,
        work: Callable[[ServerGoalHandle, Any, Callable[[], bool]], None],
    ) -> None:
        """Start serving."""
        self._node, self._type, self._name, self._work = node, action_type, name, work
        self._busy = threading.Lock()
        self._closing = threading.Event()
        self._server = ActionServer(
            node,
            action_type,
            name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    @property
    def busy(self) -> bool:
        """True while a goal is worked on."""
        return self._busy.locked()

    def close(self) -> None:
        """Ask the running goal to stop and take no more."""
        self._closing.set()

    def destroy(self) -> None:
        """Close and give the server back; a second time does nothing."""
        self.close()
        if self._server in list(self._node.waitables):
            self._server.destroy()

    def _on_goal(self, _: Any) -> GoalResponse:
        if self._closing.is_set() or not self._busy.acquire(blocking=False):
            self._node.get_logger().warning(f'{self._name}: goal rejected, another one is running')
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _execute(self, goal_handle: ServerGoalHandle) -> Any:
        result = self._type.Result()
        try:
            return run_goal(
                goal_handle,
                result,
                lambda: self._work(
                    goal_handle,
                    result,
                    lambda: goal_handle.is_cancel_requested or self._closing.is_set(),
                ),
                self._node.get_logger(),
            )
        finally:
            self._busy.release()
