# SPDX-License-Identifier: Apache-2.0
"""HTTP in front of a `ModelHost`: POST /<kind>, GET /health and /metadata, all msgpack.

Sizes are checked before anything is read, the token before sizes. A client that closes its
connection cancels its request.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import ipaddress
import logging
import select
import socket
import threading
import time
from typing import Any, Protocol

from flow_manip_core.errors import (
    CancelledError,
    ConfigurationError,
    FlowManipError,
    InvalidInputError,
)
from flow_manip_core.wire import CONTENT_TYPE, pack, unpack

_CHUNK = 1 << 16
_RETRY_AFTER = 1  # [s]
_LINGER = 2.0  # [s]
MIN_TOKEN = 16
LOG = logging.getLogger(__name__)


class BusyError(Exception):
    """As many requests wait as may; the client should come back later."""


class Host(Protocol):
    """What the server needs of a `ModelHost`."""

    config: Any

    @property
    def kinds(self) -> tuple[str, ...]: ...
    def metadata(self) -> dict[str, Any]: ...
    def slot(self, kind: str) -> Any: ...
    def answer(self, kind: str, request: Any, cancelled: Any) -> dict[str, Any]: ...


class HttpServer(ThreadingHTTPServer):
    """A thread per connection, as many as `HostConfig.max_connections`."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, host: Host, address: str, port: int, token: str = '') -> None:
        """Bind.

        Raises:
            ConfigurationError: see `ModelHost.listen`.
        """
        if not _is_loopback(address) and len(token) < MIN_TOKEN:
            raise ConfigurationError(
                f"'{address}' can be reached from other machines: a token of at least {MIN_TOKEN} "
                'characters is needed'
            )
        self.host, self.token = host, token
        self._free = threading.BoundedSemaphore(host.config.max_connections)
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise ConfigurationError(f'cannot listen on {address}:{port}: {error}') from error

    @property
    def url(self) -> str:
        """Where it listens."""
        address, port = self.server_address[:2]
        return f'http://{address!s}:{port}'

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection its thread, or close it at once where there are too many."""
        if not self._free.acquire(blocking=False):
            LOG.warning('too many connections: %s sent away', client_address)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients come and go; what else goes wrong is told to them by the handler."""
        LOG.info('connection of %s ended early', client_address)


class _Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: HTTPStatus, name: str, message: str) -> None:
        super().__init__(message)
        self.status, self.name = status, name


class _Handler(BaseHTTPRequestHandler):
    """One request, one answer, then the connection closes."""

    server: HttpServer
    protocol_version = 'HTTP/1.1'
    server_version, sys_version = 'flow_manip', ''

    def setup(self) -> None:
        """Bound how long a silent client may hold a thread."""
        self.timeout = self.server.host.config.read_timeout
        super().setup()

    def do_GET(self) -> None:
        """Answer /health and /metadata."""
        self._respond(self._look)

    def do_POST(self) -> None:
        """Answer /<kind>."""
        self._respond(self._work)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests out of stderr."""
        LOG.debug(format, *args)

    def _respond(self, make: Any) -> None:
        status, values = HTTPStatus.OK, {}
        try:
            self._check_token()
            values = make()
        except _Refusal as refusal:
            status = refusal.status
            values = {'error': {'name': refusal.name, 'message': str(refusal)}}
        except CancelledError:
            return  # nobody is there to be told
        except FlowManipError as error:
            bad = isinstance(error, InvalidInputError)
            status = HTTPStatus.BAD_REQUEST if bad else HTTPStatus.UNPROCESSABLE_ENTITY
            values = {'error': {'name': error.name, 'message': str(error)}}
        except Exception as error:
            LOG.exception('%s %s', self.command, self.path)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            values = {'error': {'name': 'BACKEND', 'message': f'{type(error).__name__}: {error}'}}
        finally:
            self.close_connection = True
        self._send(status, pack(values))
        if status is not HTTPStatus.OK:
            self._let_the_client_read()

    def _check_token(self) -> None:
        if not self.server.token:
            return
        sent = self.headers.get('Authorization', '').encode('utf-8', 'replace')
        if not hmac.compare_digest(sent, f'Bearer {self.server.token}'.encode()):
            raise _Refusal(HTTPStatus.UNAUTHORIZED, 'UNAUTHORIZED', 'the token is not right')

    def _look(self) -> dict[str, Any]:
        if self.path == '/health':
            return {'status': 'ok', 'kinds': list(self.server.host.kinds)}
        if self.path == '/metadata':
            return self.server.host.metadata()
        raise _Refusal(HTTPStatus.NOT_FOUND, 'NOT_FOUND', 'there are /health and /metadata')

    def _work(self) -> dict[str, Any]:
        host, kind = self.server.host, self.path.strip('/')
        if kind not in host.kinds:
            raise _Refusal(
                HTTPStatus.NOT_FOUND, 'NOT_SERVED', f'served are: {", ".join(host.kinds)}'
            )
        length = self._length()
        try:
            with host.slot(kind):
                begun = time.monotonic()
                request = unpack(self._body(length), host.config.max_bytes)
                seconds = {'receive': time.monotonic() - begun}
                answer = host.answer(kind, request, self._gone)
                return answer | {'seconds': seconds | answer['seconds']}
        except BusyError:
            raise _Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                'BUSY',
                f"{host.config.max_waiting} requests for '{kind}' wait already",
            ) from None

    def _length(self) -> int:
        """Return the request's size before any of it is read."""
        text = self.headers.get('Content-Length', '')
        most = self.server.host.config.max_bytes
        if not text.isdecimal() or len(text) > 18:
            raise _Refusal(HTTPStatus.LENGTH_REQUIRED, 'INVALID_INPUT', 'no Content-Length')
        if int(text) > most:
            raise _Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                'INVALID_INPUT',
                f'a request of {text} bytes, at most {most} are read',
            )
        return int(text)

    def _body(self, length: int) -> bytes:
        """Read the request, which must arrive as a whole within `read_timeout`."""
        deadline = time.monotonic() + self.timeout
        body = bytearray()
        while len(body) < length:
            try:
                chunk = self.rfile.read1(min(_CHUNK, length - len(body)))
            except TimeoutError:
                chunk = b''
            if not chunk or time.monotonic() > deadline:
                raise _Refusal(
                    HTTPStatus.REQUEST_TIMEOUT,
                    'TIMEOUT',
                    f'{len(body)} of {length} bytes came within {self.timeout:g} s',
                )
            body += chunk
        return bytes(body)

    def _gone(self) -> bool:
        """Say whether the client has closed the connection."""
        try:
            if not select.select([self.connection], [], [], 0.0)[0]:
                return False
            return not self.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def _let_the_client_read(self) -> None:
        """Take what is still being sent for a moment: closing over it would destroy the answer."""
        deadline = time.monotonic() + _LINGER
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER)
            while time.monotonic() < deadline and self.connection.recv(_CHUNK):
                pass
        except OSError:
            return

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header('Content-Type', CONTENT_TYPE)
        self.send_header('Content-Length', str(len(body)))
        self.send_header('Connection', 'close')
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header('Retry-After', str(_RETRY_AFTER))
        self.end_headers()
        self.wfile.write(body)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == 'localhost'
