# SPDX-License-Identifier: Apache-2.0
"""Handlers for the starts of processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from ..events.process import ProcessStarted
from ..some_entities_type import SomeEntitiesType
from .on_action_event_base import OnActionEventBase

if TYPE_CHECKING:
    from ..actions import ExecuteLocal
    from ..launch_context import LaunchContext


class OnProcessStart(OnActionEventBase):
    """Handles the start of one process, of those that a function picks, or of all."""

    def __init__(
        self,
        *,
        target_action: Optional[Union[Callable[[ExecuteLocal], bool], ExecuteLocal]] = None,
        on_start: Union[
            SomeEntitiesType,
            Callable[[ProcessStarted, LaunchContext], Optional[SomeEntitiesType]],
        ],
        **kwargs: Any,
    ) -> None:
        """Stores the process's action and what is done; see the base class."""
        from ..actions import ExecuteLocal

        super().__init__(
            action_matcher=cast(Any, target_action),
            on_event=cast(Any, on_start),
            target_event_cls=ProcessStarted,
            target_action_cls=ExecuteLocal,
            **kwargs,
        )
