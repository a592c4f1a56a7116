# SPDX-License-Identifier: Apache-2.0
"""launch: actions, conditions, substitutions and descriptions in a context, with no process."""

import os
import pathlib

import pytest

pytest.importorskip('launch')

from launch import Action, LaunchContext, LaunchDescription, LaunchDescriptionSource
from launch.actions import (
    AppendEnvironmentVariable,
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    ResetLaunchConfigurations,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    Shutdown,
    UnsetEnvironmentVariable,
    UnsetLaunchConfiguration,
)
from launch.conditions import (
    evaluate_condition_expression,
    IfCondition,
    InvalidConditionExpressionError,
    LaunchConfigurationEquals,
    UnlessCondition,
)
from launch.descriptions import Executable
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import (
    get_launch_description_from_any_launch_file,
    PythonLaunchDescriptionSource,
)
from launch.substitutions import (
    AllSubstitution,
    AndSubstitution,
    AnonName,
    AnySubstitution,
    Command,
    EnvironmentVariable,
    EqualsSubstitution,
    FileContent,
    FindExecutable,
    IfElseSubstitution,
    LaunchConfiguration,
    LocalSubstitution,
    NotEqualsSubstitution,
    NotSubstitution,
    OrSubstitution,
    PathJoinSubstitution,
    PathSubstitution,
    PythonExpression,
    SubstitutionFailure,
    TextSubstitution,
    ThisLaunchFileDir,
)
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from launch.frontend.parse_substitution import parse_substitution  # isort: skip

SCOPE_FILE = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument


def generate_launch_description():
    return LaunchDescription([DeclareLaunchArgument('speed', description='in m/s')])
