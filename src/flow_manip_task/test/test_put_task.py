# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.transforms import make_transform, quaternion_from_transform, rotation_about
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks.placement import lowest_point
from flow_manip_mujoco.tasks.putting import LET_GO, make_put_task_trial
from flow_manip_task.evaluation.conditions import Condition, Job
from flow_manip_task.evaluation.running import task_named, tasks, TrialRunner


@pytest.fixture(scope='module')
def cell():
    cell = SimulatedCell()
    yield cell
    cell.close()


def put_at(cell, name, pose):
    """Set an object somewhere in a test's scene."""
    joint = cell.data.joint(name)
    joint.qpos[:3] = pose[:3, 3]
    joint.qpos[3:] = quaternion_from_transform(pose)[[3, 0, 1, 2]]


def test_every_task_is_known_by_its_name():
    assert 'put' in tasks()
    assert all(task_named(name).name == name for name in tasks())


def test_the_reference_ends_over_the_target_and_passes_over_the_rest(cell):
    for seed in range(6):
        trial = make_put_task_trial(seed)
        trial.reset(cell)
        (step,) = trial.steps
        motion = step.reference_motion(cell)
        np.testing.assert_allclose(motion.poses[0], cell.object_pose(step.body), atol=1e-9)
        assert not any(trial.progress(cell).values())
        put_at(cell, step.body, motion.poses[-1])
        assert trial.progress(cell)['over the target']
        assert trial.success(cell), trial.instruction


def test_what_has_fallen_over_is_put_down_lying(cell):
    trial = make_put_task_trial(1)
    trial.reset(cell)
    (step,) = trial.steps
    lying = make_transform((0.5, 0.0, 0.04), rotation_about((1, 0, 0), np.pi / 2))
    put_at(cell, step.body, lying)
    motion = step.reference_motion(cell)
    np.testing.assert_allclose(motion.poses[-1, :3, :3], lying[:3, :3], atol=1e-9)
    plate = next(spec for spec in cell.objects if spec.noun == 'plate')
    put_at(cell, step.body, motion.poses[-1])
    over = lowest_point(cell, step.body) - cell.object_pose(plate.name)[2, 3] - plate.floor
    assert over == pytest.approx(LET_GO, abs=1e-6)
    assert trial.success(cell)


@pytest.mark.slow
def test_a_trial_with_the_truth_succeeds_and_gives_the_same_line_in_another_runner():
    job = Job(Condition('put', flow='noisy:0.005:0.1'), 2)
    other = Job(Condition('put'), 0)
    first, second = TrialRunner(), TrialRunner()
    line = first(job)
    second(other)
    again = second(job)
    first.close()
    second.close()
    assert line.success, line.message
    for name in ('success', 'error_metres', 'simulated_seconds', 'message', 'progress'):
        assert getattr(line, name) == getattr(again, name)
