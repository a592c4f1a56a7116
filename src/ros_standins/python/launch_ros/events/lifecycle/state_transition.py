# SPDX-License-Identifier: Apache-2.0
"""A change of a node's state."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from launch.event import Event

if TYPE_CHECKING:
    from ...actions import LifecycleNode


class StateTransition(Event):
    """A lifecycle node changed its state."""

    name = 'launch_ros.events.lifecycle.StateTransition'

    def __init__(self, *, action: LifecycleNode, msg: Any) -> None:
        """Stores node and message.

        Args:
            action: The node's action.
            msg: A lifecycle_msgs.msg.TransitionEvent.
        """
        self.__action = action
        self.__msg = msg

    @property
    def action(self) -> LifecycleNode:
        """The node's action."""
        return self.__action

    @property
    def msg(self) -> Any:
        """The message."""
        return self.__msg

    @property
    def timestamp(self) -> int:
        """When, as the message says."""
        return int(self.__msg.timestamp)

    @property
    def transition(self) -> str:
        """Name of the transition."""
        return str(self.__msg.transition.label)

    @property
    def start_state(self) -> str:
        """Name of the state it started from."""
        return str(self.__msg.start_state.label)

    @property
    def goal_state(self) -> str:
        """Name of the state it led to."""
        return str(self.__msg.goal_state.label)
