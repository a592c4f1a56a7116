# SPDX-License-Identifier: Apache-2.0
"""The tie between a lifecycle node and the events of a launch."""

from __future__ import annotations

import functools
import threading
from typing import Any, cast, Optional, TYPE_CHECKING

from launch import logging as launch_logging
from launch.actions import OpaqueFunction
from launch.event_handler import EventHandler

from ..events.lifecycle import ChangeState, StateTransition

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_POLL_SECONDS = 0.2


class LifecycleEventManager:
    """Emits an event for each of a node's transitions and asks for those that events want."""

    def __init__(self, lifecycle_node: Any) -> None:
        """Stores the node's action."""
        self.__lifecycle_node = lifecycle_node
        self.__current_state = ChangeState.valid_states[0]
        self.__subscription: Any = None
        self.__client: Any = None

    @property
    def node_name(self) -> str:
        """The node's full name."""
        return cast(str, self.__lifecycle_node.node_name)

    @property
    def current_state(self) -> str:
        """Name of the state that the node was last heard to be in."""
        return self.__current_state

    def setup_lifecycle_manager(self, context: LaunchContext) -> None:
        """Begins to listen to the node, and to events on its behalf."""
        import lifecycle_msgs.msg
        import lifecycle_msgs.srv

        from ..ros_adapters import get_ros_node

        node = get_ros_node(context)
        self.__subscription = node.create_subscription(
            lifecycle_msgs.msg.TransitionEvent,
            f'{self.node_name}/transition_event',
            functools.partial(self._on_transition_event, context),
            10,
        )
        self.__client = node.create_client(
            lifecycle_msgs.srv.ChangeState, f'{self.node_name}/change_state'
        )
        node.executor.wake()
        context.register_event_handler(
            EventHandler(
                matcher=lambda event: isinstance(event, ChangeState),
                entities=[OpaqueFunction(function=self._on_change_state_event)],
            )
        )

    def _on_transition_event(self, context: LaunchContext, msg: Any) -> None:
        self.__current_state = ChangeState.valid_states.get(msg.goal_state.id, 'unknown')
        context.emit_event_sync(StateTransition(action=self.__lifecycle_node, msg=msg))

    def _on_change_state_event(self, context: LaunchContext) -> None:
        event = cast(ChangeState, context.locals.event)
        if not event.lifecycle_node_matcher(self.__lifecycle_node):
            return
        assert context.asyncio_loop is not None
        context.add_completion_future(
            context.asyncio_loop.run_in_executor(
                None, self._call_change_state, event.transition_id, context
            )
        )

    def _call_change_state(self, transition_id: int, context: LaunchContext) -> None:
        """Asks the node for a transition; gives up when the launch shuts down."""
        try:
            success = self._request(transition_id, context)
        except Exception as error:
            if not context.is_shutdown:
                raise
            # The launch's own ROS node has gone while we were waiting.
            launch_logging.get_logger(__name__).debug(f'transition abandoned: {error!r}')
            return
        if success is False:
            name = ChangeState.valid_transitions.get(transition_id, str(transition_id))
            launch_logging.get_logger(__name__).error(
                f"Failed to make transition '{name}' for LifecycleNode '{self.node_name}'"
            )

    def _request(self, transition_id: int, context: LaunchContext) -> Optional[bool]:
        """Returns whether the node made the transition, None if the launch shut down."""
        import lifecycle_msgs.srv

        while not self.__client.wait_for_service(timeout_sec=_POLL_SECONDS):
            if context.is_shutdown:
                self._warn_of_shutdown('service')
                return None
        request = lifecycle_msgs.srv.ChangeState.Request()
        request.transition.id = transition_id
        done = threading.Event()
        future = self.__client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        while not done.wait(_POLL_SECONDS):
            if context.is_shutdown:
                self._warn_of_shutdown('service response')
                future.cancel()
                return None
        return bool(future.result().success)

    def _warn_of_shutdown(self, what: str) -> None:
        launch_logging.get_logger(__name__).warning(
            f"Abandoning wait for the '{self.__client.srv_name}' {what}, due to shutdown."
        )
