# SPDX-License-Identifier: Apache-2.0
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
import threading
import time

import numpy as np
import pytest

from flow_manip_core.backends import create_backend
from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    NoGraspError,
    StageTimeoutError,
)
from flow_manip_core.transforms import invert_transform, make_transform
from flow_manip_core.wire import array_of, pack, unpack
from flow_manip_planning.grasp import GRASP_PROPOSERS
from flow_manip_planning.grasp.remote import RemoteGrasps, width_between

DOWN = np.diag([1.0, -1.0, -1.0])
# Axes of the models' frames in ours: columns are their x, y, z where ours closes along y.
GRASPGEN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
ANYGRASP = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


@contextmanager
def serving(answer):
    """Serve `answer(request) -> values` on a loopback port; yield URL and the last requests."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            requests.append(unpack(self.rfile.read(int(self.headers['Content-Length']))))
            values = answer(requests[-1])
            body = pack(values)
            self.send_response(422 if 'error' in values else 200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}/grasps', requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make(url, context, **parameters):
    return RemoteGrasps(RemoteGrasps.Config(server=url, **parameters), context)


@pytest.fixture
def cube(tabletop, scenes):
    thing = scenes.thing(0.5, 0.05, (0.05, 0.05, 0.05))
    observation, (mask,) = tabletop.look(thing)
    return thing, observation, mask


def answer_of(T_camera_grasps, scores, **arrays):
    values = {'version': 1, 'poses': np.asarray(T_camera_grasps, '<f4')}
    values['scores'] = np.asarray(scores, '<f4')
    return values | {name: np.asarray(value, '<f4') for name, value in arrays.items()}


def wanted_grasps():
    """Poses of our tool centre point in the world: straight down and from the side."""
    level = np.stack([[0.0, 0, 1], [0, 1.0, 0], [-1.0, 0, 0]], axis=1)
    return [make_transform([0.5, 0.05, 0.03], DOWN), make_transform([0.52, 0.05, 0.03], level)]


def test_graspgens_base_link_closing_along_x_becomes_our_tcp(cube, context):
    _, observation, mask = cube
    to_base = make_transform([0, 0, -0.1034], GRASPGEN)
    to_camera = invert_transform(observation.T_world_camera)
    sent = [to_camera @ T @ to_base for T in wanted_grasps()]
    with serving(lambda _: answer_of(sent, [0.9, 0.4])) as (url, _):
        grasps = make(url, context).propose(observation, mask)
    for grasp, wanted in zip(grasps[::2], wanted_grasps()):
        np.testing.assert_allclose(grasp.T_world_tcp, wanted, atol=1e-5)
    assert [grasp.score for grasp in grasps[::2]] == pytest.approx([0.9, 0.4])
    # No widths came: the cube is measured between the pads.
    assert grasps[0].width == pytest.approx(0.05, abs=0.006)


def test_anygrasps_frame_and_depth_become_our_tcp(cube, context):
    _, observation, mask = cube
    tip = context.robot.gripper.tip_offset
    to_camera = invert_transform(observation.T_world_camera)
    depths = [0.02, 0.04]
    sent = [
        to_camera @ T @ make_transform([0, 0, tip - depth], ANYGRASP)
        for T, depth in zip(wanted_grasps(), depths)
    ]
    answer = answer_of(sent, [1.5, 3.0], widths=[0.05, 0.06], depths=depths)
    with serving(lambda _: answer) as (url, _):
        grasps = make(url, context, model='anygrasp').propose(observation, mask)
    # Scores above 1 are brought to 0..1, best first.
    assert [grasp.score for grasp in grasps[::2]] == pytest.approx([1.0, 0.5])
    for grasp, wanted in zip(grasps[::2], reversed(wanted_grasps())):
        np.testing.assert_allclose(grasp.T_world_tcp, wanted, atol=1e-5)
    assert [grasp.width for grasp in grasps[::2]] == pytest.approx([0.06, 0.05])


def test_the_cloud_is_sent_in_the_cameras_frame_with_its_mask(cube, context):
    thing, observation, mask = cube
    with serving(lambda _: answer_of(np.empty((0, 4, 4)), [])) as (url, requests):
        with pytest.raises(NoGraspError, match='among 0'):
            make(url, context, max_points=3000).propose(observation, mask, max_grasps=7, seed=3)
    (request,) = requests
    points = array_of(request, 'points', '<f4', (3000, 3))
    on_object = array_of(request, 'mask', '|u1', (3000,)).astype(bool)
    array_of(request, 'colors', '|u1', (3000, 3))
    world = points @ observation.T_world_camera[:3, :3].T + observation.T_world_camera[:3, 3]
    assert np.linalg.norm(world[on_object].mean(axis=0)[:2] - thing.pose[:2, 3]) < 0.02
    assert np.abs(world - thing.pose[:3, 3]).max() < 0.6
    assert on_object.sum() == min(1500, len(mask.points(observation)))
    assert (request['model'], request['max_grasps'], request['seed']) == ('graspgen', 7, 3)


def test_a_contact_hint_orders_what_the_server_proposes(cube, context):
    _, observation, mask = cube
    wanted = [make_transform([0.5 + dx, 0.05, 0.03], DOWN) for dx in (0.0, 0.06, 0.1)]
    to_base = make_transform([0, 0, -0.1034], GRASPGEN)
    sent = [invert_transform(observation.T_world_camera) @ T @ to_base for T in wanted]
    with serving(lambda _: answer_of(sent, [0.9, 0.8, 0.3])) as (url, _):
        proposer = make(url, context)
        grasps = proposer.propose(observation, mask, contact=np.array([0.59, 0.05, 0.03]))
    assert [round(g.T_world_tcp[0, 3], 2) for g in grasps[::2]] == [0.6, 0.5, 0.56]


def test_grasps_off_the_part_are_dropped(cube, context):
    _, observation, mask = cube
    heights = (0.005, 0.045)
    to_base = make_transform([0, 0, -0.1034], GRASPGEN)
    to_camera = invert_transform(observation.T_world_camera)
    sent = [to_camera @ make_transform([0.5, 0.05, z], DOWN) @ to_base for z in heights]
    with serving(lambda _: answer_of(sent, [0.9, 0.8], widths=[0.05, 0.05])) as (url, _):
        grasps = make(url, context).propose(observation, mask, part='top')
    assert {round(g.T_world_tcp[2, 3], 3) for g in grasps} == {0.045}


POSE = np.eye(4)[None]
GOOD = answer_of(POSE, [1.0], widths=[0.05], depths=[0.02])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'version': 2}, 'version 2, expected 1'),
        ({'poses': np.zeros((1, 4, 4), '<f4')}, 'last row'),
        ({'poses': (POSE * np.array([1, 1, -1, 1])).astype('<f4')}, 'reflection'),
        ({'poses': (POSE * np.array([2, 1, 1, 1])).astype('<f4')}, 'off one'),
        ({'poses': np.full((1, 4, 4), np.nan, '<f4')}, 'not finite'),
        ({'poses': POSE.astype('<f8')}, 'expected .<f4.'),
        ({'scores': np.ones(2, '<f4')}, 'shape'),
        ({'depths': np.ones(0, '<f4')}, 'shape'),
        ({'widths': None}, 'no array'),
        ({'poses': np.tile(POSE, (5000, 1, 1)).astype('<f4')}, 'at most 4096'),
    ],
)
def test_an_answer_unlike_the_protocol_is_a_backend_error(cube, context, change, message):
    _, observation, mask = cube
    with serving(lambda _: GOOD | change) as (url, _):
        proposer = make(url, context, model='anygrasp')
        with pytest.raises(BackendError, match=message):
            proposer.propose(observation, mask)


def test_what_the_server_could_not_do_keeps_its_meaning(cube, context):
    _, observation, mask = cube
    nothing = {'error': {'name': 'NO_GRASP', 'message': 'too flat'}}
    with serving(lambda _: nothing) as (url, _), pytest.raises(NoGraspError, match='too flat'):
        make(url, context).propose(observation, mask)
    broken = {'error': {'name': 'INTERNAL', 'message': 'out of memory'}}
    with serving(lambda _: broken) as (url, _), pytest.raises(BackendError, match='out of mem'):
        make(url, context).propose(observation, mask)


def test_a_slow_server_times_out_or_is_left_when_cancelled(cube, context):
    _, observation, mask = cube
    release = threading.Event()

    def wait(_):
        release.wait(10.0)
        return GOOD

    with serving(wait) as (url, _):
        begun = time.monotonic()
        with pytest.raises(StageTimeoutError, match=r'within 0\.2 s'):
            make(url, context, timeout=0.2).propose(observation, mask)
        release.set()
        assert time.monotonic() - begun < 5.0
    release.clear()
    asked = iter([False, False, True, True])
    with serving(wait) as (url, _):
        with pytest.raises(CancelledError):
            make(url, context).propose(observation, mask, cancelled=lambda: next(asked))
        release.set()


def test_the_table_of_backends_builds_it(context):
    parameters = {'backend': 'remote', 'remote': {'model': 'anygrasp', 'timeout': 3.0}}
    assert isinstance(create_backend(GRASP_PROPOSERS, parameters, context), RemoteGrasps)
    with pytest.raises(ConfigurationError, match="model 'dexnet'"):
        RemoteGrasps(RemoteGrasps.Config(model='dexnet'), context)


def test_a_width_where_nothing_was_seen_is_the_whole_opening(context):
    gripper = context.robot.gripper
    assert width_between(np.eye(4), np.ones((10, 3)), gripper) == gripper.max_width
    sides = np.array([[0.0, 0.01, 0.0]] * 3)
    assert width_between(np.eye(4), sides, gripper) == pytest.approx(0.02)
