# SPDX-License-Identifier: Apache-2.0
"""Looking again at what turns or slides on a joint: other faces show than before."""

import numpy as np
import pytest

from flow_manip_core.errors import GoalNotReachedError
from flow_manip_core.instruction import Instruction
from flow_manip_core.transforms import invert_transform
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_task.checking import GoalChecker
from flow_manip_task.evaluation.flow_sources import SourceSpec
from flow_manip_task.evaluation.running import task_named
from flow_manip_task.evaluation.truth import TruthSource

TASKS = ('open_drawer', 'open_top_drawer', 'open_oven', 'close_cabinet')


@pytest.fixture(scope='module')
def cell():
    cell = SimulatedCell()
    yield cell
    cell.close()


def never():
    return False


def joint_value(cell, body, pose):
    """Return the value of a part's joint at which the part is at `pose`, by trying."""
    joint = cell.model.joint(body)
    low, high = joint.range
    values = np.linspace(low, high, 100)

    def away(value):
        cell.data.joint(body).qpos[0] = value
        difference = invert_transform(pose) @ cell.body_pose(body)
        return np.abs(difference - np.eye(4)).max()

    return min(values, key=away)


@pytest.mark.parametrize('name', TASKS)
def test_a_part_is_seen_at_the_end_of_its_flow_and_where_it_is_not(cell, name):
    trial = task_named(name).make_trial(0)
    trial.reset(cell)
    step = trial.steps[0]
    source = TruthSource(cell, SourceSpec.parse('oracle'))
    source.take(step)
    before = cell.observe()
    mask = source.segment(before, step.object, cancelled=never)
    (flow,) = source.imagine(
        before, step.instruction, [mask], goal_image=None, seed=0,
        on_progress=lambda text, done: None, on_dropped=None, cancelled=never,
    )  # fmt: skip
    instruction = Instruction(step.instruction, '', step.object)
    end = step.reference_motion(cell).poses[-1]
    start = float(cell.data.joint(step.body).qpos[0])
    value = joint_value(cell, step.body, end)
    checker = GoalChecker()

    def look(share):
        cell.data.joint(step.body).qpos[0] = start + share * (value - start)
        after = cell.observe()
        find = lambda phrase: source.segment(after, phrase, cancelled=never)  # noqa: E731
        check = checker.measure(instruction, before, mask, flow, after, find)
        checker.judge(instruction, check)
        return check

    assert look(1.0).error_metres < 0.02
    with pytest.raises(GoalNotReachedError):
        look(0.4)
    with pytest.raises(GoalNotReachedError):
        look(0.0)
