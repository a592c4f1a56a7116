# SPDX-License-Identifier: Apache-2.0
"""Asking a model over HTTP: what is sent, what is read, and what is no answer."""

import base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import threading
import time

import cv2
import numpy as np
import pytest

from flow_manip_core.chat import (
    as_data_url,
    ChatConfig,
    ChatModel,
    check_url,
    MAX_ANSWER,
    NoAnswerError,
    post_json,
    request_of,
    text_of,
)
from flow_manip_core.errors import CancelledError, ConfigurationError

IMAGE = np.zeros((40, 60, 3), np.uint8)


class Server:
    """Answers with bytes, waits where told to."""

    def __init__(self):
        self.answer, self.status, self.headers, self.asked = b'{}', 200, {}, []
        self.go_on = threading.Event()
        self.go_on.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.asked.append(self.rfile.read(int(self.headers['Content-Length'])))
                outer.go_on.wait(5.0)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.http.handle_error = lambda request, client_address: None
        self.url = f'http://127.0.0.1:{self.http.server_port}'
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.go_on.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def said(text):
    return json.dumps({'choices': [{'message': {'content': text}}]}).encode()


def test_a_map_is_posted_and_bytes_come_back(server):
    server.answer = b'{"a": 1}'
    assert post_json(server.url, {'q': 'ä'}, {}, 5.0) == b'{"a": 1}'
    assert json.loads(server.asked[0]) == {'q': 'ä'}


def test_a_redirect_is_not_followed(server):
    server.status, server.headers = 302, {'Location': 'http://127.0.0.1:9/'}
    with pytest.raises(NoAnswerError, match='answered 302'):
        post_json(server.url, {}, {}, 5.0)


def test_more_than_the_limit_is_not_read(server):
    server.answer = b'x' * (MAX_ANSWER + 1)
    with pytest.raises(NoAnswerError, match='longer than'):
        post_json(server.url, {}, {}, 5.0)


def test_a_silent_server_is_left_in_time_and_at_a_cancel(server):
    server.go_on.clear()
    begun = time.monotonic()
    with pytest.raises(NoAnswerError, match=r'no answer within 0\.2 s'):
        post_json(server.url, {}, {}, 0.2)
    asked = []
    with pytest.raises(CancelledError):
        post_json(server.url, {}, {}, 60.0, lambda: asked.append(1) or len(asked) > 3)
    assert time.monotonic() - begun < 5.0


def test_questions_are_asked_again_until_the_answer_is_usable_or_the_tries_are_over(server):
    server.answer = said('no')
    model = ChatModel(ChatConfig(url=server.url, model='m', tries=3, timeout=5.0))

    def read(text):
        if len(server.asked) < 3:
            raise NoAnswerError(f'not {text}')
        return text

    assert model.ask('q', [IMAGE], {}, read) == 'no'
    with pytest.raises(NoAnswerError, match='never'):
        model.ask('q', [], {}, lambda text: (_ for _ in ()).throw(NoAnswerError('never')))
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ('kind', 'data'),
    [
        ('openai', b'no json'),
        ('openai', b'[]'),
        ('openai', b'{"choices": []}'),
        ('openai', b'{"choices": [{"message": {"content": null}}]}'),
        ('gemini', b'{"candidates": []}'),
        ('gemini', b'{"promptFeedback": {"blockReason": "SAFETY"}}'),
        ('gemini', b'{"candidates": [{"content": {"parts": ["x"]}}]}'),
        ('openai', b'[' * 50_000),
    ],
)
def test_other_shapes_are_no_answer(kind, data):
    with pytest.raises(NoAnswerError):
        text_of(kind, data)


def test_thoughts_of_a_model_are_no_answer_of_it():
    parts = [{'text': 'hmm', 'thought': True}, {'text': '{"a"'}, {'text': ': 1}'}]
    data = json.dumps({'candidates': [{'content': {'parts': parts}}]}).encode()
    assert text_of('gemini', data) == '{"a": 1}'


def test_a_key_stands_in_a_header_and_never_in_the_address(monkeypatch):
    monkeypatch.setenv('CHAT_KEY', 'secret')
    for kind, name in (('openai', 'Authorization'), ('gemini', 'x-goog-api-key')):
        config = ChatConfig(url='http://h/v1', model='a/b', kind=kind, key_variable='CHAT_KEY')
        url, headers, body = request_of(config, 'q', [IMAGE], {})
        assert 'secret' in headers[name]
        assert 'secret' not in url + json.dumps(body)
    assert url == 'http://h/v1/models/a%2Fb:generateContent'


def test_images_are_made_smaller_but_never_larger():
    for side, expected in ((30, (20, 30)), (600, (40, 60))):
        data = base64.b64decode(as_data_url(IMAGE, side).partition(',')[2])
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape[:2] == expected


@pytest.mark.parametrize('url', ['', 'ftp://h', 'h/v1', 'http://', 'file:///etc/passwd'])
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(ConfigurationError, match='is not http'):
        check_url(url)
