# SPDX-License-Identifier: Apache-2.0
"""Slips, pushes and moved targets in the simulated cell, with and without looking."""

from dataclasses import replace

import numpy as np
import pytest

from flow_manip_mujoco.disturbances import make_disturbance
from flow_manip_mujoco.object_tracker import TrackerConfig
from flow_manip_mujoco.tasks import make_put_trial
from flow_manip_task.listener import Listener
from flow_manip_task.local import LocalCell
from flow_manip_task.stages import ManipulateRequest

pytestmark = pytest.mark.slow

SEED = 6  # put the green cube on the white plate


class Errors(Listener):
    def __init__(self):
        self.names = []

    def on_stage_ended(self, stage, attempt, seconds, error):
        if error is not None:
            self.names.append((stage.name, error.name))


@pytest.fixture(scope='module')
def shared():
    local = LocalCell.build()
    yield local
    local.close()


def run(local, kind, *, closed=True, attempts=3, tracking=None, seed=SEED):
    local.config = replace(local.config, max_attempts=attempts)
    local.stages.tracking = (tracking or TrackerConfig()) if closed else None
    trial = make_put_trial(seed)
    local.reset(trial.seed, trial.scene)
    local.stages.disturbance = kind and make_disturbance(
        kind, local.cell, trial.object, trial.target, seed
    )
    errors = Errors()
    result = local.run(ManipulateRequest(trial.instruction, seed=trial.seed), listener=errors)
    return trial.success(local.cell), result, errors.names


@pytest.mark.parametrize('kind', ['slip', 'moved_target', 'push'])
def test_what_goes_wrong_is_noticed_while_it_happens_and_made_good(shared, kind):
    success, result, errors = run(shared, kind)
    assert shared.stages.disturbance.happened_at is not None
    stage = 'GRASPING' if kind == 'push' else 'FOLLOWING'
    assert errors[0] == (stage, 'SLIPPED')
    assert success, result.message
    assert result.succeeded
    assert result.attempts > 1


@pytest.mark.parametrize('kind', ['slip', 'moved_target'])
def test_open_loop_does_not_make_it_good(shared, kind):
    # Of this seed the plate moves by more than its radius.
    success, result, errors = run(shared, kind, closed=False, attempts=1, seed=8)
    assert not success
    assert ('FOLLOWING', 'SLIPPED') not in errors
    assert not result.succeeded, 'and says so'


def test_an_undisturbed_motion_is_not_stopped_by_an_imperfect_tracker(shared):
    rough = TrackerConfig(latency=0.15, noise_metres=0.005, noise_degrees=3.0, dropout=0.3)
    success, result, errors = run(shared, None, tracking=rough)
    assert (success, result.attempts, errors) == (True, 1, [])
    assert shared.stages.last_monitor.looks > 20


def test_a_slip_is_noticed_by_an_imperfect_tracker(shared):
    rough = TrackerConfig(latency=0.15, noise_metres=0.005, noise_degrees=3.0, dropout=0.3)
    success, result, errors = run(shared, 'slip', tracking=rough)
    assert errors[0] == ('FOLLOWING', 'SLIPPED')
    assert success, result.message


def test_the_same_seed_goes_wrong_and_right_the_same_way(shared):
    first, again = (run(shared, 'slip') for _ in range(2))
    assert first[2] == again[2]
    assert first[1].message == again[1].message
    np.testing.assert_equal(first[1].final_error_metres, again[1].final_error_metres)
