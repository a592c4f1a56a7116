# SPDX-License-Identifier: Apache-2.0
"""Messages to and from model servers: msgpack maps over HTTP POST, arrays as plain bytes.

An array is a map ``{'dtype': '<f4', 'shape': [N, 3], 'data': bytes}``: little-endian, C order.
Nothing is unpickled or evaluated; sizes and types are checked before anything is allocated for
them. A server answers 200 with a map, or another status with
``{'error': {'name': 'NO_GRASP', 'message': '...'}}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import http.client
import os
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import msgpack
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    error_classes,
    InvalidInputError,
    StageTimeoutError,
)

CONTENT_TYPE = 'application/msgpack'
TOKEN = 'FLOW_MANIP_TOKEN'  # environment variable
DTYPES = frozenset(('<f4', '<f8', '<i4', '<i8', '<u2', '<u4', '|u1', '|b1'))
MAX_DIMENSIONS = 5
MAX_BYTES = 256 * 1024 * 1024
MAX_ITEMS = 10_000  # of a map or a list
_POLL = 0.02  # [s] between looks at `cancelled`
_CHUNK = 1 << 16
_OVERHEAD = 1 << 16  # bytes of a message beside its arrays


def pack(values: Mapping[str, Any]) -> bytes:
    """Encode a map of numbers, texts, arrays, and lists and maps of those.

    Raises:
        InvalidInputError: something else is in it.
    """
    try:
        return bytes(msgpack.packb(dict(values), default=_plain, use_bin_type=True))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f'cannot be sent: {error}') from error


def _plain(value: Any) -> Any:
    """Turn an array into its map, a numpy number into Python's."""
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        array = array.astype(array.dtype.newbyteorder('<'), copy=False)
        if array.dtype.str not in DTYPES:
            raise TypeError(f'an array of {array.dtype}; known: {sorted(DTYPES)}')
        return {'dtype': array.dtype.str, 'shape': list(value.shape), 'data': array.tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f'{type(value).__name__} {str(value)[:60]!r}')


