# SPDX-License-Identifier: Apache-2.0
"""launch: processes, their output, their ends, timers and signals, in real launches."""

import asyncio
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('launch')

from launch import LaunchDescription, LaunchService
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteLocal,
    ExecuteProcess,
    GroupAction,
    LogInfo,
    OpaqueCoroutine,
    OpaqueFunction,
    RegisterEventHandler,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
    UnregisterEventHandler,
)
from launch.descriptions import Executable
from launch.event_handlers import (
    OnExecutionComplete,
    OnProcessExit,
    OnProcessIO,
    OnProcessStart,
    OnShutdown,
)
from launch.events import matches_action
from launch.events.process import ShutdownProcess, SignalProcess
import launch.logging
from launch.substitutions import LaunchConfiguration, LocalSubstitution

FOREVER = ['sleep', '60']


@pytest.fixture(autouse=True)
def _logs(tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))
    monkeypatch.delenv('OVERRIDE_LAUNCH_PROCESS_OUTPUT', raising=False)
    launch.logging.reset()
    yield
    launch.logging.reset()


def run(*entities, **kwargs):
    service = LaunchService(**kwargs)
    service.include_launch_description(LaunchDescription(list(entities)))
    return service.run()


def python(code, **kwargs):
    # -S -E: such a child starts fast, and needs nothing of this environment.
    return ExecuteProcess(cmd=['/usr/bin/env', 'python3', '-S', '-E', '-c', code], **kwargs)


def shell(code, **kwargs):
    return ExecuteProcess(cmd=['sh', '-c', code], **kwargs)


def test_a_launch_with_nothing_to_do_ends_at_once():
    assert run() == 0


def test_a_process_is_announced_and_its_lines_carry_its_name(capsys):
    process = shell('echo one; echo two >&2; printf three', name='talker', output='screen')
    assert run(process) == 0
    out = capsys.readouterr().out
    name = process.process_details['name']
    assert f'[INFO] [{name}]: process started with pid [{process.process_details["pid"]}]' in out
    for word in ('one', 'two', 'three'):
        assert f'[{name}] {word}\n' in out
    assert f'[INFO] [{name}]: process has finished cleanly' in out


def test_a_process_that_dies_is_reported_with_its_exit_code(capsys):
    process = shell('exit 3')
    assert run(process) == 0
    out = capsys.readouterr().out
    pid = process.process_details['pid']
    assert f"process has died [pid {pid}, exit code 3, cmd 'sh -c exit 3']." in out
    assert process.return_code == 3


def test_a_command_that_is_not_there_does_not_stop_the_launch(capsys):
    assert run(ExecuteProcess(cmd=['/nowhere/prog']), shell('echo on', output='screen')) == 0
    out = capsys.readouterr().out
    assert 'exception occurred while executing process' in out
    assert '] on\n' in out


@pytest.mark.parametrize(
    ('output', 'on_screen'),
    [
        ('screen', {'out', 'err'}),
        ('log', {'err'}),
        ('own_log', set()),
        ({'stdout': 'screen', 'stderr': 'log'}, {'out'}),
    ],
)
def test_output_goes_where_it_is_sent(capsys, output, on_screen):
    assert run(shell('echo out; echo err >&2', output=output)) == 0
    printed = capsys.readouterr().out
    assert {word for word in ('out', 'err') if f'] {word}\n' in printed} == on_screen


def test_the_log_file_holds_what_the_screen_does_not(capsys):
    assert run(shell('echo hidden', output='log')) == 0
    assert 'hidden' not in capsys.readouterr().out.replace("cmd 'sh", '')
    launch.logging.launch_config.get_log_file_handler().flush()
    assert '] hidden' in pathlib.Path(launch.logging.launch_config.get_log_file_path()).read_text()


def test_output_is_kept_if_asked_for():
    process = shell('printf "a\\nb"; echo e >&2', cached_output=True)
    run(process)
    assert (process.get_stdout(), process.get_stderr()) == ('a\nb', 'e\n')
    with pytest.raises(RuntimeError, match='cached output'):
        shell('true').get_stdout()


def test_a_pseudo_terminal_is_one_for_the_process():
    code = 'test -t 1 && echo tty || echo pipe'
    terminal = shell(code, emulate_tty=True, cached_output=True)
    pipe = shell(code, cached_output=True)
    run(terminal, pipe)
    assert terminal.get_stdout().strip() == 'tty'
    assert pipe.get_stdout() == 'pipe\n'


def test_folder_environment_and_shell_reach_the_process(tmp_path):
    process = ExecuteProcess(
        cmd=['echo $STANDIN;', 'pwd'],
        shell=True,
        cwd=str(tmp_path),
        additional_env={'STANDIN': LaunchConfiguration('value')},
        cached_output=True,
    )
    run(DeclareLaunchArgument('value', default_value='v'), process)
    assert process.get_stdout().split() == ['v', str(tmp_path.resolve())]


