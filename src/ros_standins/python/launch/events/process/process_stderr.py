# SPDX-License-Identifier: Apache-2.0
"""Standard error of processes."""

from typing import Any

from .process_io import ProcessIO


class ProcessStderr(ProcessIO):
    """Bytes from a process's standard error."""

    name = 'launch.events.process.ProcessStderr'

    def __init__(self, *, text: bytes, **kwargs: Any) -> None:
        """Stores the bytes beside the process's details."""
        super().__init__(text=text, fd=2, **kwargs)
