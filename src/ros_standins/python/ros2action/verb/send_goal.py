# SPDX-License-Identifier: Apache-2.0
"""`ros2 action send_goal`."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import signal
from typing import Any, Optional

from action_msgs.msg import GoalStatus
import rclpy
from rclpy.action import ActionClient

from ros2action.api import action_name_completer, ActionTypeCompleter
from ros2action.verb import VerbExtension
from ros2cli.helpers import collect_stdin
from ros2cli.messages import (
    add_values_arguments,
    check_fields,
    interface_class,
    PrototypeCompleter,
    read_values,
)
from ros2cli.node import NODE_NAME_PREFIX
from ros2cli.node.direct import DirectNode
from rosidl_runtime_py import message_to_yaml, set_message_fields
from rosidl_runtime_py.utilities import get_action

STATUS_NAMES = {
    GoalStatus.STATUS_ACCEPTED: 'ACCEPTED',
    GoalStatus.STATUS_EXECUTING: 'EXECUTING',
    GoalStatus.STATUS_CANCELING: 'CANCELING',
    GoalStatus.STATUS_SUCCEEDED: 'SUCCEEDED',
    GoalStatus.STATUS_CANCELED: 'CANCELED',
    GoalStatus.STATUS_ABORTED: 'ABORTED',
}
# rcl waits outside Python: a signal is seen when the wait is over.
SIGNAL_PERIOD = 0.05
ANSWER_TIMEOUT = 2.0


class SendGoalVerb(VerbExtension):
    """Send an action goal."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument(
            'action_name', help="Name of the ROS action (e.g. '/fibonacci')"
        )
        argument.completer = action_name_completer
        argument = parser.add_argument(
            'action_type',
            help="Type of the ROS action (e.g. 'example_interfaces/action/Fibonacci')",
        )
        argument.completer = ActionTypeCompleter(action_name_key='action_name')
        argument = add_values_arguments(
            parser, 'goal', "Goal request values in YAML format (e.g. '{order: 10}')"
        )
        argument.completer = PrototypeCompleter('action_type', get_action, 'Goal')
        parser.add_argument(
            '-f', '--feedback', action='store_true', help='Echo feedback messages for the goal'
        )

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Send the goal and print what comes back."""
        goal = collect_stdin() if args.stdin else args.goal
        callback = _print_feedback if args.feedback else None
        return send_goal(args.action_name, args.action_type, goal, callback)


def send_goal(
    action_name: str,
    action_type: str,
    goal_values: str,
    feedback_callback: Optional[Callable[[Any], None]],
) -> Optional[str]:
    """Send a goal, wait for its result and print both; an interruption cancels the goal.

    Args:
        action_name: the action.
        action_type: 'package/action/Name'.
        goal_values: the goal, YAML.
        feedback_callback: gets the feedback messages; None asks for none.

    Returns:
        A text that says why the goal could not be filled, or None.

    Raises:
        RuntimeError: no such type, or a call to the server failed.
    """
    check_fields()
    action_class = interface_class(get_action, action_type, 'action')
    fields = read_values(goal_values)
    goal = action_class.Goal()
    try:
        set_message_fields(goal, fields)
    except Exception as error:
        return f'Failed to populate message fields: {error!r}'

    name = f'{NODE_NAME_PREFIX}_send_goal_{action_type.replace("/", "_")}'
    with (
        _interrupted_by_sigterm(),
        # A context that a signal has shut down could not cancel.
        DirectNode(None, node_name=name, discover=False, handle_signals=False) as node,
    ):
        client = ActionClient(node.node, action_class, action_name)
        try:
            _run_goal(node.node, client, goal, feedback_callback)
        finally:
            client.destroy()
    return None


def _run_goal(node: Any, client: ActionClient, goal: Any, feedback_callback: Any) -> None:
    print('Waiting for an action server to become available...')
    while not client.wait_for_server(timeout_sec=SIGNAL_PERIOD):
        pass
    print(f'Sending goal:\n     {message_to_yaml(goal)}')
    sent = client.send_goal_async(goal, feedback_callback)
    try:
        handle = _wait(node, sent, 'sending goal')
        if not handle.accepted:
            print('Goal was rejected.')
            return
        print(f'Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n')
        response = _wait(node, handle.get_result_async(), 'getting result')
    except KeyboardInterrupt:
        # The answer may still be on its way: a goal that was accepted must not run on.
        rclpy.spin_until_future_complete(node, sent, timeout_sec=ANSWER_TIMEOUT)
        if sent.done() and sent.result() is not None and sent.result().accepted:
            _cancel(node, sent.result())
        raise
    print(f'Result:\n    {message_to_yaml(response.result)}')
    print(f'Goal finished with status: {STATUS_NAMES.get(response.status, "UNKNOWN")}')


def _cancel(node: Any, handle: Any) -> None:
    print('Canceling goal...')
    response = _wait(node, handle.cancel_goal_async(), 'canceling goal')
    canceling = [info.goal_id for info in response.goals_canceling]
    if not canceling:
        raise RuntimeError('Failed to cancel goal')
    if canceling != [handle.goal_id]:
        raise RuntimeError('More than one goal canceled, or one with another ID')
    print('Goal canceled.')


def _wait(node: Any, future: Any, what: str) -> Any:
    """Return what a future brings, open to signals meanwhile."""
    while not future.done():
        rclpy.spin_until_future_complete(node, future, timeout_sec=SIGNAL_PERIOD)
    if future.exception() is not None or future.result() is None:
        raise RuntimeError(f'Exception while {what}: {future.exception()!r}')
    return future.result()


def _print_feedback(message: Any) -> None:
    print(f'Feedback:\n    {message_to_yaml(message.feedback)}')


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: no goal may go on without the one who sent it."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
