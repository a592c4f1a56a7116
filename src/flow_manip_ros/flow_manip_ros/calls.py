# SPDX-License-Identifier: Apache-2.0
"""Calling services and actions and waiting: time-outs, cancel, loss of the peer.

The node must spin in other threads (a `ThreadedExecutor`, and clients in a reentrant callback
group).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import threading
import time
from typing import Any

from action_msgs.msg import GoalStatus
import rclpy.action
from rclpy.client import Client
from rclpy.task import Future

from flow_manip_core.errors import (
    CancelledError,
    error_from_code,
    PeerLostError,
    RejectedError,
    StageTimeoutError,
)
from flow_manip_ros.watchdog import PeerWatch

POLL = 0.01  # [s] how often a blocked call looks at `cancelled` and at the peer
CANCEL_GRACE = 3.0  # [s] a cancelled goal may take to brake


class ActionClient(rclpy.action.ActionClient):
    """The real client, safe to use from threads beside the executor's.

    rclpy (7.1) registers a request after it has sent it: an answer that another thread takes in
    between is dropped, and the future never ends. Here answers wait for the registration. In a
    reentrant group it also calls feedback callbacks in any order; here they come one by one, in
    the order of the messages.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the arguments of `rclpy.action.ActionClient`."""
        self._registering = threading.RLock()
        self._feedback: deque[Any] = deque()
        self._feeding = threading.Lock()
        super().__init__(*args, **kwargs)

    def send_goal_async(self, *args: Any, **kwargs: Any) -> Future:
        """Send a goal; the future holds its handle."""
        with self._registering:
            return super().send_goal_async(*args, **kwargs)

    def _get_result_async(self, goal_handle: Any) -> Future:
        with self._registering:
            return super()._get_result_async(goal_handle)

    def _cancel_goal_async(self, goal_handle: Any) -> Future:
        with self._registering:
            return super()._cancel_goal_async(goal_handle)

    def take_data(self) -> Any:
        """Take what has come; the executor does so in the order of the messages."""
        data = super().take_data()
        if 'feedback' in data:
            self._feedback.append(data['feedback'])
        return data

    async def execute(self, taken_data: Any) -> None:
        """Hand feedback to its callback and answers to the futures that wait for them."""
        with self._registering:
            pass
        if taken_data.pop('feedback', None) is not None:
            with self._feeding:
                await super().execute({'feedback': self._feedback.popleft()})
        await super().execute(taken_data)


def never() -> bool:
    """Say that nobody cancels."""
    return False


def wait_for(
    future: Future,
    what: str,
    *,
    timeout: float,
    cancelled: Callable[[], bool] = never,
    watch: PeerWatch | None = None,
) -> Any:
    """Block until `future` is done and return its result.

    Args:
        future: of a client.
        what: named in messages, e.g. "service 'segment'".
        timeout: [s].
        cancelled: looked at every 10 ms.
        watch: the node that answers, if it is watched.

    Raises:
        StageTimeoutError, CancelledError, PeerLostError: as they say.
    """
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    deadline = time.monotonic() + timeout
    while not done.wait(POLL):
        if cancelled():
            raise CancelledError(f'cancelled while waiting for {what}')
        if watch is not None and not watch.alive:
            raise PeerLostError(f'{what}: {watch.peer} fell silent')
        if time.monotonic() > deadline:
            raise StageTimeoutError(f'{what} did not answer within {timeout:g} s')
    return future.result()


def _wait_for_server(
    client: Any,
    ready: Callable[[], bool],
    name: str,
    timeout: float,
    cancelled: Callable[[], bool],
) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        if cancelled():
            raise CancelledError(f'cancelled while waiting for {name}')
        if time.monotonic() > deadline:
            raise PeerLostError(f'{name} is not there (waited {timeout:g} s)')
        time.sleep(POLL)


def call_service(
    client: Client,
    request: Any,
    *,
    timeout: float = 10.0,
    server_timeout: float = 2.0,
    cancelled: Callable[[], bool] = never,
    watch: PeerWatch | None = None,
) -> Any:
    """Call a service and return its response.

    Raises:
        PeerLostError: nobody serves it, or the server died.
        StageTimeoutError, CancelledError: as they say.
        FlowManipError: the class of the response's `error_code`, where it has one.
    """
    name = f"service '{client.srv_name}'"
    _wait_for_server(client, client.service_is_ready, name, server_timeout, cancelled)
    response = wait_for(
        client.call_async(request), name, timeout=timeout, cancelled=cancelled, watch=watch
    )
    _raise_code(response)
    return response


def call_action(
    client: ActionClient,
    goal: Any,
    *,
    timeout: float,
    server_timeout: float = 2.0,
    cancelled: Callable[[], bool] = never,
    on_feedback: Callable[[Any], None] | None = None,
    watch: PeerWatch | None = None,
) -> Any:
    """Send a goal, wait for its end and return its result.

    A cancel, a time-out or an error on this side cancels the goal over there and waits until it
    has ended.

    Raises:
        RejectedError: the server refused the goal.
        PeerLostError, StageTimeoutError, CancelledError: as they say.
        FlowManipError: the class of the result's `error_code`, where it has one.
    """
    name = f"action '{client._action_name}'"
    _wait_for_server(client, client.server_is_ready, name, server_timeout, cancelled)
    over = threading.Event()

    def feedback(message: Any) -> None:
        # What comes after the result is nobody's business any more.
        if on_feedback is not None and not over.is_set():
            on_feedback(message.feedback)

    sent = client.send_goal_async(goal, feedback_callback=feedback if on_feedback else None)
    handle = wait_for(sent, name, timeout=5.0, watch=watch)
    if not handle.accepted:
        raise RejectedError(f'{name} rejected the goal')
    ended = handle.get_result_async()
    try:
        answer = wait_for(ended, name, timeout=timeout, cancelled=cancelled, watch=watch)
    except (CancelledError, StageTimeoutError):
        handle.cancel_goal_async()
        # The goal over there brakes first: only then is it true that nothing moves any more.
        wait_for(ended, f'{name} to stop', timeout=CANCEL_GRACE, watch=watch)
        raise
    finally:
        over.set()
    if answer.status == GoalStatus.STATUS_CANCELED:
        raise CancelledError(f'{name} was cancelled')
    _raise_code(answer.result)
    return answer.result


def _raise_code(answer: Any) -> None:
    """Raise the error that an answer with our `error_code` and `error_msg` carries."""
    message = getattr(answer, 'error_msg', None)
    if message is not None and answer.error_code != 0:
        raise error_from_code(answer.error_code, message)
