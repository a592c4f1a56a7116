# SPDX-License-Identifier: Apache-2.0
"""The wish that a node changes its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TYPE_CHECKING

from launch.event import Event

if TYPE_CHECKING:
    from ...actions import LifecycleNode


class ChangeState(Event):
    """Lifecycle nodes are to make a transition."""

    name = 'launch_ros.events.lifecycle.ChangeState'

    # As in lifecycle_msgs.msg.State and lifecycle_msgs.msg.Transition.
    valid_states: ClassVar[dict[int, str]] = {
        0: 'unknown',
        1: 'unconfigured',
        2: 'inactive',
        3: 'active',
        4: 'finalized',
        10: 'configuring',
        11: 'cleaningup',
        12: 'shuttingdown',
        13: 'activating',
        14: 'deactivating',
        15: 'errorprocessing',
    }
    valid_transitions: ClassVar[dict[int, str]] = {
        1: 'configure',
        2: 'cleanup',
        3: 'activate',
        4: 'deactivate',
        5: 'unconfigured_shutdown',
        6: 'inactive_shutdown',
        7: 'active_shutdown',
        10: 'TRANSITION_ON_CONFIGURE_SUCCESS',
        11: 'TRANSITION_ON_CONFIGURE_FAILURE',
        12: 'TRANSITION_ON_CONFIGURE_ERROR',
        20: 'TRANSITION_ON_CLEANUP_SUCCESS',
        21: 'TRANSITION_ON_CLEANUP_FAILURE',
        22: 'TRANSITION_ON_CLEANUP_ERROR',
        30: 'TRANSITION_ON_ACTIVATE_SUCCESS',
        31: 'TRANSITION_ON_ACTIVATE_FAILURE',
        32: 'TRANSITION_ON_ACTIVATE_ERROR',
        40: 'TRANSITION_ON_DEACTIVATE_SUCCESS',
        41: 'TRANSITION_ON_DEACTIVATE_FAILURE',
        42: 'TRANSITION_ON_DEACTIVATE_ERROR',
        50: 'TRANSITION_ON_SHUTDOWN_SUCCESS',
        51: 'TRANSITION_ON_SHUTDOWN_FAILURE',
        52: 'TRANSITION_ON_SHUTDOWN_ERROR',
        60: 'TRANSITION_ON_ERROR_SUCCESS',
        61: 'TRANSITION_ON_ERROR_FAILURE',
        62: 'TRANSITION_ON_ERROR_ERROR',
        90: 'TRANSITION_CALLBACK_SUCCESS',
    }

    def __init__(
        self, *, lifecycle_node_matcher: Callable[[LifecycleNode], bool], transition_id: int
    ) -> None:
        """Stores nodes and transition.

        Args:
            lifecycle_node_matcher: Called with the action of every lifecycle node.
            transition_id: Number of lifecycle_msgs.msg.Transition.
        """
        super().__init__()
        self.__lifecycle_node_matcher = lifecycle_node_matcher
        self.__transition_id = transition_id

    @property
    def lifecycle_node_matcher(self) -> Callable[[LifecycleNode], bool]:
        """Tells whether a node is meant."""
        return self.__lifecycle_node_matcher

    @property
    def transition_id(self) -> int:
        """Number of the transition."""
        return self.__transition_id
