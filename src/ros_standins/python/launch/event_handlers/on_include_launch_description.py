# SPDX-License-Identifier: Apache-2.0
"""The handler that includes launch descriptions."""

from __future__ import annotations

from typing import Any, cast, Optional, TYPE_CHECKING

from ..event import Event
from ..event_handler import BaseEventHandler
from ..events import IncludeLaunchDescription
from ..some_entities_type import SomeEntitiesType
from ..utilities import is_a_subclass

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class OnIncludeLaunchDescription(BaseEventHandler):
    """Yields the launch description that an event asks to include."""

    def __init__(self, **kwargs: Any) -> None:
        """Takes the arguments of the base class but the matcher."""
        super().__init__(
            matcher=lambda event: is_a_subclass(event, IncludeLaunchDescription), **kwargs
        )

    def handle(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        """Returns the launch description."""
        super().handle(event, context)
        return cast(IncludeLaunchDescription, event).launch_description

    @property
    def handler_description(self) -> str:
        """What is done, in words."""
        return 'returns the launch_description in the event'

    @property
    def matcher_description(self) -> str:
        """Which events are meant, in words."""
        return 'event issubclass of launch.events.IncludeLaunchDescription'
