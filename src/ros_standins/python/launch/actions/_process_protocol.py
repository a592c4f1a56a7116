# SPDX-License-Identifier: Apache-2.0
"""What a running process reports to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TYPE_CHECKING

from osrf_pycommon.process_utils import AsyncSubprocessProtocol

from .. import logging as launch_logging
from ..events.process import ProcessStderr, ProcessStdout

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

# A grandchild may keep the pipes open for ever, so the wait for the last bytes has an end.
_DRAIN_SECONDS = 0.5


class ProcessProtocol(AsyncSubprocessProtocol):
    """Turns output into events and knows when there is no more of it."""

    def __init__(
        self,
        context: LaunchContext,
        event_args: dict[str, Any],
        on_start: Callable[[Any, ProcessProtocol], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._on_start = on_start
        self._context = context
        self._event_args = event_args
        self._loop = asyncio.get_running_loop()
        self._open = {'stdout', 'stderr'}
        self._drained = self._loop.create_future()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        pid = transport.get_pid()
        self._event_args['pid'] = pid
        logger = launch_logging.get_logger(self._event_args['name'])
        logger.info(f'process started with pid [{pid}]')
        # Here rather than by whoever awaits the start: no output can come before.
        self._on_start(transport, self)

    def on_stdout_received(self, data: bytes) -> None:
        self._context.emit_event_sync(ProcessStdout(text=data, **self._event_args))

    def on_stderr_received(self, data: bytes) -> None:
        self._context.emit_event_sync(ProcessStderr(text=data, **self._event_args))

    def pipe_connection_lost(self, fd: int, exc: Any) -> None:
        """Notes the end of a pipe."""
        super().pipe_connection_lost(fd, exc)
        self._close({1: 'stdout', 2: 'stderr'}.get(fd, ''))

    def on_stdout_close(self, exc: Any) -> None:
        """Notes the end of a pseudo-terminal."""
        self._close('stdout')

    def on_stderr_close(self, exc: Any) -> None:
        """Notes the end of a pseudo-terminal."""
        self._close('stderr')

    def _close(self, stream: str) -> None:
        self._open.discard(stream)
        if not self._open and not self._drained.done():
            self._drained.set_result(None)

    async def drain(self) -> None:
        """Returns when the output of a process that ended was read."""
        await asyncio.wait([self._drained], timeout=_DRAIN_SECONDS)

    def close_terminals(self) -> None:
        """Closes the ends of pseudo-terminals, which the transport does not know."""
        for name in ('stdout_tuple', 'stderr_tuple'):
            pair = getattr(self, name, None)
            if pair is not None:
                pair[0].close()
