# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import hmac
import json
import logging
import threading
import time

import cv2
from dream_fakes import make_observation, moved
import imageio_ffmpeg
import numpy as np
import pytest
from video_services import FakeClock, FakeService

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    InvalidInputError,
    VideoBudgetError,
    VideoFailedError,
)
from flow_manip_world_model.video import VIDEO_GENERATORS
from flow_manip_world_model.video.framing import Framing
from flow_manip_world_model.video.kling import KlingVideo, web_token
from flow_manip_world_model.video.veo import VeoVideo

TEXT = 'open the drawer'
KEY = 'AIza-not-a-key-012345'
START = '/v1beta/models/veo-3.0-generate-001:predictLongRunning'
SMALL = {'width': 640, 'height': 360}  # pictures of full size take most of a test's time
OPERATION = 'models/veo-3.0-generate-001/operations/abc123'


@pytest.fixture(scope='module')
def seen():
    return make_observation()[0]


@pytest.fixture(scope='module')
def film(tmp_path_factory, seen):
    """The bytes of an mp4 as a service would answer: 16:9, 50 frames at 24 Hz."""
    path = tmp_path_factory.mktemp('film') / 'clip.mp4'
    framing = Framing((320, 240), (640, 360))
    writer = imageio_ffmpeg.write_frames(str(path), (640, 360), fps=24, macro_block_size=1)
    writer.send(None)
    for step in range(50):
        writer.send(framing.fit(moved(seen, step)))
    writer.close()
    return path.read_bytes()


@pytest.fixture
def service():
    service = FakeService()
    yield service
    service.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv('GEMINI_API_KEY', KEY)
    monkeypatch.setenv('KLING_ACCESS_KEY', 'access')
    monkeypatch.setenv('KLING_SECRET_KEY', 'hush')


def done(service, film=None):
    """Return Veo's answer of an operation that is done."""
    if film is not None:
        service.script('/files/', (200, film))
    made = {'generatedSamples': [{'video': {'uri': f'{service.url}/files/1:download?alt=media'}}]}
    return {'name': OPERATION, 'done': True, 'response': {'generateVideoResponse': made}}


@pytest.fixture
def veo(service, clock, keys, film, context):
    """Return a function that builds a Veo client of the fake service."""
    service.script(START, (200, {'name': OPERATION}))
    service.script(f'/v1beta/{OPERATION}', (200, {'name': OPERATION}), (200, done(service, film)))

    def build(**config):
        config = SMALL | config
        return VeoVideo(VeoVideo.Config(url=service.url, **config), context, clock)

    return build


@pytest.fixture
def kling(service, clock, keys, film, context):
    """Return a function that builds a Kling client of the fake service."""
    service.script('/files/', (200, film))
    task = {'task_id': '77', 'task_status': 'submitted'}
    service.script('/v1/videos/image2video', (200, {'code': 0, 'data': task}))
    result = {'videos': [{'id': 'v', 'url': f'{service.url}/files/77.mp4', 'duration': '5'}]}
    service.script(
        '/v1/videos/image2video/77',
        (200, {'code': 0, 'data': task | {'task_status': 'processing'}}),
        (200, {'code': 0, 'data': task | {'task_status': 'succeed', 'task_result': result}}),
    )

    def build(**config):
        config = SMALL | config
        return KlingVideo(KlingVideo.Config(url=service.url, **config), context, clock)

    return build


def picture(data):
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def test_veo_is_asked_as_documented_and_its_video_is_what_the_camera_would_see(
    veo, service, clock, seen
):
    (video,) = veo(width=1280, height=720).generate(seen, TEXT, seed=9)
    assert video.frames.shape == (41, 240, 320, 3)
    assert video.times[-1] == pytest.approx(49 / 24)
    assert np.abs(video.frames[0].astype(int) - seen.color).mean() < 8.0
    assert video.source == 'veo veo-3.0-generate-001, prompt by_one_hand@1'
    assert (video.seed, video.prompt[:16]) == (9, 'Open the drawer,')

    (order,) = service.asked('POST')
    assert order['path'] == START
    assert order['headers']['x-goog-api-key'] == KEY
    (instance,) = order['body']['instances']
    assert instance['image']['mimeType'] == 'image/png'
    framed = Framing((320, 240), (1280, 720)).fit(seen.color)
    np.testing.assert_array_equal(picture(instance['image']['bytesBase64Encoded']), framed)
    assert order['body']['parameters'] == {
        'aspectRatio': '16:9',
        'resolution': '720p',
        'durationSeconds': 8,
        'negativePrompt': order['body']['parameters']['negativePrompt'],
        'personGeneration': 'allow_adult',
        'seed': 9,
    }
    assert 'zoom' in order['body']['parameters']['negativePrompt']
    assert [r['path'] for r in service.asked('GET')] == [
        f'/v1beta/{OPERATION}',
        f'/v1beta/{OPERATION}',
        '/files/1:download?alt=media',
    ]
    assert clock.waits == [5.0, 5.0]


