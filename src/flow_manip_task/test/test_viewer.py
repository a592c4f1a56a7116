# SPDX-License-Identifier: Apache-2.0
import socket
import urllib.request

import numpy as np
import pytest
from task_fakes import FakeWorld
import task_scene as scene

from flow_manip_core.errors import RecordError
from flow_manip_core.robot import load_rig, load_robot
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.record import RunRecord
from flow_manip_task.replay import read_record, show_replay
from flow_manip_task.stages import ManipulateRequest
from flow_manip_task.viewer import SceneView


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@pytest.fixture(scope='module')
def record(tmp_path_factory):
    root = tmp_path_factory.mktemp('runs')
    manipulation = Manipulation(
        FakeWorld().stages, open_record=lambda r: RunRecord(root, r, about={'robot': 'franka'})
    )
    manipulation.run(ManipulateRequest('put the red cube on the plate'))
    return next(root.iterdir())


def test_a_record_reads_back_as_what_the_stages_made(record):
    replay = read_record(record)
    assert np.array_equal(replay.observation.color, scene.observe().color)
    assert np.array_equal(replay.observation.depth, scene.observe().depth)
    assert [mask.label for mask in replay.masks] == ['red cube', 'white plate']
    assert np.allclose(replay.flow.points, scene.put_flow().points)
    plan = scene.put_plan()
    assert [s.name for s in replay.plan.segments] == [s.name for s in plan.segments]
    assert np.allclose(replay.plan.object_poses, plan.object_poses)
    assert len(replay.plan.considered) == len(plan.considered)


def test_a_damaged_record_is_refused_by_name(record, tmp_path):
    (tmp_path / 'report.json').write_bytes((record / 'report.json').read_bytes())
    (tmp_path / 'goal.mcap').write_bytes((record / 'goal.mcap').read_bytes()[:5000])
    with pytest.raises(RecordError, match=r'goal\.mcap'):
        read_record(tmp_path)


def test_the_view_serves_a_page_with_scene_and_robot_on_this_machine_only(record):
    port = free_port()
    view = SceneView(port, robot=load_robot('franka'), rig=load_rig('tabletop'))
    try:
        show_replay(view, read_record(record))
        assert view.url == f'http://127.0.0.1:{port}'
        with urllib.request.urlopen(view.url, timeout=10) as page:
            assert b'<html' in page.read(2000).lower()
        names = set(view.server.scene._handle_from_node_name)
        assert {'/cloud', '/mask/0', '/flow/lines', '/grasps/chosen', '/plan/way'} <= names
        assert any(name.startswith('/robot/') for name in names)
        assert view.server.get_host() == '127.0.0.1'
    finally:
        view.close()


def test_a_new_observation_takes_the_old_flow_and_plan_away(record):
    view = SceneView(free_port())
    try:
        show_replay(view, read_record(record))
        view.show_observation(scene.observe())
        names = set(view.server.scene._handle_from_node_name)
        assert '/cloud' in names
        assert not [n for n in names if n.startswith(('/flow', '/grasps', '/plan', '/mask'))]
    finally:
        view.close()


def test_a_port_that_is_taken_leads_to_the_next_and_the_address_says_so():
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        view = SceneView(port)
        try:
            assert view.url != f'http://127.0.0.1:{port}'
            urllib.request.urlopen(view.url, timeout=10).close()
        finally:
            view.close()