"""


@pytest.fixture
def context():
    before = dict(os.environ)
    yield LaunchContext()
    os.environ.clear()
    os.environ.update(before)


def visit_all(entity, context):
    for sub_entity in entity.visit(context) or []:
        visit_all(sub_entity, context)


def test_a_required_argument_that_is_not_given_stops_the_launch(context):
    with pytest.raises(RuntimeError, match="Required launch argument 'name'"):
        DeclareLaunchArgument('name').visit(context)


def test_an_argument_takes_its_default_and_keeps_a_given_value(context):
    DeclareLaunchArgument('a', default_value='1').visit(context)
    context.launch_configurations['b'] = '2'
    DeclareLaunchArgument('b', default_value='1').visit(context)
    assert context.launch_configurations == {'a': '1', 'b': '2'}


def test_a_value_that_is_not_among_the_choices_stops_the_launch(context):
    argument = DeclareLaunchArgument('side', default_value='left', choices=['left', 'right'])
    assert 'left' in argument.description
    argument.visit(context)
    context.launch_configurations['side'] = 'up'
    with pytest.raises(RuntimeError, match='up'):
        argument.visit(context)


def test_an_empty_list_of_choices_is_an_error():
    with pytest.raises(ValueError):
        DeclareLaunchArgument('side', choices=[])


def test_an_action_runs_only_if_its_condition_holds(context):
    seen = []
    for name, condition in (
        ('if true', IfCondition('true')),
        ('if false', IfCondition('0')),
        ('unless true', UnlessCondition('1')),
        ('unless false', UnlessCondition('False')),
    ):
        OpaqueFunction(function=lambda _, name=name: seen.append(name), condition=condition).visit(
            context
        )
    assert seen == ['if true', 'unless false']


@pytest.mark.parametrize('text', ['', 'yes', '2'])
def test_a_condition_that_is_neither_true_nor_false_is_an_error(context, text):
    with pytest.raises(InvalidConditionExpressionError):
        evaluate_condition_expression(context, [TextSubstitution(text=text)])


@pytest.mark.filterwarnings('ignore')
def test_a_condition_on_a_configuration_compares_its_value(context):
    context.launch_configurations['mode'] = 'fast'
    assert LaunchConfigurationEquals('mode', 'fast').evaluate(context)
    assert not LaunchConfigurationEquals('mode', 'slow').evaluate(context)
    assert LaunchConfigurationEquals('absent', None).evaluate(context)


def test_a_scoped_group_takes_its_configurations_and_environment_back(context):
    group = GroupAction(
        [SetLaunchConfiguration('a', 'inner'), SetEnvironmentVariable('STANDIN_VAR', 'inner')],
        launch_configurations={'b': 'given'},
    )
    seen = {}
    context.launch_configurations['a'] = 'outer'
    for entity in group.visit(context):
        entity.visit(context)
        seen.update(context.launch_configurations)
    assert seen['b'] == 'given'
    assert context.launch_configurations == {'a': 'outer'}
    assert 'STANDIN_VAR' not in context.environment


def test_a_group_that_is_not_scoped_keeps_its_configurations(context):
    visit_all(GroupAction([SetLaunchConfiguration('a', '1')], scoped=False), context)
    assert context.launch_configurations == {'a': '1'}


def test_a_group_that_does_not_forward_hides_what_is_around_it(context):
    seen = []
    look = OpaqueFunction(function=lambda c: seen.append(dict(c.launch_configurations)))
    context.launch_configurations.update({'a': '1', 'b': '2'})
    group = GroupAction(
        [look], forwarding=False, launch_configurations={'b': LaunchConfiguration('b')}
    )
    visit_all(group, context)
    assert seen == [{'b': '2'}]
    assert context.launch_configurations == {'a': '1', 'b': '2'}


def test_configurations_are_unset_and_reset(context):
    context.launch_configurations.update({'a': '1', 'b': '2', 'c': '3'})
    UnsetLaunchConfiguration('a').visit(context)
    UnsetLaunchConfiguration('never set').visit(context)
    ResetLaunchConfigurations({'b': LaunchConfiguration('c')}).visit(context)
    assert context.launch_configurations == {'b': '3'}


def test_environment_variables_are_set_appended_and_unset(context):
    SetEnvironmentVariable('STANDIN_PATH', 'b').visit(context)
    AppendEnvironmentVariable('STANDIN_PATH', 'c').visit(context)
    AppendEnvironmentVariable('STANDIN_PATH', 'a', prepend=True, separator=';').visit(context)
    assert os.environ['STANDIN_PATH'] == f'a;b{os.pathsep}c'
    UnsetEnvironmentVariable('STANDIN_PATH').visit(context)
    assert 'STANDIN_PATH' not in os.environ


def test_an_include_sets_its_arguments_then_visits_the_description(context):
    description = LaunchDescription([DeclareLaunchArgument('foo')])
    include = IncludeLaunchDescription(
        LaunchDescriptionSource(description), launch_arguments={'foo': 'FOO'}.items()
    )
    entities = include.visit(context)
    assert entities[1] is description
    visit_all(include, context)
    assert context.launch_configurations['foo'] == 'FOO'


def test_an_include_without_a_required_argument_is_an_error(context):
    description = LaunchDescription([DeclareLaunchArgument('foo')])
    include = IncludeLaunchDescription(
        LaunchDescriptionSource(description), launch_arguments={'bar': 'BAR'}.items()
    )
    with pytest.raises(RuntimeError, match='missing required argument') as error:
        include.visit(context)
    assert 'bar' in str(error.value)


def test_an_included_file_knows_its_folder(context, tmp_path):
    path = tmp_path / 'inner.launch.py'
    path.write_text(SCOPE_FILE)
    IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(path)), launch_arguments=[('speed', '1')]
    ).visit(context)
    assert ThisLaunchFileDir().perform(context) == str(tmp_path)
    assert (ThisLaunchFileDir() / 'a.yaml').perform(context) == str(tmp_path / 'a.yaml')


def test_outside_of_a_launch_file_there_is_no_folder(context):
    with pytest.raises(SubstitutionFailure):
        ThisLaunchFileDir().perform(context)


def test_the_arguments_of_included_files_are_found_as_well(tmp_path):
    path = tmp_path / 'inner.launch.py'
    path.write_text(SCOPE_FILE)
    description = LaunchDescription(
        [
            DeclareLaunchArgument('own', condition=IfCondition('true')),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(path))),
        ]
    )
    arguments = description.get_launch_arguments()
    assert [argument.name for argument in arguments] == ['own', 'speed']
    assert arguments[1].description == 'in m/s'


def test_a_launch_file_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match='nowhere'):
        get_launch_description_from_any_launch_file('/nowhere/a.launch.py')


def test_a_shutdown_queues_its_event_only_if_its_condition_holds(context):
    Shutdown(condition=IfCondition('false')).visit(context)
    assert context._event_queue.qsize() == 0
    Shutdown(reason='enough').visit(context)
    assert context._event_queue.get_nowait().reason == 'enough'


def test_a_handler_for_something_that_is_no_process_is_an_error():
    with pytest.raises(TypeError):
        OnProcessExit(target_action='text', on_exit=[])
    with pytest.raises(TypeError):
        OnProcessExit(on_start=[])


def test_an_unknown_argument_of_an_action_is_named():
    with pytest.raises(TypeError, match='colour'):
        Action(colour='red')


@pytest.mark.parametrize(
    ('substitution', 'text'),
    [
        (NotSubstitution('true'), 'false'),
        (AndSubstitution('1', 'true'), 'true'),
        (OrSubstitution('false', '0'), 'false'),
        (AnySubstitution('false', 'false', 'true'), 'true'),
        (AnySubstitution(), 'false'),
        (AllSubstitution('true', '1'), 'true'),
        (AllSubstitution(), 'true'),
        (EqualsSubstitution('true', 1), 'true'),
        (EqualsSubstitution(10, '10.0'), 'true'),
        (EqualsSubstitution('nan', 'nan'), 'false'),
        (EqualsSubstitution(None, ''), 'true'),
        (EqualsSubstitution('wow', True), 'false'),
        (NotEqualsSubstitution('a', 'b'), 'true'),
        (IfElseSubstitution('on', 'yes', 'no'), 'yes'),
        (IfElseSubstitution('0', 'yes'), ''),
        (
            PathJoinSubstitution(['a', ['b', TextSubstitution(text='.c')]]),
            str(pathlib.PurePath('a', 'b.c')),
        ),
        (PathSubstitution('a') / 'b' / ('c', '.d'), str(pathlib.PurePath('a', 'b', 'c.d'))),
        (EnvironmentVariable('STANDIN_NEVER', default_value='d'), 'd'),
        (LaunchConfiguration('never', default=[1, 'a']), '1a'),
        (LaunchConfiguration('never', default=False), 'False'),
        (Command('echo a b'), 'a b\n'),
        (FindExecutable(name='sh'), None),
    ],
)
def test_a_substitution_gives_its_text(context, substitution, text):
    performed = substitution.perform(context)
    if text is None:
        assert pathlib.Path(performed).name == 'sh'
    else:
        assert performed == text


@pytest.mark.parametrize(
    ('substitution', 'words'),
    [
        (LaunchConfiguration('never'), "launch configuration 'never' does not exist"),
        (EnvironmentVariable('STANDIN_NEVER'), "'STANDIN_NEVER' does not exist"),
        (NotSubstitution('perhaps'), 'perhaps'),
        (Command('no_such_command_here'), 'file not found'),
        (Command('false'), 'executed command failed. Command: false'),
        (Command('sh -c "echo oops >&2"'), 'oops'),
        (FindExecutable(name='no_such_command_here'), 'not found on the PATH'),
        (FileContent('/nowhere/file'), '/nowhere/file'),
    ],
)
def test_a_substitution_that_cannot_be_performed_says_why(context, substitution, words):
    with pytest.raises(SubstitutionFailure, match=words):
        substitution.perform(context)


def test_standard_error_of_a_command_may_be_ignored_or_captured(context):
    command = 'sh -c "echo out; echo err >&2"'
    assert Command(command, on_stderr='ignore').perform(context) == 'out\n'
    assert Command(command, on_stderr='capture').perform(context) == 'out\nerr\n'


def test_an_anonymous_name_is_the_same_for_the_same_name(context):
    first = AnonName('cam').perform(context)
    assert first.startswith('cam_')
    assert AnonName('cam').perform(context) == first
    assert AnonName('arm').perform(context) != first


def test_a_local_is_read_with_its_attributes_and_items(context):
    context.extend_locals({'path': pathlib.Path('/a/b.c'), 'names': {'first': 'x'}})
    assert LocalSubstitution('path.suffix').perform(context) == '.c'
    assert LocalSubstitution("names['first']").perform(context) == 'x'
    with pytest.raises(SubstitutionFailure):
        LocalSubstitution('absent').perform(context)


@pytest.mark.parametrize(
    ('expression', 'text'),
    [
        ("'a' == 'a' and not 1 > 2", 'True'),
        ('2 * (3 + 4) ** 2 // 5 % 7', '5'),
        ('ceil(1.3)', '2'),
        ('math.pi > 3', 'True'),
        ("'yes' if 'r' in 'robot' else 'no'", 'yes'),
        ("';'.join([str(i * 2) for i in range(4) if i != 1])", '0;4;6'),
        ("'left_arm'.split('_')[0].upper()", 'LEFT'),
        ('sorted({3, 1, 2})[::-1]', '[3, 2, 1]'),
        ("f'{1 + 1:03d}'", '002'),
        ('max(len(k) for k in {"a": 1, "bcd": 2})', '3'),
    ],
)
def test_an_expression_has_the_value_that_python_gives_it(context, expression, text):
    assert PythonExpression([expression]).perform(context) == text


def test_an_expression_is_put_together_from_substitutions(context):
    context.launch_configurations['n'] = '4'
    expression = PythonExpression(['1 + ', LaunchConfiguration('n')])
    assert expression.perform(context) == '5'
    assert PythonExpression(['ceil(1.6)']).describe() == "PythonExpr('ceil(1.6)', ['math'])"


def test_an_expression_knows_only_the_modules_that_are_named(context):
    with pytest.raises(NameError):
        PythonExpression(['ceil(1.6)'], []).perform(context)
    with pytest.raises(NameError):
        PythonExpression(['sys.maxsize']).perform(context)
    assert int(PythonExpression(['maxsize'], ['sys']).perform(context)) > 0


def test_texts_and_substitutions_are_joined(context):
    context.launch_configurations['a'] = 'A'
    parts = normalize_to_list_of_substitutions(['x', LaunchConfiguration('a')])
    assert perform_substitutions(context, parts) == 'xA'
    with pytest.raises(TypeError):
        normalize_to_list_of_substitutions([1])


def test_substitutions_are_read_from_text(context):
    context.launch_configurations['a'] = 'A'
    read = parse_substitution("$0 $(var a) $(env STANDIN_NEVER 'd $(var a)') \\$(var a)")
    assert perform_substitutions(context, read) == '$0 A d A $(var a)'


def test_the_command_line_of_an_executable_is_worked_out(context):
    context.launch_configurations.update({'launch-prefix': 'nice -n 5', 'arg': 'a b'})
    executable = Executable(
        cmd=['prog', LaunchConfiguration('arg')], name='label', additional_env={'STANDIN': '1'}
    )
    executable.apply_context(context)
    assert executable.final_cmd == ['nice', '-n', '5', 'prog', 'a b']
    assert executable.final_name.startswith('label-')
    assert executable.final_env['STANDIN'] == '1'
    context.launch_configurations['launch-prefix-filter'] = 'other'
    plain = Executable(cmd=['/bin/prog'])
    plain.apply_context(context)
    assert plain.final_cmd == ['/bin/prog']
    assert plain.final_name.startswith('prog-')


def test_the_environment_that_is_given_replaces_that_of_the_launch(context):
    executable = Executable(cmd=['prog'], env={'A': '1'}, additional_env={'B': '2'})
    executable.apply_context(context)
    assert executable.final_env == {'A': '1', 'B': '2'}


def test_locals_go_with_their_scope(context):
    context.extend_locals({'a': 1})
    context._push_locals()
    context.extend_locals({'a': 2, 'b': 3})
    assert (context.locals.a, context.locals.b) == (2, 3)
    context._pop_locals()
    assert context.locals.a == 1
    with pytest.raises(AttributeError):
        _ = context.locals.b
    with pytest.raises(AttributeError):
        context.locals.a = 5
