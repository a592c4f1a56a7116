# SPDX-License-Identifier: Apache-2.0
"""launch_ros: command lines of nodes, parameters, namespaces, remappings and lifecycles."""

import os
import pathlib
import sys
import time
from typing import List  # noqa: UP035

import pytest

pytest.importorskip('launch_ros')
pytest.importorskip('ament_index_python')

from ament_index_python.packages import PackageNotFoundError
from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import (
    GroupAction,
    LogInfo,
    PopEnvironment,
    PushEnvironment,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
import launch.logging
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    SubstitutionFailure,
    TextSubstitution,
)
from launch_ros.actions import (
    LifecycleNode,
    LifecycleTransition,
    Node,
    PushRosNamespace,
    ROSTimer,
    SetParameter,
    SetParametersFromFile,
    SetRemap,
    SetROSLogDir,
)
from launch_ros.descriptions import Parameter, ParameterFile, ParameterValue
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events import matches_node_name
from launch_ros.substitutions import ExecutableInPackage, FindPackagePrefix, FindPackageShare
from launch_ros.substitutions import Parameter as ParameterSubstitution
from launch_ros.utilities import (
    add_node_name,
    evaluate_parameters,
    get_node_name_count,
    make_namespace_absolute,
    normalize_parameters,
    normalize_remap_rules,
)
import yaml

STRS = List[str]  # noqa: UP006
# Prints its arguments, one per line: what a node would get.
SCRIPT = '#!/bin/sh\nfor a in "$@"; do echo "$a"; done\n'


@pytest.fixture(autouse=True)
def _environment(tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))
    monkeypatch.setenv('ROS_DOMAIN_ID', '41')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    launch.logging.reset()
    yield
    launch.logging.reset()


@pytest.fixture
def package(tmp_path, monkeypatch):
    prefix = tmp_path / 'prefix'
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'standin_pkg').touch()
    (prefix / 'share' / 'standin_pkg').mkdir()
    script = prefix / 'lib' / 'standin_pkg' / 'echo_args'
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT)
    script.chmod(0o755)
    before = os.environ.get('AMENT_PREFIX_PATH', '')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{prefix}{os.pathsep}{before}')
    return prefix


def launch_all(*entities):
    service = LaunchService()
    service.include_launch_description(LaunchDescription(list(entities)))
    return service.run()


def arguments_of(*before, **kwargs):
    """Launches the script as a node and returns the arguments that it got."""
    node = Node(package='standin_pkg', executable='echo_args', cached_output=True, **kwargs)
    assert launch_all(*before, node) == 0
    return node.get_stdout().splitlines()


def after(arguments, flag):
    return [arguments[i + 1] for i, word in enumerate(arguments) if word == flag]


def test_a_package_is_found_with_its_folders_and_executables(package):
    context = LaunchContext()
    assert FindPackagePrefix('standin_pkg').perform(context) == str(package)
    share = FindPackageShare('standin_pkg')
    assert share.perform(context) == str(package / 'share' / 'standin_pkg')
    assert (share / 'a.yaml').perform(context) == str(package / 'share/standin_pkg/a.yaml')
    found = ExecutableInPackage(package='standin_pkg', executable='echo_args').perform(context)
    assert found == str(package / 'lib' / 'standin_pkg' / 'echo_args')


def test_a_package_or_executable_that_is_not_there_is_named(package):
    with pytest.raises(PackageNotFoundError, match='no_such_pkg'):
        FindPackageShare('no_such_pkg').perform(LaunchContext())
    with pytest.raises(SubstitutionFailure, match="executable 'no_exe' not found"):
        ExecutableInPackage(package='standin_pkg', executable='no_exe').perform(LaunchContext())


def test_a_plain_node_gets_nothing_but_the_flag_for_ros(package):
    assert arguments_of() == ['--ros-args']


def test_the_command_line_of_a_node_has_the_order_that_ros_reads(package):
    arguments = arguments_of(
        name='my',
        namespace='ns',
        arguments=['--own', LaunchConfiguration('x', default='1')],
        ros_arguments=['--log-level', 'debug'],
        remappings=[('a', ['b', TextSubstitution(text='c')])],
    )
    assert arguments == [
        *('--own', '1', '--ros-args', '--log-level', 'debug'),
        *('-r', '__node:=my', '-r', '__ns:=/ns', '-r', 'a:=bc'),
    ]


