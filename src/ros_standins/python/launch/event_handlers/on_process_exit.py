# SPDX-License-Identifier: Apache-2.0
"""Handlers for the ends of processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from ..events.process import ProcessExited
from ..some_entities_type import SomeEntitiesType
from .on_action_event_base import OnActionEventBase

if TYPE_CHECKING:
    from ..actions import ExecuteLocal
    from ..launch_context import LaunchContext


class OnProcessExit(OnActionEventBase):
    """Handles the end of one process, of those that a function picks, or of all."""

    def __init__(
        self,
        *,
        target_action: Optional[Union[Callable[[ExecuteLocal], bool], ExecuteLocal]] = None,
        on_exit: Union[
            SomeEntitiesType,
            Callable[[ProcessExited, LaunchContext], Optional[SomeEntitiesType]],
        ],
        **kwargs: Any,
    ) -> None:
        """Stores the process's action and what is done; see the base class."""
        from ..actions import ExecuteLocal

        super().__init__(
            action_matcher=cast(Any, target_action),
            on_event=cast(Any, on_exit),
            target_event_cls=ProcessExited,
            target_action_cls=ExecuteLocal,
            **kwargs,
        )
