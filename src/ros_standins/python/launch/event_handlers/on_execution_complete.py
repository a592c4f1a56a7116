# SPDX-License-Identifier: Apache-2.0
"""Handlers for the ends of actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from ..events import ExecutionComplete
from ..some_entities_type import SomeEntitiesType
from .on_action_event_base import OnActionEventBase

if TYPE_CHECKING:
    from ..action import Action
    from ..launch_context import LaunchContext


class OnExecutionComplete(OnActionEventBase):
    """Handles the end of one action, of those that a function picks, or of all."""

    def __init__(
        self,
        *,
        target_action: Optional[Union[Callable[[Action], bool], Action]] = None,
        on_completion: Union[
            SomeEntitiesType,
            Callable[[ExecutionComplete, LaunchContext], Optional[SomeEntitiesType]],
        ],
        **kwargs: Any,
    ) -> None:
        """Stores the action and what is done; see the base class."""
        from ..action import Action

        if isinstance(target_action, str) or isinstance(on_completion, str):
            raise ValueError('target_action and on_completion cannot be texts')
        super().__init__(
            action_matcher=target_action,
            on_event=cast(Any, on_completion),
            target_event_cls=ExecutionComplete,
            target_action_cls=Action,
            **kwargs,
        )