def test_parameters_of_a_dictionary_become_a_file_for_the_node(package, monkeypatch):
    monkeypatch.setenv('STANDIN_VALUE', '7')
    parameters = {
        'text': 'true',
        'number': EnvironmentVariable('STANDIN_VALUE'),
        'as_text': ParameterValue(EnvironmentVariable('STANDIN_VALUE'), value_type=str),
        ('na', TextSubstitution(text='me')): ['a', TextSubstitution(text='b')],
        'group': {'inner': {'flag': False}, 'list': [1, 2.5]},
    }
    arguments = arguments_of(name='my', namespace='/ns', parameters=[parameters])
    (path,) = after(arguments, '--params-file')
    content = yaml.load(pathlib.Path(path).read_text(), Loader=yaml.FullLoader)
    values = content['/ns/my']['ros__parameters']
    assert tuple(values.pop('group.list')) == (1.0, 2.5)
    assert values == {
        'text': 'true',
        'number': 7,
        'as_text': '7',
        'name': 'ab',
        'group.inner.flag': False,
    }


def test_parameters_of_a_node_without_full_name_are_for_any(package):
    (path,) = after(arguments_of(name='my', parameters=[{'a': 1}]), '--params-file')
    assert yaml.safe_load(pathlib.Path(path).read_text()) == {'/**': {'ros__parameters': {'a': 1}}}


def test_files_dictionaries_and_single_parameters_keep_their_order(package, tmp_path):
    file = tmp_path / 'p.yaml'
    file.write_text('/**: {ros__parameters: {a: 1}}\n')
    arguments = arguments_of(
        parameters=[str(file), Parameter('b', [TextSubstitution(text='2')]), file]
    )
    assert arguments[:4] == ['--ros-args', '--params-file', str(file), '-p']
    assert yaml.safe_load(arguments[4].removeprefix('b:=')) == 2
    assert arguments[-2:] == ['--params-file', str(file)]


def test_substitutions_in_a_file_are_performed_if_allowed(tmp_path):
    file = tmp_path / 'p.yaml'
    file.write_text('/**: {ros__parameters: {a: $(var speed 3), b: "$(var side)"}}\n')
    context = LaunchContext()
    context.launch_configurations['side'] = 'left'
    performed = ParameterFile(str(file), allow_substs=True).evaluate(context)
    values = yaml.safe_load(performed.read_text())['/**']['ros__parameters']
    assert values == {'a': 3, 'b': 'left'}
    assert ParameterFile(file).evaluate(context) == file


def test_a_file_that_is_not_there_is_warned_of(package, capsys):
    arguments_of(parameters=['/nowhere/p.yaml'])
    assert 'Parameter file path is not a file: /nowhere/p.yaml' in capsys.readouterr().out


@pytest.mark.parametrize(
    'parameters',
    [
        [5.0],
        {'a': 5},
        'a.yaml',
        [{5: 'a'}],
        [{'a': {'b': {5: 'c'}}}],
        [{'a': [1, 2, [3, 4]]}],
        [{'a': {1, 2}}],
        [{'a': {'b': object()}}],
    ],
)
def test_what_cannot_be_parameters_is_an_error(parameters):
    with pytest.raises(TypeError):
        Node(package='p', executable='e', parameters=parameters)


@pytest.mark.parametrize('remappings', [{'a': 'b'}, [{'a': 'b'}], [('a', 'b', 'c')]])
def test_what_cannot_be_remappings_is_an_error(remappings):
    with pytest.raises(TypeError):
        Node(package='p', executable='e', remappings=remappings)


@pytest.mark.parametrize(
    ('parameters', 'evaluated'),
    [
        ([{'a': 1, 'b': 2.0}], {'a': 1, 'b': 2.0}),
        ([{TextSubstitution(text='false'): TextSubstitution(text='off')}], {'false': False}),
        ([{'a': [[TextSubstitution(text='1')], [TextSubstitution(text='2')]]}], {'a': (1, 2)}),
        ([{'a': ['True', '1', '1.0']}], {'a': ('True', '1', '1.0')}),
        ([{'a': TextSubstitution(text='[2, 3]')}], {'a': (2, 3)}),
        ([{'a': ['b', [TextSubstitution(text='c')]]}], {'a': ('b', 'c')}),
        ([{'a': b'\xff'}], {'a': b'\xff'}),
        ([{'a': {'b': 'c'}, 'd': {'e': 3}}], {'a.b': 'c', 'd.e': 3}),
    ],
)
def test_a_dictionary_is_flattened_and_evaluated(parameters, evaluated):
    assert evaluate_parameters(LaunchContext(), normalize_parameters(parameters)) == (evaluated,)


