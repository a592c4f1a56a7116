# SPDX-License-Identifier: Apache-2.0
"""The model server and the `remote` backends that are its clients, over loopback."""

from contextlib import contextmanager
from dataclasses import replace
import http.client
import subprocess
import sys
import threading

import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.config import config_root, from_mapping
from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    DepthCalibrationError,
    error_classes,
    VideoFailedError,
)
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.video import Video
from flow_manip_core.wire import ModelServer, pack, RemoteError, TOKEN, unpack
from flow_manip_perception.depth import DEPTH_ESTIMATORS
from flow_manip_perception.depth.remote import RemoteDepth
from flow_manip_perception.segmentation import SEGMENTERS, VIDEO_SEGMENTERS
from flow_manip_perception.segmentation.remote import RemoteVideoSegmenter
from flow_manip_perception.tracking import TRACKERS
from flow_manip_perception.tracking.remote import RemoteTracker
from flow_manip_task.cli import serving as serving_command
from flow_manip_world_model.flow.remote import RemoteFlow
from flow_manip_world_model.server import HostConfig, ModelHost, services
from flow_manip_world_model.video import VIDEO_GENERATORS
from flow_manip_world_model.video.remote import RemoteVideo

SECRET = 'a token of enough letters'


@pytest.fixture(scope='module')
def context():
    return Context(load_robot('franka'), load_rig('tabletop'))


@contextmanager
def serving(parameters, context, token='', **bounds):
    """Serve on a free loopback port; yield its URL."""
    host = ModelHost(parameters, context, HostConfig(**bounds))
    server = host.listen('127.0.0.1', 0, token)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def own(monkeypatch):
    """Serve a function of (request, cancelled) as kind 'own'."""

    def serve(function):
        service = services.Service(
            lambda parameters, context: function, lambda backend, *rest: backend(*rest)
        )
        monkeypatch.setitem(services.SERVICES, 'own', service)
        return {'own': {'backend': 'of this test'}}

    return serve


def make_video(depth=True):
    rng = np.random.default_rng(3)
    return Video(
        frames=rng.integers(0, 256, (4, 24, 32, 3), dtype=np.uint8),
        times=np.arange(4) / 16.0,
        depth=rng.uniform(0.5, 1.0, (4, 24, 32)).astype(np.float32) if depth else None,
    )


def ask(url, method, path, body=b'', headers=()):
    connection = http.client.HTTPConnection(url.removeprefix('http://'), timeout=10)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, unpack(response.read())
    finally:
        connection.close()


def test_remote_depth_is_what_the_served_backend_gives(context):
    video = make_video()
    with serving({'depth': {'backend': 'sensor'}}, context) as url:
        remote = RemoteDepth(RemoteDepth.Config(server=f'{url}/depth'), context)
        np.testing.assert_array_equal(remote.estimate(video), video.depth)


def test_an_error_of_the_served_backend_is_raised_by_the_client(context):
    with serving({'depth': {'backend': 'sensor'}}, context) as url:
        remote = RemoteDepth(RemoteDepth.Config(server=f'{url}/depth'), context)
        with pytest.raises(DepthCalibrationError, match=r'422 DEPTH_CALIBRATION.*without depth'):
            remote.estimate(make_video(depth=False))


def test_depth_of_another_kind_than_expected_is_refused(context):
    served = {'depth': {'backend': 'sensor', 'sensor': {'kind': 'disparity'}}}
    with serving(served, context) as url:
        remote = RemoteDepth(RemoteDepth.Config(server=f'{url}/depth'), context)
        with pytest.raises(BackendError, match="gives disparity depth, not 'metric'"):
            remote.estimate(make_video())


def test_remote_tracks_come_back_with_what_the_tracker_was_given(context, monkeypatch):
    seen = {}

    class Tracker:
        def track(self, video, queries, *, depth, camera, regions, cancelled):
            seen.update(depth=depth, camera=camera, regions=regions)
            points = np.repeat(queries[None], video.num_frames, axis=0)
            return PointTracks(points, np.ones(points.shape[:2]), video.times)

    service = services.Service(lambda *_: Tracker(), services.SERVICES['track'].answer)
    monkeypatch.setitem(services.SERVICES, 'track', service)
    video, queries = make_video(), np.array([[3.0, 4.0], [10.5, 7.0]], dtype=np.float32)
    camera = CameraModel(32, 24, 30.0, 31.0, 15.5, 11.5)
    regions = np.where(np.eye(24, 32, dtype=bool), 0, -1)
    with serving({'track': {'backend': 'own'}}, context) as url:
        remote = RemoteTracker(RemoteTracker.Config(server=f'{url}/track'), context)
        tracks = remote.track(video, queries, depth=video.depth, camera=camera, regions=regions)
        with pytest.raises(BackendError, match='process of tracking_node'):
            remote.stream()
    np.testing.assert_array_equal(tracks.points[2], queries)
    np.testing.assert_array_equal(seen['depth'], video.depth)
    assert seen['camera'] == camera
    np.testing.assert_array_equal(seen['regions'], regions)


