# SPDX-License-Identifier: Apache-2.0
"""launch: typed values, logging and signals."""

import asyncio
import logging
import pathlib
import signal
from typing import List, Union  # noqa: UP035

import pytest

pytest.importorskip('launch')

from launch import LaunchContext
import launch.logging
from launch.substitutions import TextSubstitution
from launch.utilities import AsyncSafeSignalManager, ensure_argument_type, is_a, is_a_subclass
from launch.utilities.type_utils import (
    coerce_list,
    coerce_to_type,
    extract_type,
    get_typed_value,
    is_instance_of,
    is_typing_list,
    normalize_typed_substitution,
    perform_typed_substitution,
)

INTS, STRS = List[int], List[str]  # noqa: UP006


@pytest.fixture
def log_dir(tmp_path, monkeypatch):
    monkeypatch.delenv('OVERRIDE_LAUNCH_SCREEN_FORMAT', raising=False)
    monkeypatch.delenv('OVERRIDE_LAUNCH_LOG_FORMAT', raising=False)
    launch.logging.reset()
    launch.logging.launch_config.log_dir = str(tmp_path)
    yield tmp_path
    launch.logging.reset()


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('asd', 'asd'),
        ("'1'", '1'),
        ('1', 1),
        ('.3', 0.3),
        ('on', True),
        ('[2, 1]', [2, 1]),
        ('[a, b]', ['a', 'b']),
        ('', ''),
    ],
)
def test_a_text_becomes_a_value_by_the_rules_of_yaml(text, value):
    result = coerce_to_type(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ('text', 'data_type', 'value'),
    [
        ("'1'", str, "'1'"),
        ('1', float, 1.0),
        ('off', bool, False),
        ('1', bool, True),
        ('[a, b]', STRS, ['a', 'b']),
        ('[1, 2]', INTS, [1, 2]),
    ],
)
def test_a_text_becomes_a_value_of_the_type_that_is_asked_for(text, data_type, value):
    assert get_typed_value(text, data_type) == value


@pytest.mark.parametrize(
    ('text', 'data_type'),
    [('1.5', int), ('x', float), ('x', bool), ('[1, 2.0]', INTS), ('{1}', None), ("''1''", None)],
)
def test_a_text_that_does_not_fit_is_an_error(text, data_type):
    with pytest.raises(ValueError):
        coerce_to_type(text, data_type)


def test_the_items_of_a_list_are_of_one_type():
    assert coerce_list(['1', '2']) == [1, 2]
    assert coerce_list(['a', '2'], int, can_be_str=True) == ['a', 2]
    with pytest.raises(ValueError):
        coerce_list(['1', '2.0'])
    with pytest.raises(TypeError):
        coerce_list([1, 2])


def test_only_scalars_and_lists_of_them_are_types_of_values():
    assert extract_type(INTS) == (int, True)
    assert is_typing_list(List)  # noqa: UP006
    assert not is_typing_list(list)
    assert is_instance_of(['1', 2], INTS, can_be_str=True)
    assert not is_instance_of(True, int)
    for wrong in (bytes, list, List, Union[int, str]):  # noqa: UP006
        with pytest.raises(ValueError):
            extract_type(wrong)


def test_substitutions_become_values_in_a_context():
    context = LaunchContext()
    normalized = normalize_typed_substitution([TextSubstitution(text='[1, '), '2]'], INTS)
    assert perform_typed_substitution(context, normalized, INTS) == [1, 2]
    mixed = normalize_typed_substitution([TextSubstitution(text='1'), 2], INTS)
    assert perform_typed_substitution(context, mixed, INTS) == [1, 2]
    with pytest.raises(TypeError):
        normalize_typed_substitution(1, INTS)
    with pytest.raises(ValueError):
        perform_typed_substitution(context, [TextSubstitution(text='1.')], int)


