# SPDX-License-Identifier: Apache-2.0
"""What is done when an event happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional, TYPE_CHECKING, Union

from .event import Event
from .launch_description_entity import LaunchDescriptionEntity
from .some_entities_type import SomeEntitiesType

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class BaseEventHandler:
    """Matches events and makes each one known to whatever handles it."""

    def __init__(self, *, matcher: Callable[[Event], bool], handle_once: bool = False) -> None:
        """Stores the matcher.

        Args:
            matcher: Tells whether an event is meant.
            handle_once: Unregisters the handler when it handles its first event.
        """
        self.__matcher = matcher
        self.__handle_once = handle_once

    @property
    def handle_once(self) -> bool:
        """Whether the handler is used for one event only."""
        return self.__handle_once

    @property
    def handler_description(self) -> str:
        """What is done, in words."""
        return f'{self}'

    @property
    def matcher_description(self) -> str:
        """Which events are meant, in words."""
        return 'a custom matcher' if self.__matcher is None else repr(self.__matcher)

    def matches(self, event: Event) -> bool:
        """Tells whether ``event`` is meant."""
        return self.__matcher(event)

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Returns a description for people and the entities it may yield."""
        text = (
            f"{type(self).__name__}(matcher='{self.matcher_description}', "
            f"handler='{self.handler_description}', handle_once={self.handle_once})"
        )
        return text, []

    def handle(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        """Puts the event into the context's locals; subclasses add what is to be done."""
        context.extend_locals({'event': event})
        if self.handle_once:
            context.unregister_event_handler(self)
        return None


class EventHandler(BaseEventHandler):
    """Yields fixed entities for every event that matches."""

    def __init__(
        self,
        *,
        matcher: Callable[[Event], bool],
        entities: Optional[SomeEntitiesType] = None,
        handle_once: bool = False,
    ) -> None:
        """Stores matcher and entities.

        Args:
            matcher: Tells whether an event is meant.
            entities: One entity or several, visited for every such event.
            handle_once: Unregisters the handler when it handles its first event.
        """
        super().__init__(matcher=matcher, handle_once=handle_once)
        self.__entities = entities

    @property
    def entities(self) -> Optional[SomeEntitiesType]:
        """The entities, as given."""
        return self.__entities

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Returns a description for people and the entities."""
        text, _ = super().describe()
        return text, _as_list(self.__entities)

    def handle(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        """Returns the entities."""
        super().handle(event, context)
        return self.__entities


def _as_list(
    entities: Union[SomeEntitiesType, None],
) -> list[LaunchDescriptionEntity]:
    if entities is None:
        return []
    if isinstance(entities, LaunchDescriptionEntity):
        return [entities]
    return list(entities)
