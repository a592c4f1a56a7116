# SPDX-License-Identifier: Apache-2.0
"""The seeded put trials of `flow_manip trials` as a task with a reference motion."""

from __future__ import annotations

from functools import partial

import numpy as np

from flow_manip_core.transforms import transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.objects import object_spec
from flow_manip_mujoco.tasks import (
    is_in,
    is_on,
    make_put_trial,
    ReferenceMotion,
    TaskSpec,
    TaskStep,
    TaskTrial,
    Trial,
)
from flow_manip_mujoco.tasks.motions import carry_motion
from flow_manip_mujoco.tasks.placement import lowest_point

LET_GO = 0.005  # [m] over what it is put on
INTO = 0.03  # [m] below a container's rim


def make_put_task_trial(seed: int) -> TaskTrial:
    """Draw "put the <colour> <shape> on/in the <target>" among distractors."""
    trial = make_put_trial(seed)
    name = trial.object.replace('_', ' ')
    rests = is_in if trial.relation == 'in' else is_on
    step = TaskStep(trial.instruction, name, trial.object, partial(put_motion, trial))
    return TaskTrial(
        seed=trial.seed,
        instruction=trial.instruction,
        scene=trial.scene,
        steps=(step,),
        stages=(
            ('over the target', partial(_is_over, trial)),
            ('put down', lambda cell: rests(cell, trial.object, trial.target)),
        ),
    )


def put_motion(trial: Trial, cell: SimulatedCell) -> ReferenceMotion:
    """Carry the object over everything and let it down onto or into the target, never turned.

    What has fallen over is put down lying: its middle over the target's, its lowest point on it.
    """
    spec, target = object_spec(trial.target), cell.object_pose(trial.target)
    goal = cell.object_pose(trial.object)
    middle = transform_points(goal, [0.0, 0.0, 0.5 * object_spec(trial.object).size[2]])
    height = spec.floor + LET_GO
    if trial.relation == 'in':
        height = max(height, spec.size[2] - INTO)
    goal[:2, 3] += target[:2, 3] - middle[:2]
    goal[2, 3] += target[2, 3] + height - lowest_point(cell, trial.object)
    return carry_motion(cell, trial.object, goal)


def _is_over(trial: Trial, cell: SimulatedCell) -> bool:
    gap = cell.object_pose(trial.object) - cell.object_pose(trial.target)
    return float(np.hypot(*gap[:2, 3])) < object_spec(trial.target).footprint_radius


PUT_TASK = TaskSpec(
    name='put',
    phrasings=(
        'put the <colour> <shape> on the <target>',
        'put the <colour> <shape> in the <target>',
    ),
    articulated=False,
    make_trial=make_put_task_trial,
)