def test_a_goal_image_is_sent_to_models_that_take_one(veo, kling, service, seen):
    goal = np.ascontiguousarray(seen.color[::-1])
    for use in (False, True):
        list(veo(use_goal_image=use).generate(seen, TEXT, goal_image=goal))
    sent = [order['body']['instances'][0] for order in service.asked('POST')]
    assert ['lastFrame' in instance for instance in sent] == [False, True]
    list(kling().generate(seen, TEXT, goal_image=goal))
    framed = Framing((320, 240), (640, 360)).fit(goal)
    tail = service.asked('POST', 'image2video')[0]['body']['image_tail']
    np.testing.assert_array_equal(picture(tail), framed)
    with pytest.raises(InvalidInputError, match='an image is'):
        list(veo().generate(seen, TEXT, goal_image=goal[:50]))


def test_kling_is_asked_as_documented(kling, service, seen):
    (video,) = kling().generate(seen, TEXT, seed=4)
    assert video.frames.shape == (41, 240, 320, 3)
    assert video.source == 'kling kling-v2-1, prompt by_one_hand@1'
    (order,) = service.asked('POST')
    body = order['body']
    assert (body['model_name'], body['mode'], body['duration']) == ('kling-v2-1', 'pro', '5')
    assert not body['image'].startswith('data:')
    assert 'image_tail' not in body
    assert body['prompt'].startswith('Open the drawer')
    assert order['headers']['authorization'].startswith('Bearer ')


def test_klings_token_is_signed_with_the_secret_and_does_not_hold_it():
    head, claims, signature = web_token('access', 'hush', 1_000_000).split('.')

    def read(part):
        return base64.urlsafe_b64decode(part + '=' * (-len(part) % 4))

    assert json.loads(read(head)) == {'alg': 'HS256', 'typ': 'JWT'}
    assert json.loads(read(claims)) == {'iss': 'access', 'exp': 1_001_800, 'nbf': 999_995}
    expected = hmac.new(b'hush', f'{head}.{claims}'.encode(), hashlib.sha256).digest()
    assert read(signature) == expected


def test_all_videos_are_ordered_before_the_first_is_waited_for(veo, service, seen):
    videos = list(veo().generate(seen, TEXT, num_videos=3, seed=5))
    # The first was not ready when it was asked for: the others came before it.
    assert [video.seed for video in videos] == [6, 7, 5]
    kinds = [request['method'] for request in service.requests]
    assert kinds[:3] == ['POST'] * 3
    assert 'POST' not in kinds[3:]


def test_a_video_beyond_the_budget_is_never_ordered(veo, service, seen):
    failed = {}
    generator = veo(price_per_second=0.5, budget=9.0)  # 4 each
    videos = list(generator.generate(seen, TEXT, num_videos=4, on_failed=failed.__setitem__))
    assert len(videos) == len(service.asked('POST')) == 2
    assert {number: type(error) for number, error in failed.items()} == {
        2: VideoBudgetError,
        3: VideoBudgetError,
    }
    assert 'video 3 costs 4.00, 8.00 of 9.00' in str(failed[2])
    service.requests.clear()
    with pytest.raises(VideoBudgetError, match=r'0\.00 of 3\.00'):
        list(veo(price_per_second=0.5, budget=3.0).generate(seen, TEXT))
    assert not service.requests


def test_the_budget_is_of_a_goal_not_of_a_day(veo, seen):
    generator = veo(price_per_second=0.5, budget=4.0)
    for _ in range(2):
        assert len(list(generator.generate(seen, TEXT))) == 1


def test_a_busy_service_is_asked_again_after_growing_pauses(veo, service, clock, seen, film):
    busy = (503, {'error': {'message': 'overloaded'}})
    service.script(START, busy, (429, {}, {'Retry-After': '7'}), (200, {'name': OPERATION}))
    service.script(f'/v1beta/{OPERATION}', (500, {}), busy, (200, done(service, film)))
    assert len(list(veo().generate(seen, TEXT))) == 1
    assert len(service.asked('POST')) == 3
    assert clock.waits == [1.0, 7.0, 5.0, 1.0, 2.0]


def test_a_service_that_stays_busy_is_given_up(veo, service, seen):
    service.script(START, (503, {'error': {'message': 'overloaded'}}))
    with pytest.raises(VideoFailedError, match=r'503.*overloaded'):
        list(veo(retries=2).generate(seen, TEXT))
    assert len(service.asked('POST')) == 3


