# SPDX-License-Identifier: Apache-2.0
"""Signals, delivered inside an asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import os
import signal
import socket
import threading
from types import TracebackType
from typing import Any, Optional, Union


class AsyncSafeSignalManager:
    """Calls handlers for signals from within a loop while its context is entered.

    Python notes every signal's number on a wake-up file descriptor; the loop reads it there, so
    that handlers run between two callbacks rather than in the middle of one. Handlers that were
    there before are put back at the exit, and the wake-up descriptor as well. Several managers
    may be entered at once: the innermost one hands each number on to those outside of it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stores the loop.

        Args:
            loop: Where the handlers shall run.
        """
        self.__loop = loop
        self.__handlers: dict[int, Callable[[Any], None]] = {}
        self.__previous_handlers: dict[int, Any] = {}
        self.__previous_wakeup: int = -1
        self.__sockets: Optional[tuple[socket.socket, socket.socket]] = None
        self.__active = False

    def __enter__(self) -> AsyncSafeSignalManager:
        """Takes the signals over; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError('signals can only be managed in the main thread')
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        self.__sockets = (reading, writing)
        self.__loop.add_reader(reading.fileno(), self.__read)
        self.__previous_wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self.__active = True
        for signum in self.__handlers:
            self.__take_over(signum)
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc_value: Optional[BaseException],
        exc_traceback: Optional[TracebackType],
    ) -> None:
        """Puts everything back as it was."""
        if self.__sockets is None:
            return
        self.__active = False
        for signum in list(self.__previous_handlers):
            self.__hand_back(signum)
        signal.set_wakeup_fd(self.__previous_wakeup)
        reading, writing = self.__sockets
        self.__sockets = None
        if not self.__loop.is_closed():
            self.__loop.remove_reader(reading.fileno())
        reading.close()
        writing.close()

    def handle(
        self,
        signum: Union[signal.Signals, int],
        handler: Optional[Callable[[Any], None]],
    ) -> Optional[Callable[[Any], None]]:
        """Sets the handler for a signal.

        Args:
            signum: The signal.
            handler: Called with the signal's number; None takes the handler away.

        Returns:
            The handler that was there before, or None.
        """
        signum = signal.Signals(signum)
        previous = self.__handlers.pop(signum, None)
        if handler is not None:
            if not callable(handler):
                raise ValueError('a signal handler must be callable')
            self.__handlers[signum] = handler
        if self.__active:
            if handler is not None and previous is None:
                self.__take_over(signum)
            elif handler is None and previous is not None:
                self.__hand_back(signum)
        return previous

    def __take_over(self, signum: int) -> None:
        # The handler itself does nothing: with none at all, the default action would be taken.
        self.__previous_handlers[signum] = signal.signal(signum, _do_nothing)
        signal.siginterrupt(signum, False)

    def __hand_back(self, signum: int) -> None:
        previous = self.__previous_handlers.pop(signum)
        signal.signal(signum, previous if previous is not None else signal.SIG_DFL)

    def __read(self) -> None:
        if self.__sockets is None:
            return
        try:
            received = self.__sockets[0].recv(4096)
        except BlockingIOError:
            return
        for number in received:
            handler = self.__handlers.get(number)
            if handler is not None:
                handler(signal.Signals(number))
            elif self.__previous_wakeup >= 0:
                os.write(self.__previous_wakeup, bytes([number]))


def _do_nothing(signum: int, frame: Any) -> None:
    pass


def install_signal_handlers() -> None:
    """Does nothing: signals are taken over only while a launch runs."""
