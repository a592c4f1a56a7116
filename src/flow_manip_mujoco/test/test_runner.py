# SPDX-License-Identifier: Apache-2.0
"""The cell running by itself. Waiting is for events; speed only ever makes a test slower."""

import threading
import time

import numpy as np
import pytest

from flow_manip_core.errors import BackendError, ConfigurationError
from flow_manip_mujoco import runner as runner_module
from flow_manip_mujoco.camera import DepthNoiseConfig
from flow_manip_mujoco.runner import CameraWorker, CellRunner

TIMEOUT = 20.0  # [s]


class Ticks:
    """Collects ticks and says when there are enough."""

    def __init__(self, enough, work=0.0):
        self.times, self._enough, self._work = [], enough, work
        self.done = threading.Event()

    def __call__(self, now):
        self.times.append(now)
        if self._work:
            threading.Event().wait(self._work)
        if len(self.times) >= self._enough:
            self.done.set()


def run(cell, ticks, **options):
    runner = CellRunner(cell, ticks, **options)
    runner.start()
    assert ticks.done.wait(TIMEOUT)
    runner.stop()
    return runner


def test_a_machine_that_is_too_slow_slows_the_clock_and_drops_no_step(cell):
    ticks = Ticks(20, work=0.03)  # three times what a tick may take
    begun = time.monotonic()
    run(cell, ticks)
    assert time.monotonic() - begun >= 20 * 0.03
    np.testing.assert_allclose(np.diff(ticks.times), 0.01, atol=1e-9)


def test_time_does_not_run_faster_than_the_wall(cell):
    ticks = Ticks(50)
    begun = time.monotonic()
    run(cell, ticks, real_time_factor=2.0)
    assert time.monotonic() - begun >= 48 * 0.01 / 2.0


def test_the_clock_goes_on_over_a_reset(cell):
    ticks = Ticks(30)
    runner = run(cell, ticks, real_time_factor=0.0)
    before = runner.time
    runner.reset(3, 'red_cube')
    assert runner.time == before
    assert runner.cell.time == 0.0
    with pytest.raises(ConfigurationError):
        runner.reset(3, 'golden_calf')
    assert runner.time == before
    runner.cell.step(5)
    assert runner.time == pytest.approx(before + 0.01)


def test_a_tick_that_fails_stops_the_simulation_and_is_logged(cell, caplog):
    def fail(now):
        raise RuntimeError('no more')

    runner = CellRunner(cell, fail)
    runner.start()
    runner._thread.join(TIMEOUT)
    assert 'the simulation stopped at 0.010 s' in caplog.text
    runner.stop()


def test_a_tick_must_be_a_whole_number_of_steps(cell):
    with pytest.raises(ConfigurationError, match=r'0\.003 s is not a multiple'):
        CellRunner(cell, print, period=0.003)


def test_every_picture_handed_over_is_taken_in_order(cell):
    cell.reset(0, 'tabletop')
    pictures = []
    worker = CameraWorker(cell, pictures.append)
    for index in range(6):
        cell.step(5)
        worker.take(cell, float(index))
        if index == 2:
            cell.reset(1, 'red_cube')  # another model from here on
    worker.close()
    assert [p.time for p in pictures] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    seen = cell.observe()
    assert np.array_equal(pictures[-1].color, seen.color)
    assert np.array_equal(pictures[-1].depth, seen.depth, equal_nan=True)
    assert not np.array_equal(pictures[0].color, seen.color)


def test_pictures_can_be_noisy_and_one_that_fails_costs_only_itself(cell, caplog):
    cell.reset(0, 'tabletop')
    pictures = []

    def take(picture):
        pictures.append(picture)
        if len(pictures) == 1:
            raise RuntimeError('full disk')

    worker = CameraWorker(cell, take, noise=DepthNoiseConfig())
    for index in range(3):
        worker.take(cell, float(index))
    worker.close()
    assert len(pictures) == 3
    assert 'picture at 0.000 s was not taken' in caplog.text
    assert 0.002 < np.isnan(pictures[1].depth).mean() < 0.1
    assert not np.array_equal(pictures[1].depth, pictures[2].depth, equal_nan=True)


def test_a_camera_that_cannot_start_says_so_to_whoever_wants_it(cell, monkeypatch):
    def refuse(*args, **kwargs):
        raise BackendError('no off-screen rendering')

    monkeypatch.setattr(runner_module, 'Renderer', refuse)
    with pytest.raises(BackendError, match='no off-screen'):
        CameraWorker(cell, print)