def test_the_end_of_a_process_leads_to_entities_or_calls_a_function():
    seen = []
    listed = shell('exit 2', on_exit=[OpaqueFunction(function=lambda c: seen.append('entity'))])
    called = ExecuteLocal(
        process_description=Executable(cmd=['false']),
        on_exit=lambda event, context: seen.append(event.returncode),
    )
    assert listed.get_sub_entities()
    run(listed, called)
    assert sorted(map(str, seen)) == ['1', 'entity']


def test_handlers_see_start_output_and_end_of_their_process():
    seen = []
    process = shell('echo hello')
    other = shell('echo other')
    run(
        RegisterEventHandler(
            OnProcessStart(target_action=process, on_start=lambda e, c: seen.append('start'))
        ),
        RegisterEventHandler(
            OnProcessIO(target_action=process, on_stdout=lambda e: seen.append(e.text))
        ),
        RegisterEventHandler(
            OnProcessExit(target_action=process, on_exit=lambda e, c: seen.append(e.returncode))
        ),
        process,
        other,
    )
    assert seen == ['start', b'hello\n', 0]


def test_a_handler_for_one_event_or_one_taken_away_is_silent_afterwards():
    seen = []
    once = OnProcessExit(on_exit=lambda e, c: seen.append('once'), handle_once=True)
    gone = OnProcessExit(on_exit=lambda e, c: seen.append('gone'))
    run(
        RegisterEventHandler(once),
        RegisterEventHandler(gone),
        UnregisterEventHandler(gone),
        shell('true'),
        shell('true'),
    )
    assert seen == ['once']


def test_the_end_of_an_action_is_an_event():
    seen = []
    message = LogInfo(msg='hello')
    process = shell('true')
    run(
        RegisterEventHandler(
            OnExecutionComplete(
                target_action=message, on_completion=lambda e, c: seen.append('message')
            )
        ),
        RegisterEventHandler(
            OnExecutionComplete(
                target_action=process, on_completion=lambda e, c: seen.append('process')
            )
        ),
        message,
        process,
    )
    assert seen == ['message', 'process']


def test_the_end_of_a_required_process_ends_the_others():
    forever = ExecuteProcess(cmd=FOREVER)
    started = time.monotonic()
    assert run(forever, shell('true', on_exit=Shutdown(reason='required'))) == 0
    assert time.monotonic() - started < 4.0
    assert forever.return_code == -signal.SIGINT


def test_a_process_that_ignores_signals_is_killed_in_the_end(capsys):
    stubborn = python(
        'import signal, time\n'
        'for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n'
        'print("ready", flush=True)\n'
        'time.sleep(60)',
        sigterm_timeout='0.2',
        sigkill_timeout='0.2',
    )
    ready = OnProcessIO(target_action=stubborn, on_stdout=lambda e: Shutdown())
    assert run(RegisterEventHandler(ready), stubborn) == 0
    assert stubborn.return_code == -signal.SIGKILL
    out = capsys.readouterr().out
    assert "'0.2' seconds after receiving 'SIGINT', escalating to 'SIGTERM'" in out
    assert "'0.2' seconds after receiving 'SIGTERM', escalating to 'SIGKILL'" in out


def test_one_process_is_signalled_and_one_is_shut_down():
    first, second = ExecuteProcess(cmd=FOREVER), ExecuteProcess(cmd=FOREVER)
    kill = SignalProcess(signal_number='SIGKILL', process_matcher=matches_action(first))
    stop = ShutdownProcess(process_matcher=matches_action(second))
    run(
        RegisterEventHandler(
            OnProcessStart(target_action=first, on_start=[EmitEvent(event=kill)])
        ),
        RegisterEventHandler(
            OnProcessStart(target_action=second, on_start=[EmitEvent(event=stop)])
        ),
        first,
        second,
    )
    assert (first.return_code, second.return_code) == (-signal.SIGKILL, -signal.SIGINT)


def test_a_process_is_started_anew_as_often_as_allowed():
    ends = []
    run(
        shell(
            'exit 1',
            respawn=True,
            respawn_delay=0.05,
            respawn_max_retries=2,
            on_exit=lambda event, context: ends.append(event.pid),
        )
    )
    assert len(set(ends)) == 3


def test_a_shutdown_ends_the_wait_for_a_new_start():
    ends = []
    started = time.monotonic()
    process = shell(
        'true', respawn=True, respawn_delay=60.0, on_exit=lambda e, c: ends.append(e.pid)
    )
    run(process, TimerAction(period=0.3, actions=[Shutdown()]))
    assert len(ends) == 1
    assert time.monotonic() - started < 5.0


def test_an_action_runs_only_once():
    process = shell('true')
    assert run(process, process) == 1