def test_an_answer_that_breaks_off_is_asked_for_again(veo, service, seen, film):
    service.script(
        f'/v1beta/{OPERATION}',
        (200, b'{', {'Content-Encoding': 'x', 'Transfer-Encoding': 'chunked'}),
        (200, done(service, film)),
    )
    assert len(list(veo().generate(seen, TEXT))) == 1


def test_an_order_that_may_have_been_taken_is_not_repeated(veo, service, seen):
    service.script(START, (500, {'error': {'message': 'internal'}}))
    with pytest.raises(VideoFailedError, match=r'500.*internal'):
        list(veo().generate(seen, TEXT))
    assert len(service.asked('POST')) == 1


def test_a_service_that_is_not_there_is_tried_a_few_times(clock, keys, context, seen):
    service = FakeService()
    url = service.url
    service.close()
    veo = VeoVideo(VeoVideo.Config(url=url, retries=2), context, clock)
    with pytest.raises(VideoFailedError, match='refused'):
        list(veo.generate(seen, TEXT))
    assert clock.waits == [1.0, 2.0]


def test_a_service_that_does_not_answer_is_left(veo, service, seen):
    held = threading.Event()
    service.script(START, (200, lambda request: held.wait(10.0) or {}))
    begin = time.monotonic()
    with pytest.raises(VideoFailedError, match=r'no answer within 0\.2 s'):
        list(veo(request_timeout=0.2).generate(seen, TEXT))
    held.set()
    assert time.monotonic() - begin < 5.0
    assert len(service.asked('POST')) == 1


def test_a_video_that_is_never_ready_is_given_up(veo, service, clock, seen):
    service.script(f'/v1beta/{OPERATION}', (200, {'name': OPERATION}))
    with pytest.raises(VideoFailedError, match='not ready within 60 s'):
        list(veo(timeout=60.0).generate(seen, TEXT))
    assert 60.0 < clock.time <= 70.0


def test_what_a_service_refuses_is_said_in_its_words(veo, kling, service, seen):
    filtered = {'raiMediaFilteredCount': 1, 'raiMediaFilteredReasons': ['it shows a knife']}
    answers = [
        ({'done': True, 'response': {'generateVideoResponse': filtered}}, 'it shows a knife'),
        ({'done': True, 'error': {'code': 3, 'message': 'bad image'}}, 'bad image'),
        ({'done': True, 'response': {}}, 'no video'),
        ({'done': True, 'response': [1]}, 'no video'),
        ([1, 2], 'answered list'),
    ]
    for answer, words in answers:
        service.script(f'/v1beta/{OPERATION}', (200, answer))
        with pytest.raises(VideoFailedError, match=words):
            list(veo().generate(seen, TEXT))
    data = {'task_id': '77', 'task_status': 'failed', 'task_status_msg': 'risk control'}
    service.script('/v1/videos/image2video/77', (200, {'code': 0, 'data': data}))
    with pytest.raises(VideoFailedError, match='risk control'):
        list(kling().generate(seen, TEXT))
    service.script('/v1/videos/image2video', (200, {'code': 1102, 'message': 'no credits'}))
    with pytest.raises(VideoFailedError, match='1102: no credits'):
        list(kling().generate(seen, TEXT))


def test_one_video_that_fails_does_not_cost_the_others(veo, service, seen, film):
    made = done(service, film)
    service.script(
        f'/v1beta/{OPERATION}', (200, {'done': True, 'error': {'message': 'odd'}}), (200, made)
    )
    failed = {}
    videos = list(veo().generate(seen, TEXT, num_videos=3, on_failed=failed.__setitem__))
    assert [video.seed for video in videos] == [1, 2]
    assert list(failed) == [0]


@pytest.mark.parametrize(
    'name', ['../../secrets', 'a b', '', 'https://elsewhere/x', 'operations/x?key=1']
)
def test_an_operation_with_an_odd_name_is_not_followed(veo, service, seen, name):
    service.script(START, (200, {'name': name}))
    with pytest.raises(VideoFailedError, match='no operation'):
        list(veo().generate(seen, TEXT))
    assert not service.asked('GET')


def test_the_key_is_sent_to_the_service_alone(veo, service, seen, film):
    elsewhere = FakeService()
    elsewhere.script('/', (200, film))
    service.script('/files/', (302, b'', {'Location': f'{elsewhere.url}/store/1.mp4'}))
    service.script(f'/v1beta/{OPERATION}', (200, done(service)))
    assert len(list(veo().generate(seen, TEXT))) == 1
    assert service.asked('GET', '/files/')[0]['headers']['x-goog-api-key'] == KEY
    (fetched,) = elsewhere.requests
    assert not any(KEY in value for value in fetched['headers'].values())
    elsewhere.close()


