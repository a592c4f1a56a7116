# SPDX-License-Identifier: Apache-2.0
"""Backends behind gates: one request of a kind at a time, a few may wait, more are sent away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import threading
import time
from typing import Any

from flow_manip_core.errors import CancelledError, ConfigurationError
from flow_manip_core.robot import Context
from flow_manip_core.wire import MAX_BYTES
from flow_manip_world_model.server.http_server import BusyError, HttpServer
from flow_manip_world_model.server.services import SERVICES

VERSION = 1
_POLL = 0.02  # [s] between looks at whether the client is still there


@dataclass(frozen=True)
class HostConfig:
    """Bounds of a server.

    Attributes:
        max_waiting: requests per kind that may wait while one is worked on.
        max_connections: at a time, all kinds together.
        max_bytes: of a request.
        read_timeout: for a whole request to arrive [s].
    """

    max_waiting: int = 4
    max_connections: int = 32
    max_bytes: int = MAX_BYTES
    read_timeout: float = 30.0


class _Gate:
    """Lets one request through at a time."""

    def __init__(self, max_waiting: int) -> None:
        self._slots = threading.BoundedSemaphore(max_waiting + 1)
        self._turn = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            BusyError: there is none.
        """
        if not self._slots.acquire(blocking=False):
            raise BusyError
        try:
            yield
        finally:
            self._slots.release()

    @contextmanager
    def turn(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Wait for the backend; it serves one request at a time, as models need all memory.

        Raises:
            CancelledError: the client went away.
        """
        while not self._turn.acquire(timeout=_POLL):
            if cancelled():
                raise CancelledError('the client went away while it waited')
        try:
            yield
        finally:
            self._turn.release()


class ModelHost:
    """Holds the backends that are served, and answers requests with them."""

    def __init__(
        self,
        parameters: Mapping[str, Mapping[str, Any]],
        context: Context,
        config: HostConfig | None = None,
        on_loading: Callable[[str, str], None] = lambda kind, backend: None,
    ) -> None:
        """Build every backend, one after the other.

        Args:
            parameters: by kind, as under a node's block: ``{'depth': {'backend': 'sensor'}}``.
            context: robot and rig.
            config: bounds.
            on_loading: told kind and backend before each is built.

        Raises:
            ConfigurationError: a kind is not known or a parameter is wrong.
            BackendError: a backend is unknown or its package is missing.
        """
        unknown = sorted(set(parameters) - set(SERVICES))
        if unknown or not parameters:
            raise ConfigurationError(
                f'cannot serve {unknown or "nothing"}; kinds: {", ".join(SERVICES)}'
            )
        self.config = config or HostConfig()
        self._names = {kind: str(values.get('backend')) for kind, values in parameters.items()}
        self._backends = {}
        for kind, values in parameters.items():
            on_loading(kind, self._names[kind])
            self._backends[kind] = SERVICES[kind].build(values, context)
        self._gates = {kind: _Gate(self.config.max_waiting) for kind in parameters}

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is served."""
        return tuple(self._backends)

    def metadata(self) -> dict[str, Any]:
        """Say which backend serves which kind, and the bounds of a request."""
        return {
            'version': VERSION,
            'kinds': dict(self._names),
            'max_bytes': self.config.max_bytes,
            'max_waiting': self.config.max_waiting,
        }

    def slot(self, kind: str) -> Any:
        """Hold a place in the queue of a kind; raises `BusyError`."""
        return self._gates[kind].slot()

    def answer(
        self, kind: str, request: Mapping[str, Any], cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        """Wait for the backend's turn and return its answer with the seconds that it took.

        Raises:
            FlowManipError: what the backend raises; CancelledError when the client went away.
        """
        arrived = time.monotonic()
        with self._gates[kind].turn(cancelled):
            begun = time.monotonic()
            answer = SERVICES[kind].answer(self._backends[kind], request, cancelled)
        seconds = {'queue': begun - arrived, 'work': time.monotonic() - begun}
        return answer | {'version': VERSION, 'seconds': seconds}

    def listen(self, address: str, port: int, token: str = '') -> HttpServer:
        """Open the server's socket; `serve_forever` on it begins to answer.

        Args:
            address: to bind to.
            port: 0 takes a free one.
            token: that clients must send; needed for any address but loopback.

        Raises:
            ConfigurationError: the address is not this machine's alone and there is no token, or
                it cannot be bound.
        """
        return HttpServer(self, address, port, token)
