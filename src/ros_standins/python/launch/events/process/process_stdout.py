# SPDX-License-Identifier: Apache-2.0
"""Standard output of processes."""

from typing import Any

from .process_io import ProcessIO


class ProcessStdout(ProcessIO):
    """Bytes from a process's standard output."""

    name = 'launch.events.process.ProcessStdout'

    def __init__(self, *, text: bytes, **kwargs: Any) -> None:
        """Stores the bytes beside the process's details."""
        super().__init__(text=text, fd=1, **kwargs)
