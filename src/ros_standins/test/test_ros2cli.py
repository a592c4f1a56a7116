# SPDX-License-Identifier: Apache-2.0
"""The ros2 command line against a process with one of everything."""

import os
from pathlib import Path
import random
import re
import signal
import subprocess
import sys

import pytest

rclpy = pytest.importorskip('rclpy')

pytestmark = pytest.mark.ros

PEER = Path(__file__).with_name('ros2cli_peer.py')
# Fast DDS announces every three seconds; a test has no time for that.
PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<profiles xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <participant profile_name="quick" is_default_profile="true"><rtps><builtin><discovery_config>
    <leaseAnnouncement><sec>0</sec><nanosec>100000000</nanosec></leaseAnnouncement>
  </discovery_config></builtin></rtps></participant>
</profiles>
"""
NODE = '/ns/talker'


def has_action():
    try:
        import flow_manip_msgs.action  # noqa: F401
    except ImportError:
        return False
    return True


needs_action = pytest.mark.skipif(not has_action(), reason='flow_manip_msgs is not built')


@pytest.fixture(scope='module')
def environment(tmp_path_factory):
    from domain_coordinator import domain_id

    profile = tmp_path_factory.mktemp('dds') / 'quick.xml'
    profile.write_text(PROFILE)
    # Not from 1 upwards, as others choose: what a test leaves behind is seen for a while.
    with domain_id(lambda: random.randint(51, 100)) as domain:
        changes = {
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'FASTRTPS_DEFAULT_PROFILES_FILE': str(profile),
            'AMENT_PREFIX_PATH': os.environ.get('AMENT_PREFIX_PATH', sys.prefix),
            'PYTHONUNBUFFERED': '1',
        }
        before = dict(os.environ)
        os.environ.update(changes)
        yield
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope='module')
def peer(environment):
    command = [sys.executable, str(PEER), *(['--action'] if has_action() else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'ready\n'
    yield process
    process.terminate()
    try:
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()


@pytest.fixture
def ros2(peer, capfd):
    """Run a command in this process and return its code, stdout and stderr."""
    from ros2cli.cli import main

    def run(*argv):
        capfd.readouterr()
        code = main(argv=['--use-python-default-buffering', *argv])
        sys.stdout.flush()
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


def test_node_list_hides_what_starts_with_an_underscore(ros2):
    assert ros2('node', 'list') == (None, '/managed\n/ns/talker\n', '')
    assert '/_shy\n' in ros2('node', 'list', '-a')[1]


def test_node_info_lists_what_a_node_has(ros2):
    _, out, _ = ros2('node', 'info', NODE)
    assert out.startswith('/ns/talker\n  Subscribers:\n    /heard: std_msgs/msg/String\n')
    assert '    /chatter: std_msgs/msg/String\n' in out
    assert '    /ns/set: std_srvs/srv/SetBool\n' in out
    assert '/_hidden' not in out
    assert ros2('node', 'info', '/absent')[0] == "Unable to find node '/absent'"


def test_topic_list_shows_types_counts_and_sides(ros2):
    assert '/chatter [std_msgs/msg/String]\n' in ros2('topic', 'list', '-t')[1]
    names = ros2('topic', 'list')[1].splitlines()
    assert names == sorted(names)
    assert '/_hidden' not in names
    hidden = ros2('topic', '--include-hidden-topics', 'list')[1].splitlines()
    assert set(hidden) - set(names) >= {'/_hidden'}
    out = ros2('topic', 'list', '-v')[1]
    published, subscribed = out.split('\n\n')[:2]
    assert ' * /chatter [std_msgs/msg/String] 1 publisher' in published
    assert ' * /heard [std_msgs/msg/String] 1 subscriber' in subscribed


def test_topic_info_type_and_find_agree(ros2):
    assert ros2('topic', 'type', '/chatter')[:2] == (0, 'std_msgs/msg/String\n')
    assert ros2('topic', 'type', '/absent')[:2] == (1, '')
    assert '/chatter\n' in ros2('topic', 'find', 'std_msgs/msg/String')[1]
    out = ros2('topic', 'info', '/chatter')[1]
    assert out == 'Type: std_msgs/msg/String\nPublisher count: 1\nSubscription count: 0\n'
    assert 'Node name: talker\nNode namespace: /ns\n' in ros2('topic', 'info', '-v', '/chatter')[1]
    assert ros2('topic', 'info', '/absent')[0] == "Unknown topic '/absent'"


def test_topic_echo_prints_yaml_with_a_separator(ros2):
    out = ros2('topic', 'echo', '--once', '/chatter')[1]
    assert re.fullmatch(r"data: 'Hello World: \d+'\n---\n", out)


def test_topic_echo_takes_latched_messages_from_publishers_that_keep_them(ros2):
    assert ros2('topic', 'echo', '--once', '/latched')[1] == 'data: kept\n---\n'


def test_topic_echo_shortens_a_large_image(ros2):
    out = ros2('topic', 'echo', '--once', '/image', '--no-arr')[1]
    assert "data: '<sequence type: uint8, length: 921600>'\n---\n" in out
    out = ros2('topic', 'echo', '--once', '/image', '--csv', '-l', '3')[1]
    assert re.fullmatch(r'\d+,\d+,cam...,480,640,rgb...,0,0,0,0,0,...\n', out)


def test_topic_echo_selects_fields_and_messages(ros2):
    out = ros2('topic', 'echo', '--once', '/image', '--field', 'header.frame_id')[1]
    assert out == 'camera\n---\n'
    condition = "m.data.endswith('0')"
    code, _, _ = ros2('topic', 'echo', '--once', '/chatter', '--filter', condition)
    assert 'is more than this stand-in evaluates' in code
    out = ros2('topic', 'echo', '--once', '/chatter', '--filter', "m.data[-1] == '7'")[1]
    assert out.rstrip().endswith("7'\n---")


def test_topic_echo_says_what_is_wrong_with_a_field_or_topic(ros2):
    code = ros2('topic', 'echo', '/chatter', '--field', 'nothing')[0]
    assert code == "Invalid field 'nothing': 'String' object has no attribute 'nothing'"
    assert ros2('topic', 'echo', '/chatter', '--field', '.')[0] == "Invalid field value '.'"
    code = ros2('topic', 'echo', '/absent')[0]
    assert code == 'Could not determine the type for the passed topic'


def test_topic_echo_ends_at_its_timeout(ros2):
    code, out, _ = ros2('topic', 'echo', '/heard', '--timeout', '0.1')
    assert (code, out) == (None, '')


def test_topic_pub_reaches_a_subscriber(ros2, peer):
    code, out, _ = ros2('topic', 'pub', '--once', '/heard', 'std_msgs/msg/String', 'data: hello')
    assert code is None
    assert "publisher: beginning loop\npublishing #1: std_msgs.msg.String(data='hello')\n" in out
    assert peer.stdout.readline() == 'heard hello\n'


def test_topic_pub_counts_stamps_and_keeps_its_rate(ros2):
    _, out, _ = ros2(
        'topic', 'pub', '-t', '3', '-r', '50', '-w', '0', '-p', '2', '--keep-alive', '0',
        '/nobody', 'std_msgs/msg/Header', '{stamp: now, frame_id: map}',
    )  # fmt: skip
    assert re.findall(r'publishing #(\d)', out) == ['2']
    assert int(re.search(r'sec=(\d+)', out)[1]) > 1_500_000_000


@pytest.mark.parametrize(
    ('type_name', 'values', 'complaint'),
    [
        ('std_msgs/msg/UInt8', 'data: 300', "Failed to populate field: The 'data' field must be"),
        ('std_msgs/msg/UInt8', 'dat: 3', "'UInt8' object has no attribute 'dat'"),
        ('std_msgs/msg/UInt8', 'data: x', 'invalid literal for int'),
        ('std_msgs/msg/UInt8', '[1]', 'needs to be a dictionary in YAML format'),
        ('std_msgs/msg/UInt8', '{', 'not valid YAML'),
        ('std_msgs/msg/Absent', '', 'The passed message type is invalid'),
    ],
)
def test_topic_pub_refuses_what_does_not_fit(environment, type_name, values, complaint):
    # A process of its own: fields are checked by classes that were not loaded before.
    result = run_process('topic', 'pub', '-1', '-w', '0', '/nobody', type_name, values)
    assert result.returncode == 1
    assert complaint in result.stderr


def run_process(*argv, **kwargs):
    code = 'import sys; from ros2cli.cli import main; sys.exit(main())'
    command = [sys.executable, '-c', code, *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, **kwargs)


def start_process(*argv):
    code = 'import sys; from ros2cli.cli import main; sys.exit(main())'
    return subprocess.Popen([sys.executable, '-c', code, *argv], stdout=subprocess.PIPE, text=True)


def read_until(process, pattern):
    for line in process.stdout:
        match = re.search(pattern, line)
        if match:
            return match
    raise AssertionError(f'{pattern!r} was not printed')


def test_topic_hz_measures_images_at_their_rate_until_interrupted(peer):
    process = start_process('topic', 'hz', '-w', '15', '/image')
    read_until(process, r'average rate: \d')
    rate = float(read_until(process, r'average rate: ([\d.]+)')[1])
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == signal.SIGINT
    assert rate == pytest.approx(20.0, rel=0.25)


def test_service_commands_describe_and_call(ros2):
    assert '/ns/set [std_srvs/srv/SetBool]\n' in ros2('service', 'list', '-t')[1]
    assert ros2('service', 'type', '/ns/set')[:2] == (0, 'std_srvs/srv/SetBool\n')
    assert ros2('service', 'find', 'std_srvs/srv/SetBool')[1] == '/ns/set\n'
    out = ros2('service', 'info', '/ns/set')[1]
    assert out == 'Type: std_srvs/srv/SetBool\nClients count: 0\nServices count: 1\n'
    code, out, _ = ros2('service', 'call', '/ns/set', 'std_srvs/srv/SetBool', '{data: true}')
    assert code is None
    assert out.endswith(
        'requester: making request: std_srvs.srv.SetBool_Request(data=True)\n\n'
        "response:\nstd_srvs.srv.SetBool_Response(success=True, message='done')\n\n"
    )
    code = ros2('service', 'call', '/ns/set', 'std_srvs/srv/Absent')[0]
    assert code == 'The passed service type is invalid'
    code = ros2('service', 'call', '/ns/set', 'std_srvs/srv/SetBool', '{dat: true}')[0]
    assert code.startswith('Failed to populate field: ')


def test_param_commands_read_and_change(ros2, tmp_path):
    names = ros2('param', 'list', NODE)[1].split()
    assert names[:3] == ['arm.joint.limit', 'names', 'speed']
    assert '  speed (type: double)\n' in ros2('param', 'list', NODE, '--param-type')[1]
    assert ros2('param', 'get', NODE, 'names')[1] == "String values are: ['a', 'b']\n"
    assert ros2('param', 'set', NODE, 'speed', '2.5')[1] == 'Set parameter successful\n'
    assert ros2('param', 'get', NODE, 'speed')[1] == 'Double value is: 2.5\n'
    err = ros2('param', 'set', NODE, 'speed', 'fast')[2]
    assert err.startswith('Setting parameter failed: Wrong parameter type')
    file = tmp_path / 'parameters.yaml'
    file.write_text('/**:\n  ros__parameters:\n    arm: {joint: {limit: 7}}\n')
    out = ros2('param', 'load', NODE, str(file))[1]
    assert out == 'Set parameter arm.joint.limit successful\n'
    out = ros2('param', 'dump', NODE)[1]
    assert '  ros__parameters:\n    arm:\n      joint:\n        limit: 7\n' in out
    assert 'Parameter name: speed\n  Type: double\n' in ros2('param', 'describe', NODE, 'speed')[1]
    assert ros2('param', 'delete', NODE, 'speed')[2].startswith('Deleting parameter failed')
    assert ros2('param', 'get', '/absent', 'speed')[0] == 'Node not found'


def test_lifecycle_commands_walk_through_the_states(ros2):
    assert ros2('lifecycle', 'nodes')[1] == '/managed\n'
    assert ros2('lifecycle', 'get', '/managed')[1] == 'unconfigured [1]\n'
    out = ros2('lifecycle', 'list', '/managed')[1]
    assert out.startswith('- configure [1]\n\tStart: unconfigured\n\tGoal: configuring\n')
    assert ros2('lifecycle', 'set', '/managed', 'configure')[1] == 'Transitioning successful\n'
    code = ros2('lifecycle', 'set', '/managed', 'noop')[0]
    assert code.startswith('Unknown transition requested, available ones are:\n- cleanup [2]')
    assert ros2('lifecycle', 'set', '/managed', '2')[1] == 'Transitioning successful\n'
    assert ros2('lifecycle', 'get', '/absent')[0] == 'Node not found'


@needs_action
def test_action_commands_describe(ros2):
    kind = 'flow_manip_msgs/action/Manipulate'
    assert ros2('action', 'list', '-t')[1] == f'/manipulate [{kind}]\n'
    assert ros2('action', 'type', '/manipulate')[1] == f'{kind}\n'
    assert ros2('action', 'info', '-t', '/manipulate')[1] == (
        f'Action: /manipulate\nAction clients: 0\nAction servers: 1\n    /ns/talker [{kind}]\n'
    )


@needs_action
def test_action_send_goal_prints_feedback_result_and_status(ros2):
    kind = 'flow_manip_msgs/action/Manipulate'
    code, out, _ = ros2('action', 'send_goal', '-f', '/manipulate', kind, '{instruction: put it}')
    assert code is None
    assert out.startswith(
        'Waiting for an action server to become available...\n'
        'Sending goal:\n     instruction: put it\n'
    )
    assert re.search(r'\nGoal accepted with ID: [0-9a-f]{32}\n\n', out)
    assert 'Result:\n    error_code: 499\nerror_msg: put it\n' in out
    assert out.endswith('\n\nGoal finished with status: SUCCEEDED\n')
    code = ros2('action', 'send_goal', '/manipulate', kind, '{instructions: put it}')[0]
    assert code.startswith('Failed to populate message fields: AttributeError')


@needs_action
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_goal_is_canceled(peer, number):
    kind = 'flow_manip_msgs/action/Manipulate'
    process = start_process('action', 'send_goal', '/manipulate', kind, '{instruction: wait}')
    read_until(process, 'Goal accepted with ID')
    process.send_signal(number)
    rest = process.communicate(timeout=15)[0]
    assert rest.endswith('Canceling goal...\nGoal canceled.\n')
    assert process.returncode == signal.SIGINT
    assert peer.stdout.readline() == 'canceled\n'