def test_remote_masks_follow_the_video(context, monkeypatch):
    class Segmenter:
        def propagate(self, video, mask, *, cancelled):
            return np.repeat(mask.pixels[None], video.num_frames, axis=0)

    service = services.Service(lambda *_: Segmenter(), services.SERVICES['propagate'].answer)
    monkeypatch.setitem(services.SERVICES, 'propagate', service)
    mask = Mask(np.eye(24, 32, dtype=bool), 'cup')
    with serving({'propagate': {'backend': 'own'}}, context) as url:
        config = RemoteVideoSegmenter.Config(server=f'{url}/propagate')
        masks = RemoteVideoSegmenter(config, context).propagate(make_video(), mask)
    assert masks.shape == (4, 24, 32)
    np.testing.assert_array_equal(masks[3], mask.pixels)


def test_health_and_metadata_say_what_is_served(context):
    with serving({'depth': {'backend': 'sensor'}}, context) as url:
        assert ask(url, 'GET', '/health') == (200, {'status': 'ok', 'kinds': ['depth']})
        status, metadata = ask(url, 'GET', '/metadata')
        assert (status, metadata['kinds'], metadata['version']) == (200, {'depth': 'sensor'}, 1)
        assert ask(url, 'GET', '/depth')[0] == 404


def test_every_answer_says_how_long_it_took(context, own):
    with serving(own(lambda request, cancelled: {}), context) as url:
        answer = ModelServer(f'{url}/own', 10.0).call({})
    assert set(answer['seconds']) == {'receive', 'queue', 'work'}


def test_requests_that_are_too_large_or_no_msgpack_are_refused_unread(context, own):
    with serving(own(lambda request, cancelled: {}), context, max_bytes=1000) as url:
        with pytest.raises(RemoteError, match=r'413.*at most 1000 are read'):
            ModelServer(f'{url}/own', 10.0).call({'data': bytes(4_000_000)})
        assert ask(url, 'POST', '/own', b'{')[0] == 400
        status, answer = ask(url, 'POST', '/other', pack({}))
        assert (status, answer['error']['name']) == (404, 'NOT_SERVED')
        status, answer = ask(url, 'POST', '/own', headers={'Content-Length': 'many'}.items())
        assert (status, answer['error']['message']) == (411, 'no Content-Length')


def test_a_request_that_does_not_arrive_is_given_up(context, own):
    with serving(own(lambda request, cancelled: {}), context, read_timeout=0.1) as url:
        status, answer = ask(url, 'POST', '/own', headers={'Content-Length': '100'}.items())
    assert (status, answer['error']['name']) == (408, 'TIMEOUT')


def test_a_full_queue_is_answered_busy(context, own):
    working, go_on = threading.Event(), threading.Event()

    def work(request, cancelled):
        working.set()
        assert go_on.wait(10)
        return {}

    with serving(own(work), context, max_waiting=0) as url:
        server = ModelServer(f'{url}/own', 10.0)
        first = threading.Thread(target=server.call, args=({},))
        first.start()
        assert working.wait(10)
        with pytest.raises(RemoteError, match=r'503 BUSY') as refused:
            server.call({})
        go_on.set()
        first.join()
        assert refused.value.reason == 'BUSY'
        server.call({})


def test_a_client_that_goes_away_cancels_the_work(context, own):
    working, ended = threading.Event(), threading.Event()

    def work(request, cancelled):
        working.set()
        while not cancelled():
            threading.Event().wait(0.005)
        ended.set()
        raise CancelledError('seen')

    with serving(own(work), context) as url:
        with pytest.raises(CancelledError, match='cancelled while'):
            ModelServer(f'{url}/own', 10.0).call({}, cancelled=working.is_set)
        assert ended.wait(10)


def test_an_unexpected_failure_is_told_and_the_server_goes_on(context, own):
    answers = iter([1 / 3, {}])

    def work(request, cancelled):
        value = next(answers)
        return value | {}

    with serving(own(work), context) as url:
        server = ModelServer(f'{url}/own', 10.0)
        with pytest.raises(BackendError, match=r'500 BACKEND: TypeError'):
            server.ask({})
        assert server.ask({})['version'] == 1


def test_a_token_is_asked_for(context, own, monkeypatch):
    with serving(own(lambda request, cancelled: {}), context, token=SECRET) as url:
        with pytest.raises(RemoteError, match='401 UNAUTHORIZED'):
            ModelServer(f'{url}/own', 10.0).call({})
        monkeypatch.setenv(TOKEN, SECRET)
        ModelServer(f'{url}/own', 10.0).call({})


@pytest.mark.parametrize('token', ['', 'short'])
def test_other_machines_are_not_served_without_a_token(context, own, token):
    host = ModelHost(own(lambda request, cancelled: {}), context)
    with pytest.raises(ConfigurationError, match='a token of at least 16'):
        host.listen('0.0.0.0', 0, token)


