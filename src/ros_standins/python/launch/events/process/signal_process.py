# SPDX-License-Identifier: Apache-2.0
"""The wish that a process gets a signal."""

from __future__ import annotations

from collections.abc import Callable
import signal
from typing import TYPE_CHECKING, Union

from ...utilities import ensure_argument_type
from .process_targeted_event import ProcessTargetedEvent

if TYPE_CHECKING:
    from ...actions import ExecuteLocal


class SignalProcess(ProcessTargetedEvent):
    """A process is to get a signal."""

    name = 'launch.events.process.SignalProcess'

    def __init__(
        self,
        *,
        signal_number: Union[str, signal.Signals],
        process_matcher: Callable[[ExecuteLocal], bool],
    ) -> None:
        """Stores the signal.

        Args:
            signal_number: The signal, or its name such as 'SIGINT'.
            process_matcher: Called with the action of every process.
        """
        super().__init__(process_matcher=process_matcher)
        ensure_argument_type(
            signal_number, (str, signal.Signals), 'signal_number', 'SignalProcess'
        )
        if isinstance(signal_number, str):
            signal_number = signal.Signals[signal_number]
        self.__signal = signal_number

    @property
    def signal(self) -> signal.Signals:
        """The signal."""
        return self.__signal

    @property
    def signal_name(self) -> str:
        """The signal's name."""
        return self.__signal.name
