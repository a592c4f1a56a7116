# SPDX-License-Identifier: Apache-2.0
"""Put one thing on or in another: the motion, and the seeded put trials as a task."""

from __future__ import annotations

from functools import partial

import numpy as np

from flow_manip_core.transforms import transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks.motions import carry_motion
from flow_manip_mujoco.tasks.placement import is_in, is_on, lowest_point
from flow_manip_mujoco.tasks.task import ReferenceMotion, TaskSpec, TaskStep, TaskTrial
from flow_manip_mujoco.tasks.trials import make_put_trial, Trial

LET_GO = 0.005  # [m] over what it is put on
INTO = 0.03  # [m] below a container's rim


def make_put_task_trial(seed: int) -> TaskTrial:
    """Draw "put the <colour> <shape> on/in the <target>" among distractors."""
    trial = make_put_trial(seed)
    name = trial.object.replace('_', ' ')
    rests = is_in if trial.relation == 'in' else is_on
    motion = partial(put_motion, name=trial.object, target=trial.target, relation=trial.relation)
    step = TaskStep(trial.instruction, name, trial.object, motion)
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


def put_motion(cell: SimulatedCell, name: str, target: str, relation: str) -> ReferenceMotion:
    """Carry an object over everything and let it down onto or into another, never turned.

    What has fallen over is put down lying: its middle over the target's, its lowest point on it.

    Args:
        cell: the cell.
        name: of the object that moves.
        target: name of the object that receives it.
        relation: 'on' or 'in'.
    """
    spec, place = cell.spec(target), cell.object_pose(target)
    goal = cell.object_pose(name)
    middle = transform_points(goal, [0.0, 0.0, 0.5 * cell.spec(name).size[2]])
    height = (spec.floor or spec.size[2]) + LET_GO
    if relation == 'in':
        height = max(height, spec.size[2] - INTO)
    goal[:2, 3] += place[:2, 3] - middle[:2]
    goal[2, 3] += place[2, 3] + height - lowest_point(cell, name)
    return carry_motion(cell, name, goal)


def _is_over(trial: Trial, cell: SimulatedCell) -> bool:
    gap = cell.object_pose(trial.object) - cell.object_pose(trial.target)
    return float(np.hypot(*gap[:2, 3])) < cell.spec(trial.target).footprint_radius


PUT_TASK = TaskSpec(
    name='put',
    phrasings=(
        'put the <colour> <shape> on the <target>',
        'put the <colour> <shape> in the <target>',
    ),
    articulated=False,
    make_trial=make_put_task_trial,
)