def test_what_cannot_be_served_is_said_at_the_start(context):
    with pytest.raises(ConfigurationError, match=r"cannot serve \['sound'\]; kinds: video, depth"):
        ModelHost({'sound': {'backend': 'x'}}, context)
    with pytest.raises(BackendError, match="did you mean 'sensor'"):
        ModelHost({'depth': {'backend': 'sensors'}}, context)


def test_every_error_has_one_name():
    names = [cls.name for cls in error_classes().values()]
    assert len(set(names)) == len(names)


@pytest.fixture
def observation():
    video = make_video()
    return Observation(
        color=video.frames[0],
        depth=video.depth[0],
        camera=CameraModel(32, 24, 30.0, 31.0, 15.5, 11.5),
        T_world_camera=np.eye(4),
    )


def test_remote_videos_come_one_by_one_and_failed_ones_are_told(context, monkeypatch, observation):
    class Generator:
        def generate(self, observation, instruction, *, goal_image, num_videos, seed, cancelled):
            if seed == 8:
                raise VideoFailedError('it refused')
            yield replace(make_video(), prompt=instruction, seed=seed)

    service = services.Service(lambda *_: Generator(), services.SERVICES['video'].answer)
    monkeypatch.setitem(services.SERVICES, 'video', service)
    failed = []
    with serving({'video': {'backend': 'own'}}, context) as url:
        remote = RemoteVideo(RemoteVideo.Config(server=f'{url}/video'), context)
        videos = list(
            remote.generate(
                observation,
                'move it',
                num_videos=3,
                seed=7,
                on_failed=lambda number, error: failed.append((number, error.name)),
            )
        )
        with pytest.raises(VideoFailedError, match='it refused'):
            list(remote.generate(observation, 'move it', seed=8))
    assert [(video.seed, video.prompt) for video in videos] == [(7, 'move it'), (9, 'move it')]
    assert failed == [(1, 'VIDEO_FAILED')]


def test_remote_flows_are_what_the_served_generator_imagines(context, monkeypatch, observation):
    moves = np.tile(np.eye(4), (3, 1, 1))
    flow = flow_from_transforms(np.random.default_rng(1).random((6, 3)), moves, [0.0, 1.0, 2.0])

    class Generator:
        def generate(self, observation, instruction, masks, *, num_candidates, **rest):
            return [replace(flow, object=masks[0].label)] * num_candidates

    service = services.Service(lambda *_: Generator(), services.SERVICES['flow'].answer)
    monkeypatch.setitem(services.SERVICES, 'flow', service)
    with serving({'flow': {'backend': 'own'}}, context) as url:
        remote = RemoteFlow(RemoteFlow.Config(server=f'{url}/flow'), context)
        mask = Mask(np.eye(24, 32, dtype=bool), 'cup')
        flows = remote.generate(observation, 'move it', [mask], num_candidates=2)
        with pytest.raises(BackendError, match='no flow and no error'):
            remote.generate(observation, 'move it', [mask])
    assert [flow.object for flow in flows] == ['cup', 'cup']
    np.testing.assert_array_equal(flows[1].points, flow.points)


def test_serve_runs_until_it_is_told_to_stop():
    code = 'import sys; from flow_manip_task.cli.main import main; sys.exit(main())'
    command = [sys.executable, '-c', code, 'serve', 'depth=sensor', '--port', '0']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == 'loading depth: sensor\n'
        line = process.stdout.readline()
        assert line.startswith('serving depth at http://127.0.0.1:')
        assert ask(line.split()[-1], 'GET', '/health')[0] == 200
        process.terminate()
        assert process.communicate(timeout=20)[0] == 'stopped\n'
        assert process.returncode == 0
    finally:
        process.kill()


def test_serve_takes_parameters_from_a_file(tmp_path):
    file = tmp_path / 'server.yaml'
    file.write_text('depth: {backend: sensor, sensor: {kind: relative}}\ntrack: {backend: remote}')
    depth = {'backend': 'sensor', 'sensor': {'kind': 'relative'}}
    assert serving_command.parameters_of([], file) == {
        'depth': depth,
        'track': {'backend': 'remote'},
    }
    assert serving_command.parameters_of(['depth'], file) == {'depth': depth}
    assert serving_command.parameters_of(['depth=other'], file)['depth']['backend'] == 'other'
    with pytest.raises(ConfigurationError, match="'video': say which backend"):
        serving_command.parameters_of(['video'], file)


def test_the_shipped_server_file_names_backends_that_exist():
    parameters = serving_command.parameters_of([], config_root() / 'server.yaml')
    assert set(parameters) <= set(services.SERVICES)
    for kind, values in parameters.items():
        table = {
            'video': VIDEO_GENERATORS,
            'depth': DEPTH_ESTIMATORS,
            'segment': SEGMENTERS,
            'propagate': VIDEO_SEGMENTERS,
            'track': TRACKERS,
        }[kind]
        cls = table.load(values['backend'])
        from_mapping(cls.Config, values.get(values['backend'], {}), kind)
