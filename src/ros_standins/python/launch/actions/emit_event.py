# SPDX-License-Identifier: Apache-2.0
"""Emission of events."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from ..action import Action
from ..event import Event
from ..utilities import is_a_subclass

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class EmitEvent(Action):
    """Emits an event."""

    def __init__(self, *, event: Event, **kwargs: Any) -> None:
        """Stores the event.

        Raises:
            RuntimeError: ``event`` is none.
        """
        super().__init__(**kwargs)
        if not is_a_subclass(event, Event):
            raise RuntimeError(f"EmitEvent() expected an event instance, got '{event}'")
        self.__event = event

    @property
    def event(self) -> Event:
        """The event."""
        return self.__event

    def execute(self, context: LaunchContext) -> None:
        """Queues the event."""
        context.emit_event_sync(self.__event)
