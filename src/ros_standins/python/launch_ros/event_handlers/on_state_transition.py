# SPDX-License-Identifier: Apache-2.0
"""Handlers for changes of the states of lifecycle nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional, TYPE_CHECKING

from launch.event import Event
from launch.event_handler import EventHandler
from launch.some_entities_type import SomeEntitiesType

from ..events.lifecycle import StateTransition

if TYPE_CHECKING:
    from ..actions import LifecycleNode


class OnStateTransition(EventHandler):
    """Visits entities when a lifecycle node changes its state."""

    def __init__(
        self,
        *,
        entities: SomeEntitiesType,
        target_lifecycle_node: Optional[LifecycleNode] = None,
        transition: Optional[str] = None,
        start_state: Optional[str] = None,
        goal_state: Optional[str] = None,
        matcher: Optional[Callable[[Event], bool]] = None,
        **kwargs: Any,
    ) -> None:
        """Stores the entities and when they are visited.

        Args:
            entities: The entities.
            target_lifecycle_node: The node, None for any.
            transition: Name of the transition, None for any.
            start_state: Name of the state it starts from, None for any.
            goal_state: Name of the state it leads to, None for any.
            matcher: Tells whether an event is meant, in place of all of the above.
            **kwargs: As of :class:`launch.EventHandler`.

        Raises:
            RuntimeError: The target is no lifecycle node.
        """
        if target_lifecycle_node is not None and not getattr(
            target_lifecycle_node, 'is_lifecycle_node', False
        ):
            raise RuntimeError('OnStateTransition requires a "LifecycleNode" action as the target')

        def matches(event: Event) -> bool:
            return (
                isinstance(event, StateTransition)
                and target_lifecycle_node in (None, event.action)
                and transition in (None, event.transition)
                and start_state in (None, event.start_state)
                and goal_state in (None, event.goal_state)
            )

        super().__init__(
            matcher=matches if matcher is None else matcher, entities=entities, **kwargs
        )
        self.__target_lifecycle_node = target_lifecycle_node

    @property
    def handler_description(self) -> str:
        """What is done, in words."""
        return '<actions>'

    @property
    def matcher_description(self) -> str:
        """Which events are meant, in words."""
        if self.__target_lifecycle_node is None:
            return 'event == StateTransition'
        number = hex(id(self.__target_lifecycle_node))
        return f'event == StateTransition and event.action == LifecycleNode({number})'
