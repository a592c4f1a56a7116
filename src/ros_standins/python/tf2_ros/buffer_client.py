# SPDX-License-Identifier: Apache-2.0
"""`BufferClient`: lookups in the buffer of another process."""

from __future__ import annotations

from threading import Event
from typing import Any

import builtin_interfaces.msg
from geometry_msgs.msg import TransformStamped
from rclpy.action import ActionClient
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from tf2_msgs.action import LookupTransform
from tf2_msgs.msg import TF2Error

from tf2_py import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
)

from .buffer_interface import BufferInterface, NO_WAIT

__all__ = ['BufferClient']

DEFAULT_PADDING = Duration(seconds=2.0)

_ERRORS = {
    TF2Error.LOOKUP_ERROR: LookupException,
    TF2Error.CONNECTIVITY_ERROR: ConnectivityException,
    TF2Error.EXTRAPOLATION_ERROR: ExtrapolationException,
    TF2Error.INVALID_ARGUMENT_ERROR: InvalidArgumentException,
    TF2Error.TIMEOUT_ERROR: TimeoutException,
}


class BufferClient(BufferInterface):
    """Asks a buffer server's action; the node must spin in another thread."""

    def __init__(
        self,
        node: Node,
        ns: str,
        check_frequency: float = 10.0,
        timeout_padding: Duration = DEFAULT_PADDING,
    ) -> None:
        """Create the action client.

        Args:
            node: Node that asks.
            ns: The action's name.
            check_frequency: Kept for compatibility: waiting here needs no polling.
            timeout_padding: How long to wait for an answer beyond the lookup's own time-out.
        """
        super().__init__()
        self.node = node
        self.action_client = ActionClient(node, LookupTransform, action_name=ns)
        self.check_frequency = check_frequency
        self.timeout_padding = timeout_padding

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """As `Buffer.lookup_transform`; `TimeoutException` where the server does not answer."""
        goal = LookupTransform.Goal(
            target_frame=target_frame,
            source_frame=source_frame,
            source_time=_message(time),
            timeout=timeout.to_msg(),
            advanced=False,
        )
        return self._ask(goal)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """As `Buffer.lookup_transform_full`."""
        goal = LookupTransform.Goal(
            target_frame=target_frame,
            source_frame=source_frame,
            source_time=_message(source_time),
            timeout=timeout.to_msg(),
            target_time=_message(target_time),
            fixed_frame=fixed_frame,
            advanced=True,
        )
        return self._ask(goal)

    def can_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> bool:
        """Tell whether the lookup succeeds."""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException:
            return False
        return True

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> bool:
        """Tell whether the lookup between two times succeeds."""
        try:
            self.lookup_transform_full(
                target_frame, target_time, source_frame, source_time, fixed_frame, timeout
            )
        except TransformException:
            return False
        return True

    def _ask(self, goal: LookupTransform.Goal) -> TransformStamped:
        if not self.action_client.server_is_ready():
            raise TimeoutException('The BufferServer is not ready.')
        limit = Duration.from_msg(goal.timeout).nanoseconds + _padding(self.timeout_padding)
        handle = self._await(self.action_client.send_goal_async(goal), limit)
        if not handle.accepted:
            raise TimeoutException(
                'The LookupTransform goal sent to the BufferServer did not come back with '
                'accepted status. Something is likely wrong with the server.'
            )
        result = self._await(handle.get_result_async(), limit).result
        if result.error.error != TF2Error.NO_ERROR:
            kind = _ERRORS.get(result.error.error, TransformException)
            raise kind(result.error.error_string)
        return result.transform

    def _await(self, future: Any, nanoseconds: int) -> Any:
        done = Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(nanoseconds / 1e9):
            raise TimeoutException(
                'The LookupTransform goal sent to the BufferServer did not come back in the '
                f'specified time ({nanoseconds / 1e9:g} s). Something is likely wrong with the '
                'server.'
            )
        return future.result()


def _message(time: Any) -> builtin_interfaces.msg.Time:
    if isinstance(time, builtin_interfaces.msg.Time):
        return time
    if isinstance(time, Time):
        return time.to_msg()
    raise TypeError('Must pass a rclpy.time.Time object.')


def _padding(value: Any) -> int:
    """Read the padding, which older code gives in seconds."""
    return value.nanoseconds if isinstance(value, Duration) else int(value * 1e9)
