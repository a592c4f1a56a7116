# SPDX-License-Identifier: Apache-2.0
"""The second opinion, asked of a server on the loopback that answers as each test says."""

import base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import threading
import time

import cv2
import numpy as np
import pytest
from task_fakes import FakeWorld
import task_scene as scene

from flow_manip_core.errors import CancelledError, ConfigurationError
from flow_manip_task.image_check import (
    HttpChecker,
    ImageCheckConfig,
    imagined_end,
    MAX_ANSWER,
    MAX_REASON,
    NoVerdictError,
    read_answer,
)
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.policy import ManipulationConfig
from flow_manip_task.stages import ManipulateRequest

BLACK = np.zeros((40, 60, 3), np.uint8)
PUT = ManipulateRequest('put the red cube on the plate', seed=7)


def completion(content):
    return json.dumps({'choices': [{'message': {'content': content}}]}).encode()


YES = completion('{"done": true, "reason": "the cube is on the plate"}')
NO = completion('{"done": false, "reason": "the cube lies beside the plate"}')


class Server:
    """Answers every question alike and keeps what it was asked."""

    def __init__(self):
        self.answer, self.status, self.headers, self.asked = YES, 200, {}, []
        self.wait = threading.Event()
        self.wait.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                outer.asked.append((self.path, dict(self.headers), json.loads(body)))
                outer.wait.wait(5.0)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        # A client that has stopped waiting is part of the tests.
        self.http.handle_error = lambda request, client_address: None
        self.url = f'http://127.0.0.1:{self.http.server_port}/v1'
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.wait.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def config(server, **values):
    return ImageCheckConfig(url=server.url, model='judge', **{'timeout': 5.0, **values})


def ask(server, cancelled=lambda: False, **values):
    checker = HttpChecker(config(server, **values))
    return checker.check('put it there', BLACK, BLACK + 100, BLACK + 200, cancelled)


def run(server, world=None, **values):
    settings = ManipulationConfig(max_attempts=1, image_check=config(server, **values))
    return Manipulation((world or FakeWorld()).stages, settings).run(PUT)


def test_three_images_and_the_instruction_are_sent_and_the_answer_is_read(server, monkeypatch):
    monkeypatch.setenv('JUDGE_KEY', 'secret')
    verdict = ask(server, key_variable='JUDGE_KEY', max_side=32)
    assert (verdict.done, verdict.reason) == (True, 'the cube is on the plate')
    path, headers, body = server.asked[0]
    assert path == '/v1/chat/completions'
    assert headers['Authorization'] == 'Bearer secret'
    text, *images = body['messages'][0]['content']
    assert 'put it there' in text['text']
    levels = []
    for image in images:
        data = base64.b64decode(image['image_url']['url'].split(',')[1])
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert max(decoded.shape[:2]) == 32
        levels.append(round(float(decoded.mean()), -1))
    assert levels == [0, 100, 200], 'before, imagined, after'


def test_agreement_is_added_to_what_was_measured(server):
    result = run(server)
    assert result.succeeded
    assert 'mm from where its flow ends' in result.message
    assert 'judge agrees by images: the cube is on the plate' in result.message


def test_a_no_vetoes_a_goal_that_looks_reached(server):
    server.answer = NO
    result = run(server)
    assert (result.code, result.name) == (404, 'GOAL_NOT_REACHED')
    assert 'beside the plate' in result.message


def test_a_yes_does_not_widen_what_counts_as_reached(server):
    result = run(server, FakeWorld(ends_at=np.eye(4)))
    assert result.name == 'GOAL_NOT_REACHED'
    assert server.asked == [], 'what was measured to be wrong needs no opinion'


def test_a_silent_model_is_reported_and_holds_nothing_up(server):
    server.wait.clear()
    begun = time.monotonic()
    result = run(server, timeout=0.2)
    assert result.succeeded
    assert 'judge was asked by images and gave no verdict: no answer within' in result.message
    assert time.monotonic() - begun < 4.0


def test_a_cancel_is_heard_while_a_model_thinks(server):
    server.wait.clear()
    polls = iter([False, False])
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        ask(server, cancelled=lambda: next(polls, True))
    assert time.monotonic() - begun < 2.0


@pytest.mark.parametrize(
    ('answer', 'why'),
    [
        (b'not json', 'not as asked for'),
        (b'{"choices": []}', 'not as asked for'),
        (b'[' * 60_000, 'not as asked for'),
        (completion('yes'), 'not as asked for'),
        (completion('{"done": "true", "reason": "x"}'), 'not true or false'),
        (completion('{"done": 1, "reason": "x"}'), 'not true or false'),
        (completion('{"done": true}'), 'not exactly'),
        (completion('{"done": true, "reason": "x", "move": [1]}'), 'not exactly'),
        (b'x' * (MAX_ANSWER + 1), 'longer than'),
    ],
)
def test_an_answer_that_is_not_as_asked_for_is_no_verdict(answer, why):
    with pytest.raises(NoVerdictError, match=why):
        read_answer(answer)


def test_a_long_reason_with_control_characters_is_cut_and_cleaned():
    content = json.dumps({'done': True, 'reason': '\x1b[2J\n' + 'a' * 2000})
    reason = read_answer(completion(content)).reason
    assert len(reason) == MAX_REASON
    assert reason.isprintable()


def test_a_server_that_fails_or_sends_elsewhere_is_no_verdict(server):
    server.status = 500
    with pytest.raises(NoVerdictError, match='answered 500'):
        ask(server)
    server.status, server.headers = 302, {'Location': f'{server.url}/elsewhere'}
    with pytest.raises(NoVerdictError, match='answered 302'):
        ask(server)
    assert len(server.asked) == 2, 'nothing was sent elsewhere'


def test_a_server_that_is_not_there_is_no_verdict(server):
    server.close()
    with pytest.raises(NoVerdictError, match='not reached'):
        ask(server)


def test_nobody_is_asked_by_default():
    assert Manipulation(FakeWorld().stages).config.image_check.url == ''


@pytest.mark.parametrize('values', [{'url': 'file:///etc/passwd'}, {'url': 'http://'}])
def test_what_is_no_server_is_refused(values):
    with pytest.raises(ConfigurationError, match='is not http'):
        ImageCheckConfig(model='judge', **values)
    with pytest.raises(ConfigurationError, match='model is not'):
        ImageCheckConfig(url='http://localhost:1/v1')


def test_the_imagined_end_shows_the_object_where_its_flow_ends():
    before, mask = scene.observe(), scene.mask_of('red cube')
    image = imagined_end(before, mask, scene.put_flow())
    after = scene.SCENE[0].moved(scene.put_motion()[-1])
    there = scene.mask_of('red cube', (after, *scene.SCENE[1:])).pixels

    def redness(picture, pixels):
        return float((picture[pixels].astype(float) @ [1, -0.5, -0.5]).mean())

    assert redness(image, there) > 0.7 * redness(before.color, mask.pixels)
    assert redness(image, mask.pixels) < 0.3 * redness(before.color, mask.pixels)
