# SPDX-License-Identifier: Apache-2.0
"""Input and output of processes."""

from typing import Any

from .running_process_event import RunningProcessEvent


class ProcessIO(RunningProcessEvent):
    """A process read or wrote something."""

    name = 'launch.events.process.ProcessIO'

    def __init__(self, *, text: bytes, fd: int, **kwargs: Any) -> None:
        """Stores what beside the process's details.

        Args:
            text: The bytes.
            fd: 0 for standard input, 1 for output, 2 for error.
            **kwargs: The process's details.
        """
        super().__init__(**kwargs)
        self.__text = text
        self.__from_stdin = fd == 0
        self.__from_stdout = fd == 1
        self.__from_stderr = fd == 2

    @property
    def text(self) -> bytes:
        """The bytes."""
        return self.__text

    @property
    def from_stdin(self) -> bool:
        """Whether they are for standard input."""
        return self.__from_stdin

    @property
    def from_stdout(self) -> bool:
        """Whether they are from standard output."""
        return self.__from_stdout

    @property
    def from_stderr(self) -> bool:
        """Whether they are from standard error."""
        return self.__from_stderr
