# SPDX-License-Identifier: Apache-2.0
"""Talking with a paid service over HTTP: bounded, patient, and never letting the key out.

Every exchange runs on a thread of its own while the caller polls `cancelled`. What may be repeated
is repeated with growing pauses; what could be paid twice is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import http.client
import json
import queue
import socket
import threading
import time
from typing import Any, Protocol
from urllib import error as url_errors
from urllib import request as url_requests
from urllib.parse import urljoin, urlsplit

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    VideoFailedError,
)

POLL = 0.01  # [s] between looks at `cancelled`
BUSY = (429, 500, 502, 503, 504)  # worth another try
NOT_TAKEN = (429, 503)  # the request was refused before anything was done for it
REFUSED = (401, 403)
TOO_LONG = 999  # no HTTP status: not worth another try
MAX_REDIRECTS = 5
MAX_JSON = 4 * 1024 * 1024  # [bytes]
MAX_WAIT = 120.0  # [s] longest pause that a server may ask for
LOOPBACK = ('127.0.0.1', '::1', 'localhost')


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> float:
        """Return seconds of a clock that only goes forward."""

    def wait(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Wait; raise CancelledError as soon as the caller asks to stop."""


class WallClock:
    """The clock on the wall."""

    def now(self) -> float:
        """Return seconds of a clock that only goes forward."""
        return time.monotonic()

    def wait(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Wait; raise CancelledError as soon as the caller asks to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if cancelled():
                raise CancelledError('cancelled while waiting for a video')
            time.sleep(min(left, POLL))


@dataclass(frozen=True)
class _Reply:
    """What a server answered; status 0: why it did not, and whether it may have begun to work."""

    status: int
    data: bytes = b''
    retry_after: float | None = None
    location: str = ''
    reason: str = ''
    may_be_taken: bool = False


class Service:
    """One service behind one address.

    Args of the constructor:
        base: address without a path's end.
        timeout: of one exchange [s].
        retries: after the first try.
        backoff: pause before the first retry [s]; doubles with each.
        clock: for pauses.
    """

    def __init__(
        self, base: str, timeout: float, retries: int, backoff: float, clock: Clock
    ) -> None:
        """Check the address.

        Raises:
            ConfigurationError: it is no https address (http is for this machine only).
        """
        self.base = base.rstrip('/')
        self._timeout, self._retries, self._backoff = timeout, retries, backoff
        self._clock = clock
        if not self._may_ask(self.base):
            raise ConfigurationError(f"'{base}' is no https address")

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        headers: Callable[[], Mapping[str, str]],
        cancelled: Callable[[], bool],
    ) -> dict[str, Any]:
        """Order something that costs money: repeated only where the service did not take it.

        Raises:
            VideoFailedError: refused, unreachable, or the answer makes no sense.
            BackendError: the key was refused.
            CancelledError: the caller asked to stop.
        """
        data = json.dumps(body).encode()
        sent = {'Content-Type': 'application/json'}
        return self._json(self._try(path, data, headers, sent, MAX_JSON, NOT_TAKEN, cancelled))

    def get(
        self,
        path: str,
        headers: Callable[[], Mapping[str, str]],
        cancelled: Callable[[], bool],
    ) -> dict[str, Any]:
        """Ask for something; repeated while the service is busy or away. Raises as `post`."""
        return self._json(self._try(path, None, headers, {}, MAX_JSON, BUSY, cancelled))

    def download(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        limit: int,
        cancelled: Callable[[], bool],
    ) -> bytes:
        """Fetch a file from wherever it lies; the key goes to this service's own host only.

        Raises:
            VideoFailedError: not there, longer than `limit` bytes, or at no https address.
            BackendError, CancelledError: as `post`.
        """
        if not self._may_ask(url):
            raise VideoFailedError('the video lies at no https address')
        return self._try(url, None, headers, {}, limit, BUSY, cancelled).data

    def _may_ask(self, url: str) -> bool:
        """Say whether an address is https, or on this machine where the service itself is."""
        try:
            parts, base = urlsplit(url), urlsplit(self.base)
        except ValueError:
            return False
        local = parts.hostname in LOOPBACK and base.hostname in LOOPBACK
        return bool(parts.hostname) and (
            parts.scheme == 'https' or (parts.scheme == 'http' and local)
        )

    def _is_own(self, url: str) -> bool:
        """Say whether an address is the service's own host and port."""
        ours, theirs = urlsplit(self.base), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _json(self, reply: _Reply) -> dict[str, Any]:
        try:
            values = json.loads(reply.data)
        except (ValueError, RecursionError) as error:
            raise VideoFailedError(f'the service answered no JSON: {str(error)[:100]}') from error
        if not isinstance(values, dict):
            raise VideoFailedError(f'the service answered {type(values).__name__}, no map')
        return values

    def _try(
        self,
        path: str,
        data: bytes | None,
        headers: Callable[[], Mapping[str, str]],
        more: Mapping[str, str],
        limit: int,
        again: tuple[int, ...],
        cancelled: Callable[[], bool],
    ) -> _Reply:
        """Exchange until it works or cannot."""
        url = path if '://' in path else f'{self.base}/{path.lstrip("/")}'
        pause = self._backoff
        for left in range(self._retries, -1, -1):
            reply = self._follow(url, data, headers, more, limit, cancelled)
            if 200 <= reply.status < 300:
                return reply
            away = reply.status == 0 and not (data is not None and reply.may_be_taken)
            if reply.status in REFUSED:
                raise BackendError(f'the service refused the key: {_said(reply)}')
            if left == 0 or not (away or reply.status in again):
                raise VideoFailedError(f'the service failed: {_said(reply)}')
            asked = reply.retry_after
            self._clock.wait(min(max(pause, asked or 0.0), MAX_WAIT), cancelled)
            pause *= 2.0
        raise AssertionError('unreachable')

    def _follow(
        self,
        url: str,
        data: bytes | None,
        headers: Callable[[], Mapping[str, str]],
        more: Mapping[str, str],
        limit: int,
        cancelled: Callable[[], bool],
    ) -> _Reply:
        """Exchange once, redirects of a GET followed."""
        for _ in range(MAX_REDIRECTS + 1):
            sent = {**more, **(headers() if self._is_own(url) else {})}
            request = url_requests.Request(
                url, data=data, headers=sent, method='GET' if data is None else 'POST'
            )
            reply = _exchange_on_thread(request, self._timeout, limit, cancelled)
            if not (300 <= reply.status < 400 and reply.location and data is None):
                return reply
            url = urljoin(url, reply.location)
            if not self._may_ask(url):
                return _Reply(reply.status, reason='redirected to no https address')
        return _Reply(reply.status, reason='redirected too often')


