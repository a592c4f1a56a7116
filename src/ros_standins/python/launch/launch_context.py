# SPDX-License-Identifier: Apache-2.0
"""The state that the entities of one launch share."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterable, MutableMapping
import os
import threading
from typing import Any, cast, Optional

from .event import Event
from .event_handler import BaseEventHandler
from .substitution import Substitution


class _EventQueue:
    """A queue that any thread may fill and one event loop at a time may wait on."""

    def __init__(self) -> None:
        self._events: collections.deque[Event] = collections.deque()
        self._waiter: Optional[asyncio.Future] = None
        self._lock = threading.Lock()

    def qsize(self) -> int:
        return len(self._events)

    def empty(self) -> bool:
        return not self._events

    def put_nowait(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)
            waiter, self._waiter = self._waiter, None
        if waiter is None:
            return
        loop = waiter.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set_if_pending, waiter)

    def get_nowait(self) -> Event:
        with self._lock:
            return self._events.popleft()

    async def wait_until_filled(self) -> None:
        """Returns when an event is there; taking it is the caller's next step."""
        with self._lock:
            if self._events:
                return
            waiter = self._waiter = asyncio.get_running_loop().create_future()
        await waiter


def _set_if_pending(future: asyncio.Future) -> None:
    if not future.done():
        future.set_result(None)


class _AttributeDict:
    """Read-only attributes on top of a dictionary."""

    def __init__(self, names: dict[str, Any]) -> None:
        object.__setattr__(self, '_names', names)

    def __getattr__(self, key: str) -> Any:
        names = object.__getattribute__(self, '_names')
        if key not in names:
            raise AttributeError(f"context.locals has no attribute '{key}'")
        return names[key]

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(f"can't set attribute '{key}', locals are read-only")


class LaunchContext:
    """Launch configurations, locals, environment, event handlers and the event queue."""

    def __init__(
        self, *, argv: Optional[Iterable[str]] = None, noninteractive: bool = False
    ) -> None:
        """Starts with no configurations and the process's environment.

        Args:
            argv: Arguments of the launch, for the entities to look at.
            noninteractive: True if no terminal hands ctrl-c on to the children.
        """
        self.__argv = argv if argv is not None else []
        self.__noninteractive = noninteractive
        self._event_queue = _EventQueue()
        self._event_handlers: collections.deque[BaseEventHandler] = collections.deque()
        self._completion_futures: list[asyncio.Future] = []
        self.__globals: dict[str, Any] = {}
        self.__locals: dict[str, Any] = {}
        self.__locals_stack: list[dict[str, Any]] = []
        self.__combined_locals: Optional[_AttributeDict] = None
        self.__launch_configurations: dict[str, str] = {}
        self.__launch_configurations_stack: list[dict[str, str]] = []
        self.__environment_stack: list[dict[str, str]] = []
        self.__environment_at_start = dict(os.environ)
        self.__is_shutdown = False
        self.__asyncio_loop: Optional[asyncio.AbstractEventLoop] = None

    @property
    def argv(self) -> Iterable[str]:
        """The launch's arguments, [] if none were given."""
        return self.__argv

    @property
    def noninteractive(self) -> bool:
        """True if no terminal hands ctrl-c on to the children."""
        return self.__noninteractive

    def _set_is_shutdown(self, state: bool) -> None:
        self.__is_shutdown = state

    @property
    def is_shutdown(self) -> bool:
        """True once the launch began to shut down."""
        return self.__is_shutdown

    def _set_asyncio_loop(self, loop: Optional[asyncio.AbstractEventLoop]) -> None:
        self.__asyncio_loop = loop

    @property
    def asyncio_loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The loop while the launch runs, else None."""
        return self.__asyncio_loop

    def add_completion_future(self, future: asyncio.Future) -> None:
        """Keeps the launch from being idle until ``future`` is done."""
        self._completion_futures.append(future)

    @property
    def launch_configurations(self) -> dict[str, str]:
        """The launch configurations of the current scope."""
        return self.__launch_configurations

    def _push_launch_configurations(self) -> None:
        self.__launch_configurations_stack.append(self.__launch_configurations.copy())

    def _pop_launch_configurations(self) -> None:
        if not self.__launch_configurations_stack:
            raise RuntimeError('no launch configurations were pushed that could be popped')
        # The dictionary itself stays the same one: others may hold it.
        self.__launch_configurations.clear()
        self.__launch_configurations.update(self.__launch_configurations_stack.pop())

    @property
    def environment(self) -> MutableMapping[str, str]:
        """The environment that children get: the process's own."""
        return os.environ

    def _push_environment(self) -> None:
        self.__environment_stack.append(dict(os.environ))

    def _pop_environment(self) -> None:
        if not self.__environment_stack:
            raise RuntimeError('no environment was pushed that could be popped')
        self._replace_environment(self.__environment_stack.pop())

    def _reset_environment(self) -> None:
        self._replace_environment(self.__environment_at_start)

    def _replace_environment(self, environment: dict[str, str]) -> None:
        for name in [name for name in os.environ if name not in environment]:
            del os.environ[name]
        os.environ.update(environment)

    def extend_globals(self, extensions: dict[str, Any]) -> None:
        """Adds locals that no scope takes away."""
        self.__globals.update(extensions)
        self.__combined_locals = None

    def extend_locals(self, extensions: dict[str, Any]) -> None:
        """Adds locals to the current scope."""
        self.__locals.update(extensions)
        self.__combined_locals = None

    def get_locals_as_dict(self) -> dict[str, Any]:
        """Returns locals and globals in one new dictionary; locals win."""
        return {**self.__globals, **self.__locals}

    @property
    def locals(self) -> Any:
        """Locals and globals as read-only attributes."""
        if self.__combined_locals is None:
            self.__combined_locals = _AttributeDict(self.get_locals_as_dict())
        return self.__combined_locals

    def _push_locals(self) -> None:
        self.__locals_stack.append(dict(self.__locals))

    def _pop_locals(self) -> None:
        if not self.__locals_stack:
            raise RuntimeError('no locals were pushed that could be popped')
        self.__locals = self.__locals_stack.pop()
        self.__combined_locals = None

    def would_handle_event(self, event: Event) -> bool:
        """Tells whether any registered handler matches ``event``."""
        return any(handler.matches(event) for handler in self._event_handlers)

    def register_event_handler(
        self, event_handler: BaseEventHandler, append: bool = False
    ) -> None:
        """Adds a handler before all others, or after them if ``append``."""
        if append:
            self._event_handlers.append(event_handler)
        else:
            self._event_handlers.appendleft(event_handler)

    def unregister_event_handler(self, event_handler: BaseEventHandler) -> None:
        """Takes a handler away; ValueError if it is not registered."""
        self._event_handlers.remove(event_handler)

    def emit_event_sync(self, event: Event) -> None:
        """Queues an event."""
        self._event_queue.put_nowait(event)

    async def emit_event(self, event: Event) -> None:
        """Queues an event."""
        self._event_queue.put_nowait(event)

    def perform_substitution(self, substitution: Substitution) -> str:
        """Returns the substitution's text in this context."""
        return cast(str, substitution.perform(self))
