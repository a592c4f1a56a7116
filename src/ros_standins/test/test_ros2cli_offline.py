# SPDX-License-Identifier: Apache-2.0
"""What the ros2 command line does without a graph."""

import importlib
import os
from pathlib import Path
import subprocess
import sys

import pytest

from ros2cli.cli import main
from ros2cli.command import load
from ros2cli.command.table import COMMANDS, FOREIGN_COMMANDS
from ros2cli.node.discovery import count_local_participants

pytest.importorskip('rosidl_adapter')


@pytest.fixture(autouse=True)
def prefix(monkeypatch, tmp_path):
    """Install a package 'toolbox' with launch files and executables beside the venv's."""
    share = tmp_path / 'share'
    for path in ('ament_index/resource_index/packages/toolbox', 'toolbox/package.xml',
                 'toolbox/launch/one.launch.py', 'toolbox/a/two.launch.py',
                 'toolbox/b/two.launch.py'):  # fmt: skip
        (share / path).parent.mkdir(parents=True, exist_ok=True)
        (share / path).write_text('<package><version>1.2.3</version></package>')
    (share / 'toolbox/launch/one.launch.py').write_text(LAUNCH_FILE)
    tool = tmp_path / 'lib/toolbox/tool'
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    tool.chmod(0o755)
    before = os.environ.get('AMENT_PREFIX_PATH', sys.prefix)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path}{os.pathsep}{before}')
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))
    return tmp_path


LAUNCH_FILE = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo
from launch.substitutions import LaunchConfiguration

def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument('robot', default_value='franka', description='which one'),
        DeclareLaunchArgument('rig', description='required'),
        LogInfo(msg=['robot is ', LaunchConfiguration('robot')]),
    ])