class _NoRedirects(url_requests.HTTPRedirectHandler):
    """Follows nobody by itself: a request may carry a key."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_OPENER = url_requests.build_opener(_NoRedirects)


def _exchange_on_thread(
    request: url_requests.Request, timeout: float, limit: int, cancelled: Callable[[], bool]
) -> _Reply:
    """Do one exchange; a server that trickles is left alone after `timeout`."""
    replies: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
    threading.Thread(
        target=lambda: replies.put(_exchange(request, timeout, limit)), daemon=True
    ).start()
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if cancelled():
            raise CancelledError('cancelled while a video service was asked')
        try:
            return replies.get(timeout=POLL)
        except queue.Empty:
            continue
    # It may have been taken: nobody knows.
    return _Reply(0, reason=f'no answer within {timeout:g} s', may_be_taken=True)


def _exchange(request: url_requests.Request, timeout: float, limit: int) -> _Reply:
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            data = bytes(response.read(limit + 1))
            if len(data) > limit:
                return _Reply(TOO_LONG, reason=f'the answer is longer than {limit} bytes')
            return _Reply(response.status, data)
    except url_errors.HTTPError as error:
        with error:
            return _Reply(
                error.code,
                error.read(2000),
                _seconds(error.headers.get('Retry-After')),
                str(error.headers.get('Location') or ''),
            )
    except url_errors.URLError as error:
        # Only where no connection was made is it certain that nothing was taken.
        certain = isinstance(error.reason, (ConnectionRefusedError, socket.gaierror))
        return _Reply(0, reason=_why(error.reason, timeout), may_be_taken=not certain)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _Reply(0, reason=_why(error, timeout), may_be_taken=True)


def _why(error: object, timeout: float) -> str:
    """Return in words why there was no answer."""
    if isinstance(error, TimeoutError):
        return f'no answer within {timeout:g} s'
    return str(error) or type(error).__name__


def _seconds(text: str | None) -> float | None:
    """Read a Retry-After of seconds; dates are not used by these services."""
    return float(text) if text and text.isdigit() else None


def _said(reply: _Reply) -> str:
    """Return in short what a service said: it never repeats what we sent in headers."""
    if reply.reason:
        return reply.reason[:300]
    return f'{reply.status}: {" ".join(reply.data.decode(errors="replace").split())[:300]}'