@pytest.mark.parametrize(
    ('value', 'words'),
    [
        ([True, 2.0, 3], 'Expected a non-empty'),
        ([[TextSubstitution(text='a')], True, 1], 'Expected a non-empty'),
        (TextSubstitution(text='[]'), 'Expected a non-empty sequence'),
        (TextSubstitution(text='[1, 2.0]'), 'Expected a non-empty sequence'),
        (TextSubstitution(text='{a: 3}'), 'Allowed value types'),
    ],
)
def test_a_value_of_no_allowed_type_is_an_error(value, words):
    with pytest.raises(TypeError, match=words):
        evaluate_parameters(LaunchContext(), normalize_parameters([{'a': value}]))


def test_paths_stay_paths():
    parameters = ['/foo/bar', {'a': 1}, pathlib.Path('/tmp/baz')]
    evaluated = evaluate_parameters(LaunchContext(), normalize_parameters(parameters))
    assert evaluated == (pathlib.Path('/foo/bar'), {'a': 1}, pathlib.Path('/tmp/baz'))


def test_a_parameter_has_the_type_that_is_asked_for():
    context = LaunchContext()
    assert Parameter('a', TextSubstitution(text='1')).evaluate(context) == ('a', 1)
    text = Parameter('a', TextSubstitution(text='1'), value_type=str)
    assert text.evaluate(context) == ('a', '1')
    assert (text.name, text.value) == ('a', '1')
    listed = Parameter('a', [[TextSubstitution(text='b')], 'c'], value_type=STRS)
    assert listed.evaluate(context) == ('a', ['b', 'c'])
    with pytest.raises(ValueError):
        Parameter('a', '1', value_type=int).evaluate(context)


@pytest.mark.parametrize(
    ('pushed', 'own', 'expected'),
    [
        (['outer'], 'inner', '/outer/inner'),
        (['outer'], '/inner', '/inner'),
        (['outer'], '/', '/'),
        (['outer'], '', '/outer'),
        (['outer', 'more'], None, '/outer/more'),
        (['outer', '/absolute'], 'inner', '/absolute/inner'),
        ([''], None, '/'),
        ([], 'inner', '/inner'),
        ([], None, None),
    ],
)
def test_the_namespace_of_a_node_is_below_what_was_pushed(package, pushed, own, expected):
    arguments = arguments_of(*(PushRosNamespace(ns) for ns in pushed), namespace=own)
    namespaces = [rule for rule in after(arguments, '-r') if rule.startswith('__ns:=')]
    assert namespaces == ([] if expected is None else [f'__ns:={expected}'])


def test_the_full_name_of_a_node_is_known_once_it_runs(package):
    node = Node(package='standin_pkg', executable='echo_args', name='my', namespace='ns')
    with pytest.raises(RuntimeError):
        _ = node.node_name
    launch_all(PushRosNamespace('outer'), node)
    assert node.node_name == '/outer/ns/my'
    assert node.is_node_name_fully_specified()
    assert matches_node_name('outer/ns/my')(node)


def test_what_is_set_for_all_nodes_holds_up_to_the_end_of_the_group(package, tmp_path):
    file = tmp_path / 'all.yaml'
    file.write_text('/**: {ros__parameters: {a: 1}}\n')
    settings = [
        SetParameter('use_sim_time', True),
        SetParametersFromFile(str(file)),
        SetRemap('x', 'y'),
    ]
    inner = Node(
        package='standin_pkg',
        executable='echo_args',
        cached_output=True,
        parameters=[{'b': 2}],
        remappings=[('z', 'w')],
    )
    outside = arguments_of(GroupAction([*settings, inner]))
    inside = inner.get_stdout().splitlines()
    assert inside[1:5] == ['-p', 'use_sim_time:=True', '--params-file', str(file)]
    assert after(inside, '-r') == ['x:=y', 'z:=w']
    assert outside == ['--ros-args']