"""


def ros2(*argv):
    return main(argv=['--use-python-default-buffering', *argv])


def command_classes():
    return [(name, path, text) for name, (path, text) in COMMANDS.items()]


@pytest.mark.parametrize(('name', 'path', 'text'), command_classes())
def test_the_table_says_what_the_commands_say(name, path, text):
    command = load(path)
    assert command.__doc__.splitlines()[0] == f'{text}.'
    for verb_path, verb_text in getattr(command, 'VERBS', {}).values():
        assert load(verb_path).__doc__.splitlines()[0] == f'{verb_text}.'


@pytest.mark.parametrize(
    ('line', 'completions'),
    [('ros2 top', {'topic'}), ('ros2 topic h', {'hz'}), ('ros2 topic hz --win', {'--window'})],
)
def test_the_shell_completes_commands_verbs_and_options(tmp_path, line, completions):
    script = tmp_path / 'ros2'
    script.write_text('from ros2cli.cli import main\nmain()\n')
    output = tmp_path / 'completions'
    changes = {'_ARGCOMPLETE': '1', 'COMP_LINE': line, 'COMP_POINT': str(len(line)),
               '_ARGCOMPLETE_STDOUT_FILENAME': str(output), 'IFS': ' '}  # fmt: skip
    subprocess.run([sys.executable, str(script)], env={**os.environ, **changes}, check=False)
    found = output.read_text().replace('\x0b', ' ').replace('\x0d', ' ').split()
    assert set(found) == completions


def test_every_verb_prints_its_help(capsys):
    for name, path, _ in command_classes():
        for verb in getattr(load(path), 'VERBS', {}):
            with pytest.raises(SystemExit) as exit_:
                ros2(name, verb, '--help')
            assert exit_.value.code == 0
            assert capsys.readouterr().out.startswith(f'usage: ros2 {name} {verb}')


def test_no_command_prints_the_help(capsys):
    assert ros2() == 0
    out = capsys.readouterr().out
    assert 'topic               Various topic related sub-commands' in out
    assert 'bag' not in out
    assert ros2('topic') == 0
    assert 'hz                  Print the average' in capsys.readouterr().out


@pytest.mark.parametrize(('name', 'package'), FOREIGN_COMMANDS.items())
def test_other_commands_are_refused_with_their_package(capsys, name, package):
    with pytest.raises(SystemExit) as exit_:
        ros2(name, 'anything', '--at-all')
    assert exit_.value.code == 1
    err = capsys.readouterr().err
    assert f"'ros2 {name}' is not part" in err
    assert f"'{package}'" in err


def test_other_verbs_are_refused_and_unknown_ones_are_not_understood(capsys):
    with pytest.raises(SystemExit) as exit_:
        ros2('pkg', 'create', 'x')
    assert exit_.value.code == 1
    assert "'ros2 pkg create' is not part" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_:
        ros2('pkg', 'destroy')
    assert exit_.value.code == 2


def test_the_help_loads_no_ros():
    code = (
        'import sys; from ros2cli.cli import main; main(argv=[])\n'
        "sys.exit('rclpy' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, '-c', code], stdout=subprocess.DEVNULL).returncode == 0


def test_the_daemon_is_truthfully_absent(capsys):
    assert not ros2('daemon', 'status')
    assert not ros2('daemon', 'stop')
    assert capsys.readouterr().out == 'The daemon is not running\n' * 2
    assert not ros2('daemon', 'start')
    assert 'No daemon was started' in capsys.readouterr().err


def test_interface_show_expands_nested_messages(capsys):
    assert ros2('interface', 'show', 'geometry_msgs/msg/PointStamped', '--no-comments') is None
    assert capsys.readouterr().out == (
        'std_msgs/Header header\n\tbuiltin_interfaces/Time stamp\n\t\tint32 sec\n'
        '\t\tuint32 nanosec\n\tstring frame_id\nPoint point\n\tfloat64 x\n\tfloat64 y\n'
        '\tfloat64 z\n'
    )


def test_interface_show_keeps_the_comments_that_are_wanted(capsys):
    ros2('interface', 'show', 'std_srvs/srv/SetBool')
    assert 'bool data # e.g. for hardware' in capsys.readouterr().out
    ros2('interface', 'show', 'geometry_msgs/msg/PointStamped')
    assert '\t#' not in capsys.readouterr().out
    ros2('interface', 'show', 'geometry_msgs/msg/PointStamped', '--all-comments')
    assert '\t#' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('name', 'complaint'),
    [
        ('absent/msg/Bool', "Unknown package 'absent'"),
        ('std_msgs/msg/Absent', "Interface 'msg/Absent' not found in package 'std_msgs'"),
        ('Bool', "Invalid name 'Bool'. Expected three parts separated by '/'"),
    ],
)
def test_interface_show_says_what_is_not_there(name, complaint):
    assert ros2('interface', 'show', name) == complaint


def test_interface_lists_go_by_kind_and_package(capsys):
    ros2('interface', 'list', '-s')
    out = capsys.readouterr().out
    assert out.startswith('Services:\n')
    assert '    std_srvs/srv/Trigger\n' in out
    ros2('interface', 'package', 'std_srvs')
    assert capsys.readouterr().out.split() == [
        f'std_srvs/srv/{name}' for name in ('Empty', 'SetBool', 'Trigger')
    ]
    ros2('interface', 'packages', '-m')
    assert 'std_srvs' not in capsys.readouterr().out.split()
    assert ros2('interface', 'package', 'absent') == "Unknown package 'absent'"
    capsys.readouterr()
    ros2('interface', 'proto', 'geometry_msgs/msg/Vector3')
    assert capsys.readouterr().out == '"x: 0.0\ny: 0.0\nz: 0.0\n"\n'


def test_pkg_commands_read_the_index(capsys, prefix):
    ros2('pkg', 'prefix', 'toolbox')
    ros2('pkg', 'executables', 'toolbox')
    ros2('pkg', 'xml', 'toolbox', '-t', 'version')
    assert capsys.readouterr().out == f'{prefix}\ntoolbox tool\n1.2.3\n'
    assert ros2('pkg', 'prefix', 'absent') == 'Package not found'
    ros2('pkg', 'list')
    assert {'toolbox', 'std_msgs'} < set(capsys.readouterr().out.split())


def test_run_passes_arguments_and_the_exit_code_on(capfd):
    assert ros2('run', 'toolbox', 'tool', '--ros-args', '-p', 'x:=1') == 7
    assert capfd.readouterr().out == (
        '--ros-args -p x:=1\n[ros2run]: Process exited with failure 7\n'
    )
    assert ros2('run', '--prefix', 'echo before', 'toolbox', 'tool', 'a') == 0
    assert capfd.readouterr().out.startswith('before ')
    assert ros2('run', 'toolbox', 'absent') == 'No executable found'
    assert ros2('run', 'absent', 'tool') == "Package 'absent' not found"


def test_launch_finds_files_anywhere_in_the_share_folder(capsys, prefix):
    assert ros2('launch', 'toolbox', 'one.launch.py', '--show-args') is None
    assert capsys.readouterr().out == (
        "Arguments (pass arguments as '<name>:=<value>'):\n\n    'robot':\n        which one\n"
        "        (default: 'franka')\n\n    'rig':\n        required\n"
    )
    code = ros2('launch', 'toolbox', 'absent.launch.py')
    assert code.startswith("file 'absent.launch.py' was not found in the share directory")
    code = ros2('launch', 'toolbox', 'two.launch.py')
    assert "file 'two.launch.py' was found more than once" in code
    assert code.count('two.launch.py') == 3
    assert ros2('launch', 'absent', 'one.launch.py').startswith("Package 'absent' not found")
    assert ros2('launch', 'absent.launch.py') == 'No launch file supplied'


def test_launch_runs_a_file_by_path_with_arguments(prefix):
    path = prefix / 'share/toolbox/launch/one.launch.py'
    code = 'import sys; from ros2cli.cli import main; sys.exit(main())'
    command = [sys.executable, '-c', code, 'launch', '-n', str(path)]
    result = subprocess.run(
        [*command, 'rig:=left', 'robot:=spot', 'robot:=panda'], capture_output=True, text=True
    )
    assert result.returncode == 0
    assert 'robot is panda' in result.stdout + result.stderr
    assert subprocess.run(command, capture_output=True).returncode == 1


@pytest.mark.parametrize('argument', ['robot=spot', ':=spot', 'robot:='])
def test_launch_refuses_malformed_arguments(argument):
    code = ros2('launch', 'toolbox', 'one.launch.py', argument)
    assert code == f"malformed launch argument '{argument}', expected format '<name>:=<value>'"


def test_participants_are_counted_by_the_ports_they_hold(tmp_path):
    table = tmp_path / 'udp'
    ports = [7400 + 250 * 3 + 10, 7400 + 250 * 3 + 12, 7400 + 250 * 3 + 11, 7400 + 250 * 4 + 10]
    lines = [f'  1: 0100007F:{port:04X} 00000000:0000 07' for port in ports]
    table.write_text('\n'.join(['header', *lines]))
    assert count_local_participants(3, table) == 2
    shared = f'  1: 00000000:{7400 + 250 * 3:04X} 00000000:0000 07'
    table.write_text('\n'.join(['header', *lines, *[shared] * 5]))
    assert count_local_participants(3, table) == 5
    assert count_local_participants(3, tmp_path / 'absent') == 0


def test_filters_know_messages_and_nothing_else():
    from std_msgs.msg import Header

    compile_filter = importlib.import_module('ros2topic.api.expression').compile_filter
    message = Header(frame_id='map')
    message.stamp.sec = 5
    for text in ("m.frame_id == 'map' and 1 < m.stamp.sec <= 5", 'len(m.frame_id) % 2 == 1',
                 "m.frame_id in ['map', 'odom']", 'not abs(-m.stamp.sec) != 5'):  # fmt: skip
        assert compile_filter(text)(message) is True
    assert compile_filter('m.stamp.sec > 5')(message) is False
    for text in ('__import__("os")', 'm.__class__', '(lambda: 1)()', 'open("x")', '[x for x in m]',
                 'm.frame_id.upper()', '2 ** 9 ** 9', 'm =='):  # fmt: skip
        with pytest.raises(RuntimeError, match='Invalid filter expression'):
            compile_filter(text)


def test_paths_of_the_stand_in_are_named_as_the_real_packages():
    root = Path(importlib.import_module('ros2cli').__file__).parents[1]
    for path, _ in COMMANDS.values():
        assert (root / path.partition('.')[0]).is_dir()