def test_a_wrong_argument_is_named_with_its_caller():
    ensure_argument_type('a', (str, int), 'name', 'Caller')
    with pytest.raises(TypeError, match=r"'Caller'.*'name'.*'str'"):
        ensure_argument_type(1.0, str, 'name', 'Caller')


def test_instances_and_classes_are_told_apart():
    text = TextSubstitution(text='')
    assert is_a(text, TextSubstitution)
    assert not is_a(TextSubstitution, TextSubstitution)
    assert is_a_subclass(TextSubstitution, TextSubstitution)
    assert is_a_subclass(text, TextSubstitution)


def test_the_screen_shows_level_and_name(log_dir, capsys):
    logger = launch.logging.get_logger('some')
    logger.info('shown')
    logger.debug('not shown')
    assert capsys.readouterr().out == '[INFO] [some]: shown\n'


def test_the_log_file_has_times(log_dir):
    launch.logging.get_logger('some').error('oops')
    launch.logging.launch_config.get_log_file_handler().flush()
    stamp, rest = (log_dir / 'launch.log').read_text().split(' ', 1)
    assert float(stamp) > 0
    assert rest == '[ERROR] [some]: oops\n'


def test_processes_write_plain_lines_to_files_of_their_own(log_dir, capsys):
    out, err = launch.logging.get_output_loggers('proc', 'full')
    out.info('foo')
    err.info('bar')
    assert capsys.readouterr().out == 'foo\nbar\n'
    files = {name: (log_dir / name).read_text() for name in ('proc.log', 'proc-stdout.log')}
    assert files == {'proc.log': 'foo\nbar\n', 'proc-stdout.log': 'foo\n'}


@pytest.mark.parametrize('config', ['no_alias', {'garbage': {'log'}}, {'stdout': {'garbage'}}])
def test_an_unknown_output_configuration_is_an_error(log_dir, config):
    with pytest.raises(ValueError):
        launch.logging.get_output_loggers('proc', config)


def test_formats_come_from_the_environment_or_by_name(log_dir, monkeypatch, capsys):
    launch.logging.launch_config.set_screen_format('default_with_timestamp')
    launch.logging.get_logger('some').warning('w')
    assert capsys.readouterr().out.endswith(' [WARNING] [some]: w\n')
    monkeypatch.setenv('OVERRIDE_LAUNCH_SCREEN_FORMAT', '<{message}>')
    launch.logging.reset()
    launch.logging.launch_config.log_dir = str(log_dir)
    launch.logging.get_logger('some').warning('w')
    assert capsys.readouterr().out == '<w>\n'
    with pytest.raises(ValueError):
        launch.logging.launch_config.set_screen_format('default', screen_style='%')


def test_the_folder_of_the_logs_is_asked_of_the_environment(log_dir, tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_LOG_DIR', '')
    monkeypatch.setenv('ROS_HOME', str(tmp_path / 'home'))
    launch.logging.launch_config.log_dir = None
    folder = pathlib.Path(launch.logging.launch_config.log_dir)
    assert folder.parent == tmp_path / 'home' / 'log'
    assert folder.is_dir()
    with pytest.raises(ValueError):
        launch.logging.launch_config.log_dir = 'not/a/folder'


def test_the_level_holds_for_all_loggers(log_dir):
    launch.logging.launch_config.level = logging.WARNING
    assert launch.logging.get_logger('some').getEffectiveLevel() == logging.WARNING


def test_signals_are_handled_in_the_loop_and_handed_back_afterwards():
    loop = asyncio.new_event_loop()
    before = signal.getsignal(signal.SIGUSR1)
    try:
        manager = AsyncSafeSignalManager(loop)
        got = loop.create_future()
        manager.handle(signal.SIGUSR1, got.set_result)
        with manager:
            loop.call_soon(signal.raise_signal, signal.SIGUSR1)
            assert loop.run_until_complete(asyncio.wait_for(got, 5.0)) == signal.SIGUSR1
        assert signal.getsignal(signal.SIGUSR1) is before
    finally:
        loop.close()
