# SPDX-License-Identifier: Apache-2.0
"""Standard input of processes."""

from typing import Any

from .process_io import ProcessIO


class ProcessStdin(ProcessIO):
    """Bytes for a process's standard input."""

    name = 'launch.events.process.ProcessStdin'

    def __init__(self, *, text: bytes, **kwargs: Any) -> None:
        """Stores the bytes beside the process's details."""
        super().__init__(text=text, fd=0, **kwargs)
