# SPDX-License-Identifier: Apache-2.0
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
import socket
import threading

import msgpack
import numpy as np
import pytest

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    InvalidInputError,
    StageTimeoutError,
)
from flow_manip_core.wire import array_of, finite_array_of, ModelServer, pack, RemoteError, unpack


@contextmanager
def serving(answer):
    """Serve `answer(body) -> (status, bytes)` on a loopback port; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            status, body = answer(self.rfile.read(int(self.headers['Content-Length'])))
            self.send_response(status)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}/model'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def silent():
    """Give the URL of a server that takes connections and says nothing."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield f'http://127.0.0.1:{server.getsockname()[1]}/'


@pytest.mark.parametrize('dtype', ['<f4', '<f8', '<i4', '<i8', '<u2', '|u1', '|b1'])
@pytest.mark.parametrize('shape', [(0, 3), (5,), (2, 3, 4)])
def test_arrays_come_back_bit_for_bit(dtype, shape):
    array = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    values = unpack(pack({'a': array, 'n': 3, 'name': 'x', 'ratio': np.float32(0.5)}))
    np.testing.assert_array_equal(array_of(values, 'a', dtype, shape), array)
    assert (values['n'], values['name'], values['ratio']) == (3, 'x', 0.5)


def test_the_order_of_bytes_and_of_axes_is_fixed():
    array = np.arange(6, dtype='>f4').reshape(2, 3).T
    values = unpack(pack({'a': array}))
    np.testing.assert_array_equal(array_of(values, 'a', '<f4', (3, 2)), array)


def coded(dtype='<f4', shape=(2, 3), data=bytes(24)):
    return {'a': {'dtype': dtype, 'shape': list(shape), 'data': data}}


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({}, "'a' is no array"),
        ({'a': [1, 2]}, "'a' is no array"),
        ({'a': coded()['a'] | {'more': 1}}, "'a' is no array"),
        (coded(dtype='<f8'), 'expected .<f4.'),
        (coded(dtype='|O'), 'expected .<f4.'),
        (coded(shape=(3, 2)), 'shape'),
        (coded(shape=(2, 3, 1)), 'shape'),
        (coded(shape=(-2, 3)), 'shape'),
        (coded(shape=(True, 3)), 'shape'),
        (coded(shape=('2', 3)), 'shape'),
        (coded(shape=(10**12, 3)), 'bytes'),
        (coded(data=bytes(23)), '23 bytes, 24 belong'),
        (coded(data='text'), 'str bytes'),
    ],
)
def test_an_array_that_is_not_what_was_agreed_is_refused(values, message):
    with pytest.raises(InvalidInputError, match=message):
        array_of(values, 'a', '<f4', (None, 3))


def test_values_that_are_not_finite_are_counted():
    values = unpack(pack({'a': np.array([1.0, np.nan, np.inf], dtype='<f4')}))
    with pytest.raises(InvalidInputError, match='2 values not finite'):
        finite_array_of(values, 'a', '<f4', (3,))


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'no msgpack'),
        (b'\xc1', 'no msgpack'),
        (msgpack.packb([1, 2]), 'is list'),
        (msgpack.packb({1: 2}), 'no msgpack'),
        (b'\x81\xa1a\xc6\xff\xff\xff\xff', 'no msgpack'),  # 4 GB are announced
        (b'\x81\xa1a\xdd\xff\xff\xff\xff', 'no msgpack'),
        (b'\x81\xa1a' + b'\x91' * 5000, 'no msgpack'),
        (msgpack.packb({'a': msgpack.ExtType(5, b'x')}), 'no msgpack'),
        (bytes(200), 'at most 100'),
    ],
)
def test_bytes_that_are_no_message_are_refused(data, message):
    with pytest.raises(InvalidInputError, match=message):
        unpack(data, max_bytes=100 if len(data) == 200 else 10_000)


@pytest.mark.parametrize('value', [object(), np.array(['a']), np.zeros(2, complex), {1, 2}])
def test_what_has_no_place_on_the_wire_is_refused(value):
    with pytest.raises(InvalidInputError, match='cannot be sent'):
        pack({'a': value})


def test_a_call_sends_a_map_and_returns_one():
    def answer(body):
        doubled = 2 * array_of(unpack(body), 'a', '<f4', (None,))
        return 200, pack({'b': doubled})

    with serving(answer) as url:
        values = ModelServer(url, 5.0).call({'a': np.ones(4, '<f4')})
    np.testing.assert_array_equal(array_of(values, 'b', '<f4', (4,)), 2.0)


def test_a_servers_own_error_keeps_its_name():
    refusal = pack({'error': {'name': 'NO_GRASP', 'message': 'nothing in view'}})
    with serving(lambda body: (422, refusal)) as url, pytest.raises(RemoteError) as caught:
        ModelServer(url, 5.0).call({})
    assert caught.value.reason == 'NO_GRASP'
    assert caught.value.code == BackendError.code
    assert '422' in str(caught.value)


@pytest.mark.parametrize(
    ('status', 'body', 'message'),
    [
        (200, b'<html>', 'no msgpack'),
        (500, b'', '500'),
        (500, pack({}), '500'),
        (200, pack({'a': bytes(5000)}), 'at most 1000'),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_backend_error(status, body, message):
    with serving(lambda _: (status, body)) as url, pytest.raises(BackendError, match=message):
        ModelServer(url, 5.0, max_bytes=1000).call({})


def test_a_server_that_is_not_there_is_a_backend_error():
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(BackendError, match='refused'):
        ModelServer(f'http://127.0.0.1:{port}', 5.0).call({})


def test_a_silent_server_times_out(silent):
    with pytest.raises(StageTimeoutError, match=r'within 0\.1 s'):
        ModelServer(silent, 0.1).call({})


def test_waiting_ends_when_told_to(silent):
    asked = iter([False, True])
    with pytest.raises(CancelledError):
        ModelServer(silent, 60.0).call({}, lambda: next(asked))


@pytest.mark.parametrize(
    'url', ['ftp://host/', 'host:80', 'http://', 'http://host:port/', 'file:///x']
)
def test_only_a_web_address_is_a_server(url):
    with pytest.raises(ConfigurationError, match='server'):
        ModelServer(url, 1.0)