def unpack(data: bytes, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Decode a map; arrays stay maps until `array_of` is told what is expected.

    Raises:
        InvalidInputError: it is too large, no msgpack, or no map with texts as keys.
    """
    if len(data) > max_bytes:
        raise InvalidInputError(f'a message of {len(data)} bytes, at most {max_bytes} are read')
    try:
        # A message of so many bytes cannot hold longer texts or arrays than itself.
        values = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_str_len=min(len(data), _OVERHEAD),
            max_bin_len=len(data),
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise InvalidInputError(f'no msgpack: {type(error).__name__} {error}') from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InvalidInputError(f'the message is {type(values).__name__}, expected a map')
    return values


def array_of(
    values: Mapping[str, Any], name: str, dtype: str, shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """Return one array out of a decoded map, a copy of the bytes.

    Args:
        values: a map.
        name: of the array in it.
        dtype: as in `DTYPES`.
        shape: None where any size is fine.

    Raises:
        InvalidInputError: it is missing, of another type or shape, or its bytes do not fit.
    """
    coded = values.get(name)
    if not isinstance(coded, dict) or set(coded) != {'dtype', 'shape', 'data'}:
        raise InvalidInputError(f"'{name}' is no array of dtype, shape and data")
    if coded['dtype'] != dtype:
        raise InvalidInputError(f"'{name}' is {str(coded['dtype'])[:20]!r}, expected {dtype!r}")
    sizes, data = coded['shape'], coded['data']
    fits = (
        isinstance(sizes, list)
        and len(sizes) == len(shape) <= MAX_DIMENSIONS
        and all(type(size) is int and size >= 0 for size in sizes)
        and all(want is None or want == size for size, want in zip(sizes, shape))
    )
    if not fits:
        raise InvalidInputError(f"'{name}' has shape {str(sizes)[:60]}, expected {shape}")
    expected = int(np.dtype(dtype).itemsize)
    for size in sizes:
        expected *= size
    if not isinstance(data, bytes) or len(data) != expected:
        got = len(data) if isinstance(data, bytes) else type(data).__name__
        raise InvalidInputError(f"'{name}' has {got} bytes, {expected} belong to {sizes} {dtype}")
    return np.frombuffer(data, dtype=dtype).reshape(sizes).copy()


def finite_array_of(
    values: Mapping[str, Any], name: str, dtype: str, shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """Return `array_of`, refusing NaN and infinity too."""
    array = array_of(values, name, dtype, shape)
    if not np.isfinite(array).all():
        raise InvalidInputError(
            f"'{name}' has {int((~np.isfinite(array)).sum())} values not finite"
        )
    return array


class ModelServer:
    """One server of a model; every call is one request with its own connection."""

    def __init__(
        self, url: str, timeout: float, max_bytes: int = MAX_BYTES, token_variable: str = TOKEN
    ) -> None:
        """Remember where it is.

        Args:
            url: ``http://host:port/path`` or https.
            timeout: of a whole call [s].
            max_bytes: of an answer.
            token_variable: environment variable with the token that the server wants, if it does.

        Raises:
            ConfigurationError: the URL or a number makes no sense.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"server '{url}': {error}") from error
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ConfigurationError(f"server '{url}' is not http(s)://host[:port]/path")
        if not 0.0 < timeout < float('inf') or max_bytes <= 0:
            raise ConfigurationError(
                f'timeout {timeout} s, {max_bytes} bytes: both must be above 0'
            )
        self.url, self._timeout, self._max_bytes = url, timeout, max_bytes
        kinds = {'http': http.client.HTTPConnection, 'https': http.client.HTTPSConnection}
        self._connect = lambda: kinds[parts.scheme](parts.hostname, port, timeout=timeout)
        self._path = (parts.path or '/') + (f'?{parts.query}' if parts.query else '')
        token = os.environ.get(token_variable, '')
        self._headers = {'Content-Type': CONTENT_TYPE, 'Accept': CONTENT_TYPE}
        if token:
            self._headers['Authorization'] = f'Bearer {token}'

    def call(
        self, values: Mapping[str, Any], cancelled: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Send a map and return the map that comes back; `cancelled` is polled every 20 ms.

        Raises:
            StageTimeoutError: no whole answer within the time.
            CancelledError: `cancelled` turned true.
            RemoteError: the server answered with an error.
            BackendError: it is not there, or its answer cannot be read.
        """
        exchange = _Exchange(
            self._connect(), self._path, self._headers, pack(values), self._max_bytes
        )
        deadline = time.monotonic() + self._timeout
        while not exchange.done.wait(_POLL):
            if cancelled():
                exchange.abort()
                raise CancelledError(f'cancelled while {self.url} was working')
            if time.monotonic() > deadline:
                exchange.abort()
                raise StageTimeoutError(f'{self.url} gave no answer within {self._timeout} s')
        if isinstance(exchange.error, TimeoutError):
            raise StageTimeoutError(f'{self.url} gave no answer within {self._timeout} s')
        if exchange.error is not None:
            raise BackendError(f'{self.url}: {exchange.error}') from exchange.error
        return self._read(exchange.status, exchange.body)

    def ask(
        self, values: Mapping[str, Any], cancelled: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Do what `call` does; what a stage's backend raised over there is raised here too.

        Raises:
            FlowManipError: the class that the server names, with its sentence.
        """
        try:
            return self.call(values, cancelled)
        except RemoteError as error:
            cls = {known.name: known for known in error_classes().values()}.get(error.reason)
            if cls is None:
                raise
            raise cls(str(error)) from error

    def _read(self, status: int, body: bytes) -> dict[str, Any]:
        """Decode an answer, or raise what it says went wrong."""
        try:
            values = unpack(body, self._max_bytes)
        except InvalidInputError as error:
            raise BackendError(f'{self.url} answered {status}: {error}') from error
        problem = values.get('error')
        if status == 200 and problem is None:
            return values
        problem = problem if isinstance(problem, dict) else {}
        name = str(problem.get('name', ''))[:40]
        raise RemoteError(
            f'{self.url} answered {status} {name}: {str(problem.get("message", ""))[:300]}', name
        )


class RemoteError(BackendError):
    """A model server says that it failed.

    Attributes:
        reason: the name that it gives, e.g. 'NO_GRASP'; not checked.
    """

    def __init__(self, message: str, reason: str = '') -> None:
        """Keep the name beside the message."""
        super().__init__(message)
        self.reason = reason


class _Exchange:
    """One request on a thread of its own, so that a silent server cannot hold the caller."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        max_bytes: int,
    ) -> None:
        self._connection, self._path, self._headers = connection, path, dict(headers)
        self._sent, self._max_bytes = body, max_bytes
        self.done = threading.Event()
        self.error: Exception | None = None
        self.status, self.body = 0, b''
        threading.Thread(target=self._run, daemon=True, name='model server').start()

    def abort(self) -> None:
        """Close the connection under the thread, which then ends."""
        if (sock := self._connection.sock) is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            # A server that refuses does not read everything, but it does answer.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._connection.request('POST', self._path, self._sent, self._headers)
            response = self._connection.getresponse()
            self.status = response.status
            if (response.length or 0) > self._max_bytes:
                raise ValueError(
                    f'an answer of {response.length} bytes, at most {self._max_bytes} are read'
                )
            parts, size = [], 0
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > self._max_bytes:
                    raise ValueError(f'an answer of more than {self._max_bytes} bytes')
                parts.append(chunk)
            self.body = b''.join(parts)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.error = error
        finally:
            self._connection.close()
            self.done.set()
