# SPDX-License-Identifier: Apache-2.0
import io
import json
from pathlib import Path
import subprocess
import sys
from typing import ClassVar
import webbrowser

import pytest
from task_fakes import FakeWorld

from flow_manip_core.errors import FailureStage, GraspMissedError, PeerLostError, Stage
from flow_manip_task.cli import commands
from flow_manip_task.cli import main as cli
from flow_manip_task.cli.main import build_parser
from flow_manip_task.cli.progress import Progress, report
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.record import RunRecord
from flow_manip_task.stages import ManipulateRequest, ManipulationResult

PUT = 'put the red cube on the plate'
DONE = ManipulationResult(stage=Stage.DONE, record_path='runs/x', seconds={'PLANNING': 1.25})
MISSED = ManipulationResult(
    code=304, name='GRASP_MISSED', message='closed on nothing', failure=FailureStage.GRASP
)


class FakeClient:
    """In the place of `FlowManipulator`."""

    asked: ClassVar[dict] = {}
    answer: object = DONE

    def __init__(self, namespace=''):
        FakeClient.asked = {'namespace': namespace}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        FakeClient.asked['left'] = True

    def run(self, instruction, **options):
        FakeClient.asked |= {'instruction': instruction, **options}
        if isinstance(FakeClient.answer, BaseException):
            raise FakeClient.answer
        return FakeClient.answer


@pytest.fixture
def ros(monkeypatch):
    class Module:
        FlowManipulator = FakeClient

    monkeypatch.setattr(commands, '_ros', lambda name: Module)
    FakeClient.answer = DONE
    return FakeClient


def test_run_sends_what_was_asked_and_ends_with_the_verdict(ros, capsys):
    assert cli(['run', PUT, '--seed', '4', '--object', 'toy', '--timeout', '9']) == 0
    assert ros.asked['instruction'] == PUT
    assert (ros.asked['seed'], ros.asked['object'], ros.asked['timeout']) == (4, 'toy', 9.0)
    assert ros.asked['dry_run'] is False
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == 'succeeded'
    assert lines[-2] == 'record: runs/x'


def test_plan_is_a_dry_run(ros):
    assert cli(['plan', PUT]) == 0
    assert ros.asked['dry_run'] is True


def test_a_failed_goal_exits_with_one_and_says_code_and_sentence(ros, capsys):
    ros.answer = MISSED
    assert cli(['run', PUT]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        'failed: 304 GRASP_MISSED: closed on nothing'
    )


def test_json_is_the_only_output_and_has_no_nan(ros, capsys):
    assert cli(['run', PUT, '--json']) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts['succeeded'] is True
    assert facts['final_error_metres'] is None
    assert facts['stage'] == 'DONE'


def test_without_a_bring_up_it_says_so_and_exits_with_one(ros, capsys):
    ros.answer = PeerLostError("action 'manipulate' is not there; start it with 'ros2 launch'")
    assert cli(['run', PUT]) == 1
    assert 'ros2 launch' in capsys.readouterr().err


def test_ctrl_c_leaves_through_the_client_and_exits_with_130(ros):
    ros.answer = KeyboardInterrupt()
    assert cli(['run', PUT]) == 130
    assert ros.asked['left']


@pytest.mark.parametrize(
    'arguments',
    [
        [],
        ['dance'],
        ['run'],
        ['run', PUT, '--seed', '-1'],
        ['run', PUT, '--timeout', '0'],
        ['trials', '--n', '0'],
        ['show', '--port', '99999'],
        ['show', '--write', 'a', '--serve'],
    ],
)
def test_wrong_usage_exits_with_two(arguments):
    with pytest.raises(SystemExit) as error:
        cli(arguments)
    assert error.value.code == 2


def test_demo_has_a_default_instruction():
    options = build_parser().parse_args(['demo', '--local'])
    assert (options.instruction, options.seed, options.local) == (PUT, 0, True)


def test_the_command_line_needs_no_ros_to_explain_itself():
    script = Path(__file__).parents[1] / 'bin' / 'flow_manip'
    code = (
        'import sys; sys.argv = ["flow_manip", "--help"]\n'
        f'try:\n    import runpy; runpy.run_path({str(script)!r}, run_name="__main__")\n'
        'except SystemExit as end:\n    assert end.code == 0\n'
        'assert not {"rclpy", "mujoco", "viser", "launch"} & set(sys.modules)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 'trials' in done.stdout


@pytest.fixture(scope='module')
def record(tmp_path_factory):
    root = tmp_path_factory.mktemp('runs')
    world = FakeWorld()
    Manipulation(world.stages, open_record=lambda r: RunRecord(root, r)).run(
        ManipulateRequest(PUT, dry_run=True)
    )
    return next(root.iterdir())


def test_show_opens_the_newest_record_s_page(record, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, 'open', lambda url: opened.append(url) or True)
    monkeypatch.setenv('FLOW_MANIP_RUNS', str(record.parent))
    assert cli(['show']) == 0
    assert opened == [(record / 'index.html').as_uri()]


def test_show_writes_one_page(record, tmp_path):
    page = tmp_path / 'page.html'
    assert cli(['show', str(record), '--write', str(page)]) == 0
    assert page.read_text() == (record / 'index.html').read_text()
    assert cli(['show', str(record), '--write', str(tmp_path / 'no' / 'page.html')]) == 1


def test_show_of_nothing_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('FLOW_MANIP_RUNS', str(tmp_path))
    assert cli(['show']) == 1
    assert 'no record' in capsys.readouterr().err
    assert cli(['show', str(tmp_path)]) == 1


def test_progress_writes_one_plain_line_per_stage_where_there_is_no_terminal():
    stream = io.StringIO()
    progress = Progress(stream)
    for done in (0.0, 0.5, 1.0):
        progress.show(Stage.PLANNING, 1, done, 'solving')
    progress.show(Stage.PLANNING, 2, 0.0, 'solving')
    progress.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert 'planning' in lines[0]
    assert 'attempt 2' in lines[1]
    assert '\r' not in stream.getvalue()


def test_progress_is_one_changing_line_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    progress = Progress(stream)
    progress.show(Stage.PLANNING, 1, 0.5, 'solving')
    progress.show(Stage.GRASPING, 1, 0.2, 'reaching')
    progress.close()
    text = stream.getvalue()
    assert '\n' not in text
    assert '█████░░░░░' in text
    assert text.endswith('\r\x1b[K'), 'the line is taken away'


def test_the_report_names_a_record_that_is_incomplete():
    result = ManipulationResult(record_error='flow.png: no colours', record_path='runs/x')
    assert 'record incomplete: flow.png: no colours' in report(result)


def test_a_failed_goal_of_the_state_machine_reads_the_same():
    world = FakeWorld().fail('execute grasp', *[GraspMissedError('closed on nothing')] * 3)
    result = Manipulation(world.stages).run(ManipulateRequest(PUT))
    assert report(result)[-1] == 'failed: 304 GRASP_MISSED: closed on nothing'


def test_trials_that_could_not_be_written_are_not_begun(tmp_path, capsys):
    blocked = tmp_path / 'file'
    blocked.write_text('in the way')
    assert cli(['trials', '--n', '1', '--json', str(blocked / 'out.json')]) == 1
    assert 'file' in capsys.readouterr().err