def test_an_error_ends_the_launch_with_its_processes(capsys):
    def fail(context):
        raise ValueError('broken on purpose')

    forever = ExecuteProcess(cmd=FOREVER)
    assert run(forever, OpaqueFunction(function=fail), LogInfo(msg='never')) == 1
    assert forever.return_code == -signal.SIGINT
    out = capsys.readouterr().out
    assert 'broken on purpose' in out
    assert 'never' not in out


def test_a_timer_waits_and_sees_the_configurations_of_its_scope(capsys):
    message = LogInfo(msg=['value ', LaunchConfiguration('value')])
    run(
        GroupAction(
            [SetLaunchConfiguration('value', 'inner'), TimerAction(period=0.1, actions=[message])]
        ),
        SetLaunchConfiguration('value', 'outer'),
    )
    assert '[INFO] [launch.user]: value inner' in capsys.readouterr().out


def test_a_shutdown_cancels_timers_but_those_that_shall_stay():
    reasons = []
    run(
        RegisterEventHandler(OnShutdown(on_shutdown=lambda e, c: reasons.append(e.reason))),
        TimerAction(period='0.05', actions=[Shutdown(reason='first')]),
        TimerAction(period=0.2, actions=[Shutdown(reason='cancelled')]),
        TimerAction(period=0.2, actions=[Shutdown(reason='kept')], cancel_on_shutdown=False),
    )
    assert reasons == ['first', 'kept']


def test_the_reason_of_a_shutdown_is_a_local_of_its_handlers(capsys):
    reason = LogInfo(msg=['because ', LocalSubstitution('event.reason')])
    run(RegisterEventHandler(OnShutdown(on_shutdown=[reason])), Shutdown(reason='we can'))
    assert 'because we can' in capsys.readouterr().out


def test_a_coroutine_runs_beside_the_launch_and_ends_with_it():
    seen = []

    async def wait(context):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append('cancelled')
            raise

    run(OpaqueCoroutine(coroutine=wait), TimerAction(period=0.05, actions=[Shutdown()]))
    assert seen == ['cancelled']


def test_a_launch_runs_within_a_loop_and_ends_when_told_to():
    async def main():
        service = LaunchService()
        forever = ExecuteProcess(cmd=FOREVER)
        service.include_launch_description(LaunchDescription([forever]))
        task = asyncio.ensure_future(service.run_async())
        while forever.process_details is None or 'pid' not in forever.process_details:
            await asyncio.sleep(0.01)
        service.shutdown()
        return await task, forever.return_code

    assert asyncio.run(main()) == (0, -signal.SIGINT)


def test_a_service_runs_more_than_once():
    service = LaunchService()
    seen = []
    for i in range(2):
        action = OpaqueFunction(function=lambda c, i=i: seen.append(i))
        service.include_launch_description(LaunchDescription([action, shell('true')]))
        assert service.run() == 0
    assert seen == [0, 1]


LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess
child = ExecuteProcess(cmd=['sh', '-c', 'echo $$; exec sleep 60'], output='screen')
service = LaunchService(noninteractive=sys.argv[1] == 'noninteractive')
service.include_launch_description(LaunchDescription([child]))
sys.exit(service.run())
"""


@pytest.mark.parametrize(
    ('number', 'how'),
    [(signal.SIGINT, 'noninteractive'), (signal.SIGTERM, 'interactive')],
)
def test_a_signal_to_the_launch_ends_it_with_its_children(number, how):
    process = subprocess.Popen(
        [sys.executable, '-u', '-c', LAUNCH, how], stdout=subprocess.PIPE, text=True
    )
    child = None
    while child is None:
        line = process.stdout.readline()
        assert line, 'the launch ended too early'
        if line.startswith('[sh-1] '):
            child = int(line.split()[1])
    process.send_signal(number)
    rest, _ = process.communicate(timeout=10)
    assert f'exit code -{int(signal.SIGINT)}' in rest
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


ENDLESS = """
from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnExecutionComplete
again = OpaqueFunction(function=lambda context: None)
child = ExecuteProcess(cmd=['sh', '-c', 'echo $$; exec sleep 60'], output='screen')
service = LaunchService()
handler = OnExecutionComplete(on_completion=lambda event, context: again)
service.include_launch_description(
    LaunchDescription([child, RegisterEventHandler(handler), LogInfo(msg='go')])
)
raise SystemExit(service.run())
"""


def test_a_second_signal_ends_even_a_launch_that_never_runs_out_of_events():
    process = subprocess.Popen(
        [sys.executable, '-u', '-c', ENDLESS], stdout=subprocess.PIPE, text=True
    )
    child, shutting_down = None, False
    for line in process.stdout:
        if line.startswith('[sh-1] '):
            child = int(line.split()[1])
            process.send_signal(signal.SIGTERM)
        if 'received SIGTERM, shutting down' in line:
            shutting_down = True
            process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 1
    assert shutting_down
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