def test_a_parameter_that_was_set_can_be_read_back():
    context = LaunchContext()
    SetParameter('speed', '2').execute(context)
    SetParameter('speed', '3').execute(context)
    assert ParameterSubstitution('speed').perform(context) == '3'
    assert ParameterSubstitution('absent', default='d').perform(context) == 'd'
    with pytest.raises(SubstitutionFailure):
        ParameterSubstitution('absent').perform(context)


def test_the_folder_of_log_files_is_set_for_the_nodes(tmp_path):
    context = LaunchContext()
    PushEnvironment().visit(context)
    try:
        SetROSLogDir('below').visit(context)
        assert os.environ['ROS_LOG_DIR'] == str(tmp_path / 'log' / 'below')
        SetROSLogDir('/absolute').visit(context)
        assert os.environ['ROS_LOG_DIR'] == '/absolute'
    finally:
        PopEnvironment().visit(context)


def test_nodes_of_one_name_are_counted_and_warned_of(package, capsys):
    context = LaunchContext()
    add_node_name(context, '/a')
    add_node_name(context, '/a')
    assert (get_node_name_count(context, '/a'), get_node_name_count(context, '/b')) == (2, 0)
    nodes = [
        Node(package='standin_pkg', executable='echo_args', name='my', namespace='/')
        for _ in range(2)
    ]
    launch_all(*nodes)
    assert 'at least 2 nodes with the name /my' in capsys.readouterr().out


def test_a_node_of_an_unknown_package_ends_the_launch_with_an_error(package, capsys):
    assert launch_all(Node(package='no_such_pkg', executable='e')) == 1
    assert 'no_such_pkg' in capsys.readouterr().out


def test_namespaces_and_remapping_rules_are_normalised():
    assert make_namespace_absolute('a/b') == '/a/b'
    ((source, target),) = normalize_remap_rules([('a', ['b', 'c'])])
    assert [part.text for part in source] == ['a']
    assert [part.text for part in target] == ['b', 'c']


def test_a_lifecycle_node_needs_a_name_and_a_namespace():
    with pytest.raises(TypeError):
        LifecycleNode(package='p', executable='e', name='n')
    with pytest.raises(TypeError):
        LifecycleNode(package='p', executable='e', namespace='n')


def test_transitions_need_nodes_and_numbers():
    with pytest.raises(ValueError):
        LifecycleTransition(lifecycle_node_names=[], transition_ids=[1])
    with pytest.raises(ValueError):
        LifecycleTransition(lifecycle_node_names=['n'], transition_ids=[])
    transition = LifecycleTransition(lifecycle_node_names=['n'], transition_ids=['1'])
    assert isinstance(transition.execute(LaunchContext())[0], RegisterEventHandler)


LIFECYCLE = """
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode
rclpy.init()
try:
    rclpy.spin(LifecycleNode('other_name'))
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""


@pytest.mark.ros
def test_a_lifecycle_node_is_taken_to_active_and_reports_it(capsys):
    pytest.importorskip('rclpy')
    node = LifecycleNode(
        executable=sys.executable,
        arguments=['-c', LIFECYCLE],
        name=f'standin_{os.getpid()}',
        namespace='',
        output='screen',
        autostart=True,
    )
    states = [
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node,
                goal_state=state,
                entities=[LogInfo(msg=f'reached {state}'), *then],
            )
        )
        for state, then in (('inactive', []), ('active', [Shutdown()]))
    ]
    late = TimerAction(period=20.0, actions=[LogInfo(msg='too late'), Shutdown()])
    assert launch_all(*states, late, node) == 0
    out = capsys.readouterr().out
    assert out.index('reached inactive') < out.index('reached active')
    assert 'too late' not in out
    assert 'process has finished cleanly' in out


@pytest.mark.ros
def test_a_timer_on_the_clock_of_ros_fires_after_its_period():
    pytest.importorskip('rclpy')
    started = time.monotonic()
    ends = []
    timer = ROSTimer(period=0.2, actions=[Shutdown(reason='timer')])
    assert launch_all(timer) == 0
    ends.append(time.monotonic() - started)
    assert 0.2 <= ends[0] < 5.0
