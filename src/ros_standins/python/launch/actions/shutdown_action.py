# SPDX-License-Identifier: Apache-2.0
"""The end of the launch."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from .. import logging as launch_logging
from ..events import Shutdown as ShutdownEvent
from ..events.process import ProcessExited
from .emit_event import EmitEvent

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class Shutdown(EmitEvent):
    """Shuts the launch down."""

    def __init__(self, *, reason: str = 'reason not given', **kwargs: Any) -> None:
        """Stores why, in words."""
        super().__init__(event=ShutdownEvent(reason=reason), **kwargs)

    def execute(self, context: LaunchContext) -> None:
        """Queues the event, and says which process's end led to it if one did."""
        event = context.get_locals_as_dict().get('event')
        if isinstance(event, ProcessExited):
            launch_logging.get_logger(__name__).info(
                f'process[{event.process_name}] was required: shutting down launched system'
            )
        super().execute(context)
