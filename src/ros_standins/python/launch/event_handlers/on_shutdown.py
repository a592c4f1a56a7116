# SPDX-License-Identifier: Apache-2.0
"""Handlers for the beginning of the shutdown."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from ..event import Event
from ..event_handler import BaseEventHandler
from ..events import Shutdown
from ..launch_description_entity import LaunchDescriptionEntity
from ..some_entities_type import SomeEntitiesType
from ..utilities import is_a_subclass

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class OnShutdown(BaseEventHandler):
    """Handles the beginning of the shutdown."""

    def __init__(
        self,
        *,
        on_shutdown: Union[
            SomeEntitiesType, Callable[[Shutdown, LaunchContext], Optional[SomeEntitiesType]]
        ],
        **kwargs: Any,
    ) -> None:
        """Stores what is done.

        Args:
            on_shutdown: Entities to be visited, or a function of event and context that may
                return such.
            **kwargs: As of :class:`launch.BaseEventHandler`.
        """
        super().__init__(matcher=lambda event: is_a_subclass(event, Shutdown), **kwargs)
        self.__on_shutdown: Optional[Callable[..., Any]] = None
        self.__entities: list[LaunchDescriptionEntity] = []
        if isinstance(on_shutdown, LaunchDescriptionEntity):
            self.__entities = [on_shutdown]
        elif callable(on_shutdown):
            self.__on_shutdown = on_shutdown
        elif isinstance(on_shutdown, collections.abc.Iterable):
            self.__entities = list(on_shutdown)
        else:
            raise TypeError(f"OnShutdown got '{on_shutdown!r}', no entity and no callable")

    def handle(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        """Returns the entities, or what the function returns."""
        super().handle(event, context)
        if self.__on_shutdown is not None:
            result = self.__on_shutdown(cast(Shutdown, event), context)
            return cast(Optional[SomeEntitiesType], result)
        return self.__entities

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Returns a description for people and the entities."""
        text, _ = super().describe()
        return text, self.__entities

    @property
    def handler_description(self) -> str:
        """What is done, in words."""
        return f'{self.__on_shutdown}' if self.__on_shutdown is not None else '<actions>'

    @property
    def matcher_description(self) -> str:
        """Which events are meant, in words."""
        return 'event issubclass of launch.events.Shutdown'
