# SPDX-License-Identifier: Apache-2.0
"""Close a cabinet."""

from __future__ import annotations

import numpy as np

from flow_manip_mujoco.fixtures.furniture import door_cabinet
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.tasks.articulated.drawing import (
    bystanders,
    footing_with_grip_at,
    HANDLE_COLOURS,
    one_of,
    rng_of,
    sideways,
    two_colours,
)
from flow_manip_mujoco.tasks.conditions import (
    all_of,
    joint_at_most,
    others_left_alone,
    touched,
)
from flow_manip_mujoco.tasks.motions import joint_motion
from flow_manip_mujoco.tasks.task import TaskSpec, TaskStep, TaskTrial

CLOSED = 0.10  # [rad] a gap of 2.5 cm at the edge of the door counts as closed

_BODY = 'cabinet_door'
_PHRASES = (
    'close the cabinet',
    'close the cabinet door',
    'shut the cabinet',
    'swing the door of the cabinet shut',
    'the cabinet is open, please close it',
)


def make_close_cabinet_trial(seed: int) -> TaskTrial:
    """Draw a cabinet whose door stands 32 to 48 degrees open, its front turned to the camera."""
    rng = rng_of('close_cabinet', seed)
    side, place, yaw = sideways(rng, x=(0.34, 0.40), y=(0.12, 0.18), yaw=(72.0, 90.0))
    rgb, door = two_colours(rng)
    fixture = door_cabinet(
        'cabinet', rgb=rgb, door_rgb=door, handle_rgb=one_of(HANDLE_COLOURS, rng), hinge=side
    )
    start = float(np.radians(rng.uniform(32.0, 48.0)))
    scene = Scene(
        bystanders(rng),
        0,
        {'cabinet': footing_with_grip_at(fixture, 'door', place, yaw)},
        (fixture,),
        {_BODY: start},
    )
    instruction = one_of(_PHRASES, rng)
    step = TaskStep(
        instruction, 'cabinet door', _BODY, lambda cell: joint_motion(cell, _BODY, 0.0)
    )
    stages = (
        ('touched', touched(_BODY)),
        ('moved', joint_at_most(_BODY, 0.85 * start)),
        ('half closed', joint_at_most(_BODY, 0.5 * start)),
        ('closed', all_of(joint_at_most(_BODY, CLOSED), others_left_alone(_BODY))),
    )
    return TaskTrial(seed, instruction, scene, (step,), stages)


CLOSE_CABINET = TaskSpec('close_cabinet', _PHRASES, True, make_close_cabinet_trial, 'FloMo')
