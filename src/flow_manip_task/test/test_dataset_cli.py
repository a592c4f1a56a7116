# SPDX-License-Identifier: Apache-2.0
"""`flow_manip dataset`: what it prints and how it ends."""

import pytest

from flow_manip_learning.dataset import DatasetIndex
from flow_manip_task.cli.main import main

SMALL = ('--count', '3', '--size', '96', '72', '--steps', '4', '--points', '32', '--views', '2')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cli') / 'flows'
    assert main(['dataset', 'make', '--out', str(folder), '--seed', '2', *SMALL]) == 0
    return folder


def test_make_writes_what_was_asked_for(folder):
    index = DatasetIndex.read(folder)
    assert (index.num_samples, index.complete) == (3, True)
    config = index.card.recipe['config']
    asked = [config[name] for name in ('width', 'height', 'steps', 'points', 'views')]
    assert asked == [96, 72, 4, 32, 2]


def test_check_says_that_nothing_is_wrong_or_what(folder, tmp_path, capsys):
    assert main(['dataset', 'check', str(folder)]) == 0
    assert '3 samples in 1 shards: nothing is wrong' in capsys.readouterr().out
    assert main(['dataset', 'check', str(tmp_path)]) == 1
    assert 'no dataset' in capsys.readouterr().out


def test_show_writes_a_picture(folder, tmp_path, capsys):
    out = tmp_path / 'sheet.png'
    assert main(['dataset', 'show', str(folder), '--out', str(out), '--count', '2']) == 0
    assert out.stat().st_size > 10_000
    assert main(['dataset', 'show', str(folder), '--tag', 'action=juggle']) == 1
    assert 'INVALID_INPUT' in capsys.readouterr().err


def test_make_refuses_a_folder_of_another_recipe(folder, capsys):
    assert main(['dataset', 'make', '--out', str(folder), '--seed', '3', *SMALL]) == 1
    assert 'another card' in capsys.readouterr().err
