# SPDX-License-Identifier: Apache-2.0
"""A service on this machine that answers as scripted and records what it is asked."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import threading

from flow_manip_core.errors import CancelledError


class FakeClock:
    """Time that passes only by waiting, and then at once."""

    def __init__(self):
        self.time, self.waits, self.on_wait = 0.0, [], lambda: None

    def now(self):
        return self.time

    def wait(self, seconds, cancelled):
        self.waits.append(seconds)
        self.time += seconds
        self.on_wait()
        if cancelled():
            raise CancelledError('cancelled while waiting')


class FakeService:
    """A server whose answers a test scripts: per path prefix a list of (status, body, headers).

    The last answer of a list is repeated. A body may be a function of the request.
    """

    def __init__(self):
        self.requests, self.answers = [], {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def _answer(self):
                length = int(self.headers.get('Content-Length') or 0)
                data = self.rfile.read(length)
                request = {
                    'method': self.command,
                    'path': self.path,
                    'headers': {k.lower(): v for k, v in self.headers.items()},
                    'body': json.loads(data) if data else None,
                }
                service.requests.append(request)
                status, body, headers = service.next_answer(self.path)
                body = body(request) if callable(body) else body
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _answer  # noqa: N815

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f'http://127.0.0.1:{self._server.server_port}'

    def script(self, prefix, *answers):
        """Set the answers to paths that begin with `prefix`."""
        self.answers[prefix] = [(*a, {})[:3] for a in answers]

    def next_answer(self, path):
        for prefix in sorted(self.answers, key=len, reverse=True):
            if path.startswith(prefix):
                left = self.answers[prefix]
                return left.pop(0) if len(left) > 1 else left[0]
        return 404, {'error': {'message': f'nothing at {path}'}}, {}

    def asked(self, method, part=''):
        """Return the requests of one method whose path holds `part`."""
        return [r for r in self.requests if r['method'] == method and part in r['path']]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
