# SPDX-License-Identifier: Apache-2.0
"""The whole stack as a user meets it: processes, the ros2 command line, the client."""

import json
import os
from pathlib import Path
import re
import signal
import threading

import numpy as np
import pytest
from std_srvs.srv import Trigger

from flow_manip_core.errors import RejectedError, Stage
from flow_manip_ros.testing import RosScope
from flow_manip_task.local import LocalCell
from flow_manip_task.replay import read_record
from flow_manip_task.ros.client import FlowManipulator

pytestmark = [pytest.mark.ros, pytest.mark.xdist_group('bringup')]

NODES = {
    '/simulation_node',
    '/segmentation_node',
    '/world_model_node',
    '/planning_node',
    '/control_node',
    '/task_node',
}
GOAL = "{instruction: 'put the red cube on the plate'}"


@pytest.fixture
def robot(bringup, monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with FlowManipulator(domain_id=int(bringup.environment['ROS_DOMAIN_ID'])) as client:
        client.wait_until_ready(60.0)
        yield client


@pytest.fixture
def fresh_scene(bringup, robot):
    """Set the table anew, with the arm at home, whatever the tests before have left."""
    scope = RosScope(int(bringup.environment['ROS_DOMAIN_ID']))
    client = scope.node.create_client(Trigger, 'simulation_node/reset')
    scope.wait_until(client.service_is_ready)
    answers = []

    def is_answered():  # an answer can be lost while the two are still finding each other
        answers.append(client.call_async(Trigger.Request()))
        threading.Event().wait(0.5)
        return any(answer.done() and answer.result().success for answer in answers)

    scope.wait_until(is_answered, timeout=30.0)
    scope.close()


def joint_velocities(bringup):
    answer = bringup.run('ros2', 'topic', 'echo', '--once', '--field', 'velocity', '/joint_states')
    return [float(word) for word in re.findall(r'-?\d+\.\d+(?:e-?\d+)?', answer.stdout)]


def test_every_node_and_action_is_listed(bringup, robot):
    assert set(bringup.run('ros2', 'node', 'list').stdout.split()) >= NODES
    actions = bringup.run('ros2', 'action', 'list').stdout.split()
    assert {'/manipulate', '/generate_flow', '/plan_from_flow', '/execute_plan'} <= set(actions)


def test_a_goal_from_the_command_line_succeeds_with_feedback(bringup, robot):
    answer = bringup.run(
        'ros2', 'action', 'send_goal', '--feedback', '/manipulate',
        'flow_manip_msgs/action/Manipulate', GOAL, timeout=240,
    )  # fmt: skip
    assert 'Goal finished with status: SUCCEEDED' in answer.stdout, answer.stdout + bringup.text()
    assert 'Feedback:' in answer.stdout
    path = next(line for line in answer.stdout.splitlines() if line.startswith('record_path:'))
    report = json.loads((Path(path.split()[1]) / 'report.json').read_text())
    assert report['result']['code'] == 0
    assert report['result']['final_error_metres'] < 0.03


@pytest.mark.parametrize(
    ('instruction', 'name'),
    [
        ('', 'EMPTY_INSTRUCTION'),
        ('put the cube on the plate ' * 4000, 'INSTRUCTION_TOO_LONG'),
        ('put the transparent elephant on the plate', 'PHRASE_NOT_UNDERSTOOD'),
        ('put the brown bottle on the plate', 'OBJECT_ABSENT'),
        ('put the cube on the plate', 'OBJECT_AMBIGUOUS'),
        ('sing a song', 'INSTRUCTION_NOT_UNDERSTOOD'),
    ],
)
def test_an_instruction_that_cannot_be_done_gets_its_code(robot, instruction, name):
    result = robot.run(instruction, timeout=60.0)
    assert result.name == name, result.message
    assert len(result.message) < 1000


def test_a_pipeline_that_does_not_run_is_refused(robot):
    assert robot.run('lift the red cube', pipeline='other', timeout=60).name == 'UNKNOWN_PIPELINE'


@pytest.mark.parametrize('stage', [s for s in Stage if s not in (Stage.REPLANNING, Stage.DONE)])
def test_a_cancel_in_any_stage_stops_the_arm_and_frees_the_server(bringup, robot, stage):
    seen = []

    def on_feedback(feedback):
        if feedback.stage == stage and not seen:
            seen.append(feedback)
            robot.cancel()

    result = robot.run('lift the blue cube', timeout=120.0, on_feedback=on_feedback)
    assert seen, f'{stage.name} was never reported: {result}'
    assert result.name == 'CANCELLED'
    assert max(abs(v) for v in joint_velocities(bringup)) < 0.02
    assert robot.run('', timeout=20.0).name == 'EMPTY_INSTRUCTION'


def test_a_second_goal_is_rejected_while_one_runs(bringup, robot, fresh_scene):
    busy = threading.Event()
    first = threading.Thread(
        target=lambda: robot.run(
            'lift the red cube', dry_run=True, on_feedback=lambda feedback: busy.set()
        )
    )
    first.start()
    assert busy.wait(30.0)
    with FlowManipulator(domain_id=int(bringup.environment['ROS_DOMAIN_ID'])) as other:
        with pytest.raises(RejectedError):
            other.run('lift the blue cube', timeout=20.0, server_timeout=20.0)
    first.join(60.0)
    assert not first.is_alive()


def test_nodes_and_libraries_make_the_same_flow_and_plan(robot, fresh_scene):
    text, seed = 'put the red cube on the plate', 3
    result = robot.run(text, seed=seed, dry_run=True, timeout=120.0)
    over_ros = read_record(Path(result.record_path))
    local = LocalCell.build()
    stages, seen = local.stages.stages, over_ros.observation
    quiet = {'cancelled': lambda: False}
    masks = [stages.segment(seen, phrase, **quiet) for phrase in ('red cube', 'plate')]
    flows = stages.imagine(
        seen,
        text,
        masks,
        goal_image=None,
        seed=seed,
        on_progress=lambda *_: None,
        on_dropped=lambda *_: None,
        **quiet,
    )
    flow = flows[stages.select(seen, text, masks[0], flows, **quiet).order[0]]
    plan = stages.plan(seen, masks[0], flow, seed=seed, on_stage=lambda *_: None, **quiet)
    local.close()
    np.testing.assert_allclose(flow.points, over_ros.flow.points, atol=1e-4)
    names = [segment.name for segment in plan.segments]
    assert names == [segment.name for segment in over_ros.plan.segments]
    for mine, theirs in zip(plan.segments, over_ros.plan.segments):
        if mine.trajectory is not None:
            end = mine.trajectory.positions[-1]
            np.testing.assert_allclose(end, theirs.trajectory.positions[-1], atol=1e-3)
            assert mine.trajectory.duration == pytest.approx(theirs.trajectory.duration, rel=0.02)


def test_ctrl_c_ends_every_process_cleanly(start_bringup):
    running = start_bringup()
    running.wait_for('on the table')
    children = children_of(running.process.pid)
    assert len(children) == len(NODES)
    assert running.stop() == 0, running.text()
    assert not [pid for pid in children if Path(f'/proc/{pid}').exists()]
    assert 'Traceback' not in running.text()


def test_a_node_that_dies_is_reported_with_its_exit_code(start_bringup):
    running = start_bringup()
    running.wait_for('on the table')
    victim = next(pid for pid in children_of(running.process.pid) if 'planning' in command_of(pid))
    os.kill(victim, signal.SIGKILL)
    running.wait_for('process has died')
    line = next(line for line in running.text().splitlines() if 'process has died' in line)
    assert 'planning_node' in line
    assert 'exit code -9' in line


def test_a_wrong_parameter_file_stops_the_node_with_the_nearest_name(start_bringup, tmp_path):
    path = tmp_path / 'wrong.yaml'
    path.write_text('/**/task_node:\n  ros__parameters:\n    max_atempts: 3\n')
    running = start_bringup(f'params_file:={path}')
    running.wait_for('process has died')
    assert "did you mean 'max_attempts'" in running.text()


def children_of(pid):
    found = []
    for status in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = status.read_text().rsplit(')', 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


def command_of(pid):
    return Path(f'/proc/{pid}/cmdline').read_bytes().replace(b'\0', b' ').decode()