@pytest.mark.parametrize(
    'link',
    ['http://203.0.113.5/x.mp4', 'file:///etc/hostname', 'ftp://127.0.0.1/x', '//x', 'http://'],
)
def test_files_are_fetched_over_https_only(veo, service, seen, link):
    made = done(service)
    made['response']['generateVideoResponse']['generatedSamples'][0]['video']['uri'] = link
    service.script(f'/v1beta/{OPERATION}', (200, made))
    with pytest.raises(VideoFailedError, match='https'):
        list(veo().generate(seen, TEXT))
    service.script('/files/', (302, b'', {'Location': 'http://203.0.113.5/x.mp4'}))
    service.script(f'/v1beta/{OPERATION}', (200, done(service)))
    with pytest.raises(VideoFailedError, match='https'):
        list(veo().generate(seen, TEXT))


def test_a_redirect_in_a_circle_ends(veo, service, seen):
    service.script(f'/v1beta/{OPERATION}', (200, done(service)))
    service.script('/files/', (302, b'', {'Location': '/files/2'}))
    with pytest.raises(VideoFailedError, match='too often'):
        list(veo().generate(seen, TEXT))


def test_a_file_that_is_no_video_or_too_long_is_refused(veo, service, seen, monkeypatch):
    service.script(f'/v1beta/{OPERATION}', (200, done(service, b'not a film')))
    with pytest.raises(VideoFailedError, match='cannot be read'):
        list(veo().generate(seen, TEXT))
    monkeypatch.setattr('flow_manip_world_model.video.cloud.MAX_VIDEO', 1000)
    service.script(f'/v1beta/{OPERATION}', (200, done(service, b'x' * 2000)))
    with pytest.raises(VideoFailedError, match='longer than 1000 bytes'):
        list(veo().generate(seen, TEXT))
    assert len(service.asked('GET', '/files/')) == 2  # no second try


def test_a_key_that_is_missing_or_refused_is_said_without_showing_one(
    veo, service, seen, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    service.script(START, (403, {'error': {'message': 'API key not valid'}}))
    with pytest.raises(BackendError, match=r'refused the key.*not valid') as failure:
        list(veo().generate(seen, TEXT))
    assert KEY not in str(failure.value)
    assert KEY not in caplog.text
    monkeypatch.delenv('GEMINI_API_KEY')
    service.requests.clear()
    with pytest.raises(BackendError, match='GEMINI_API_KEY'):
        list(veo().generate(seen, TEXT))
    monkeypatch.setenv('GEMINI_API_KEY', 'two\nlines')
    with pytest.raises(BackendError, match='holds no key'):
        list(veo().generate(seen, TEXT))
    assert not service.requests


def test_a_cancel_is_seen_while_waiting_and_while_a_service_is_asked(veo, service, clock, seen):
    stop = threading.Event()
    clock.on_wait = stop.set
    with pytest.raises(CancelledError):
        list(veo().generate(seen, TEXT, cancelled=stop.is_set))
    held, asked = threading.Event(), threading.Event()

    def hang(request):
        asked.set()
        held.wait(10.0)
        return {}

    service.script(START, (200, hang))
    begin = time.monotonic()
    with pytest.raises(CancelledError):
        list(veo().generate(seen, TEXT, cancelled=asked.is_set))
    held.set()
    assert time.monotonic() - begin < 2.0


@pytest.mark.parametrize(
    ('cls', 'values', 'words'),
    [
        (VeoVideo, {'seconds': 7}, '7 s'),
        (VeoVideo, {'price_per_second': 0.0}, 'above 0'),
        (VeoVideo, {'retries': 99}, '0..10'),
        (VeoVideo, {'num_frames': 1}, '1 frames'),
        (KlingVideo, {'seconds': 8}, '8 s'),
        (KlingVideo, {'mode': 'best'}, 'best'),
        (KlingVideo, {'height': 200}, 'at least 300'),
    ],
)
def test_settings_that_make_no_sense_are_refused(cls, values, words):
    with pytest.raises(ConfigurationError, match=words):
        cls.Config(**values)


@pytest.mark.parametrize('url', ['http://example.org', 'ftp://127.0.0.1', 'veo', ''])
def test_a_service_is_reached_over_https_or_on_this_machine(context, url):
    with pytest.raises(ConfigurationError, match='no https address'):
        VeoVideo(VeoVideo.Config(url=url), context)


def test_the_tables_know_them():
    assert VIDEO_GENERATORS.load('veo') is VeoVideo
    assert VIDEO_GENERATORS.load('kling') is KlingVideo
