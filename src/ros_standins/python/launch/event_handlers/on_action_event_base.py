# SPDX-License-Identifier: Apache-2.0
"""The base of handlers for events that come from actions."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from ..event import Event
from ..event_handler import BaseEventHandler
from ..launch_description_entity import LaunchDescriptionEntity
from ..some_entities_type import SomeEntitiesType

if TYPE_CHECKING:
    from ..action import Action
    from ..launch_context import LaunchContext


class OnActionEventBase(BaseEventHandler):
    """Handles one kind of event of one action, of those that a matcher picks, or of all."""

    def __init__(
        self,
        *,
        action_matcher: Optional[Union[Callable[[Action], bool], Action]],
        on_event: Union[
            SomeEntitiesType, Callable[[Any, LaunchContext], Optional[SomeEntitiesType]]
        ],
        target_event_cls: type[Event],
        target_action_cls: type[Action],
        **kwargs: Any,
    ) -> None:
        """Stores what is handled and how.

        Args:
            action_matcher: An action, a function that tells whether an action is meant, or None.
            on_event: Entities to be visited, or a function of event and context that may
                return such.
            target_event_cls: Type of the events.
            target_action_cls: Type that an action must have.
            **kwargs: As of :class:`launch.BaseEventHandler`.

        Raises:
            TypeError: The action or what is to be done is of another type.
        """
        if not issubclass(target_event_cls, Event):
            raise TypeError("'target_event_cls' must be a subclass of 'Event'")
        if not (
            action_matcher is None
            or isinstance(action_matcher, target_action_cls)
            or callable(action_matcher)
        ):
            raise TypeError(
                f"{type(self).__name__} requires '{target_action_cls.__name__}' or a callable "
                f"as its target, got '{action_matcher!r}'"
            )
        self.__target_action_cls = target_action_cls
        self.__target_event_cls = target_event_cls
        self.__action_matcher = action_matcher
        self.__on_event: Optional[Callable[..., Any]] = None
        self.__actions_on_event: list[LaunchDescriptionEntity] = []
        self.__set_on_event(on_event)
        super().__init__(matcher=self.__matches, **kwargs)

    def __set_on_event(self, on_event: Any) -> None:
        if isinstance(on_event, LaunchDescriptionEntity):
            self.__actions_on_event = [on_event]
        elif callable(on_event):
            self.__on_event = on_event
        elif isinstance(on_event, collections.abc.Iterable):
            self.__actions_on_event = list(on_event)
            for entity in self.__actions_on_event:
                if not isinstance(entity, LaunchDescriptionEntity):
                    raise TypeError(f"expected all items to be entities, got '{entity!r}'")
        elif on_event is not None:
            raise TypeError(
                f'{type(self).__name__} expected an entity, an iterable of entities, or a '
                f"callable as its action, got '{on_event!r}'"
            )

    def __matches(self, event: Event) -> bool:
        if not isinstance(event, self.__target_event_cls):
            return False
        action = cast(Any, event).action
        if self.__action_matcher is None:
            return True
        if isinstance(self.__action_matcher, self.__target_action_cls):
            return action is self.__action_matcher
        return bool(cast(Callable[..., bool], self.__action_matcher)(action))

    def handle(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        """Returns the entities, or what the function returns."""
        super().handle(event, context)
        if self.__on_event is not None:
            return cast(Optional[SomeEntitiesType], self.__on_event(event, context))
        return self.__actions_on_event

    @property
    def handler_description(self) -> str:
        """What is done, in words."""
        if self.__on_event is not None:
            return f'{self.__on_event}'
        return '<actions>'

    @property
    def matcher_description(self) -> str:
        """Which events are meant, in words."""
        name = self.__target_event_cls.__name__
        if self.__action_matcher is None:
            return f'event == {name}'
        return f'event == {name} and event.action == {self.__action_matcher!r}'

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Returns a description for people and the entities."""
        text, _ = super().describe()
        return text, self.__actions_on_event
