# SPDX-License-Identifier: Apache-2.0
"""Removal of event handlers."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from ..action import Action
from ..event_handler import BaseEventHandler

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class UnregisterEventHandler(Action):
    """Takes an event handler away."""

    def __init__(self, event_handler: BaseEventHandler, **kwargs: Any) -> None:
        """Stores the handler."""
        super().__init__(**kwargs)
        self.__event_handler = event_handler

    @property
    def event_handler(self) -> BaseEventHandler:
        """The handler."""
        return self.__event_handler

    def execute(self, context: LaunchContext) -> None:
        """Takes the handler away."""
        context.unregister_event_handler(self.__event_handler)
