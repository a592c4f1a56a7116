# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path
import signal

import pytest

pytest.importorskip('torch')
pytest.importorskip('diffusers')

from flow_manip_core.errors import CancelledError
from flow_manip_learning.training import trainer
from flow_manip_learning.training.trainer import TrainingResult
from flow_manip_task.cli.main import main


def test_a_configuration_that_is_not_there_is_said(capsys):
    assert main(['train', 'nothing']) == 1
    assert "no configuration 'nothing'; there are" in capsys.readouterr().err


def test_flags_count_before_the_file_and_results_are_printed(monkeypatch, capsys, tmp_path):
    asked = []

    def train(config, *, until, on_step, cancelled):
        asked.append((config, until, cancelled()))
        on_step(1, 0.5)
        return TrainingResult(7, {}, {7: {'error_100': 0.0123}}, 0.25, Path('w.safetensors'))

    monkeypatch.setattr(trainer, 'train', train)
    flags = ['--dataset', 'd', '--output', str(tmp_path), '--seed', '5', '--until', '7']
    assert main(['train', 'compact', *flags]) == 0
    ((config, until, cancelled),) = asked
    assert (config.dataset, config.output, config.seed) == ('d', str(tmp_path), 5)
    assert (config.model, config.batch, until, cancelled) == ('compact', 32, 7, False)
    said = capsys.readouterr()
    assert 'step 7: error_100 0.0123' in said.out
    assert '7 steps, 0.250 s each; weights in w.safetensors' in said.out
    assert 'step 1 of' in said.err


def test_ctrl_c_lets_the_step_end_and_is_reported_as_interrupted(monkeypatch, capsys):
    def train(config, *, until, on_step, cancelled):
        os.kill(os.getpid(), signal.SIGINT)
        assert cancelled()
        raise CancelledError('cancelled after 3 steps; a checkpoint is written')

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(trainer, 'train', train)
    assert main(['train', 'compact']) == 130
    assert 'a checkpoint is written' in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
