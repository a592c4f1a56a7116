# SPDX-License-Identifier: Apache-2.0
"""Handlers for input and output of processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from ..event import Event
from ..events.process import ProcessIO
from ..some_entities_type import SomeEntitiesType
from .on_action_event_base import OnActionEventBase

if TYPE_CHECKING:
    from ..actions import ExecuteLocal
    from ..launch_context import LaunchContext

_IOCallback = Callable[[ProcessIO], Optional[SomeEntitiesType]]


class OnProcessIO(OnActionEventBase):
    """Handles what one process, those that a function picks, or all read and write."""

    def __init__(
        self,
        *,
        target_action: Optional[Union[Callable[[ExecuteLocal], bool], ExecuteLocal]] = None,
        on_stdin: Optional[_IOCallback] = None,
        on_stdout: Optional[_IOCallback] = None,
        on_stderr: Optional[_IOCallback] = None,
        **kwargs: Any,
    ) -> None:
        """Stores the process's action and one function per stream.

        Args:
            target_action: The action, a function that tells whether one is meant, or None.
            on_stdin: Called with events of standard input.
            on_stdout: Called with events of standard output.
            on_stderr: Called with events of standard error.
            **kwargs: As of :class:`launch.BaseEventHandler`.
        """
        from ..actions import ExecuteLocal

        self.__on_stdin = on_stdin
        self.__on_stdout = on_stdout
        self.__on_stderr = on_stderr
        super().__init__(
            action_matcher=cast(Any, target_action),
            on_event=self.__on_io,
            target_event_cls=ProcessIO,
            target_action_cls=ExecuteLocal,
            **kwargs,
        )

    def __on_io(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        io = cast(ProcessIO, event)
        callback = self.__on_stdin if io.from_stdin else None
        if io.from_stdout:
            callback = self.__on_stdout
        elif io.from_stderr:
            callback = self.__on_stderr
        return callback(io) if callback is not None else None
