# SPDX-License-Identifier: Apache-2.0
"""Open the toolbox and put the screwdriver in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import make_transform, rotation_about, transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.fixtures.furniture import toolbox
from flow_manip_mujoco.layout import Footing, Scene
from flow_manip_mujoco.objects import COLOURS as WORDS
from flow_manip_mujoco.tasks.articulated.drawing import (
    bystanders,
    COLOURS,
    footing_with_grip_at,
    HANDLE_COLOURS,
    one_of,
    rng_of,
    sideways,
)
from flow_manip_mujoco.tasks.articulated.screwdriver import HANDLE_RADIUS, screwdriver
from flow_manip_mujoco.tasks.conditions import (
    all_of,
    joint_at_least,
    lies_inside,
    others_left_alone,
    touched,
)
from flow_manip_mujoco.tasks.motions import carry_motion, joint_motion
from flow_manip_mujoco.tasks.placement import is_lifted
from flow_manip_mujoco.tasks.task import ReferenceMotion, TaskSpec, TaskStep, TaskTrial

LID_GOAL = float(np.radians(100.0))  # [rad] the reference opens the lid past upright
LID_OPEN = float(np.radians(60.0))  # [rad] counts as open

_BOX, _LID = 'toolbox', 'toolbox_lid'
_FLOOR = 0.006 + 0.003  # [m] of the box, and how far above it the screwdriver is let go of
_FORWARD = 0.030  # [m] from the middle of the box to its front: away from the lid
_PHRASES = (
    'open the toolbox and put the screwdriver in',
    'open the toolbox, then put the screwdriver inside',
    'put the screwdriver into the toolbox; its lid must be opened first',
    'lift the lid of the toolbox and drop the screwdriver in',
    'store the screwdriver in the closed toolbox',
)


def make_toolbox_trial(seed: int) -> TaskTrial:
    """Draw a shut toolbox, a screwdriver on the other half of the table, and bystanders.

    The lid opens away from the middle of the table: beside the way of the arm, not across it.
    """
    rng = rng_of('put_screwdriver_in_toolbox', seed)
    box = toolbox(
        _BOX,
        rgb=(rgb := one_of(COLOURS, rng)),
        lid_rgb=tuple(0.85 * v for v in rgb),
        handle_rgb=one_of(HANDLE_COLOURS, rng),
    )
    colour = one_of(('red', 'yellow', 'blue', 'orange', 'green'), rng)
    tool = screwdriver(colour, WORDS[colour])
    side, place, yaw = sideways(rng, x=(0.47, 0.56), y=(0.02, 0.07), yaw=(55.0, 80.0))
    footings = {
        _BOX: footing_with_grip_at(box, 'lid', place, yaw),
        tool.name: _beside(rng, side),
    }
    scene = Scene((tool, *bystanders(rng, (0, 1))), 0, footings, (box,))
    steps = (
        TaskStep(
            'open the toolbox', 'toolbox lid', _LID, lambda c: joint_motion(c, _LID, LID_GOAL)
        ),
        TaskStep(
            'put the screwdriver in the toolbox', 'screwdriver', tool.name, _put_in(tool.name)
        ),
    )
    stages = (
        ('lid touched', touched(_LID)),
        ('lid open', joint_at_least(_LID, LID_OPEN)),
        ('screwdriver lifted', lambda cell: is_lifted(cell, tool.name)),
        (
            'screwdriver in the toolbox',
            all_of(
                lambda cell: lies_inside(cell, tool.name, _BOX), others_left_alone(_LID, tool.name)
            ),
        ),
    )
    return TaskTrial(seed, one_of(_PHRASES, rng), scene, steps, stages)


def _beside(rng: np.random.Generator, side: int) -> Footing:
    """Draw where the screwdriver lies: on the half of the table that the box leaves free."""
    x, y = rng.uniform(0.42, 0.56), -side * rng.uniform(0.16, 0.22)
    return float(x), float(y), float(rng.uniform(-np.pi, np.pi))


def _put_in(name: str) -> Callable[[SimulatedCell], ReferenceMotion]:
    """Return the reference that carries the screwdriver over the box and lets it down."""

    def reference(cell: SimulatedCell) -> ReferenceMotion:
        start = cell.object_pose(name)
        T_world_box = cell.body_pose(_BOX)
        goal = make_transform(
            transform_points(T_world_box, np.array([_FORWARD, 0.0, _FLOOR])),
            _nearer_along_box(T_world_box[:3, :3], start[:3, :3]),
        )
        # The handle is where the weight is.
        grip = transform_points(start, np.array([-0.045, 0.0, HANDLE_RADIUS]))
        return carry_motion(cell, name, goal, contact=grip)

    return reference


def _nearer_along_box(box: NDArray[np.float64], tool: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (3, 3) rotation along the box's length that needs the smaller turn."""
    choices = [box @ rotation_about([0.0, 0.0, 1.0], s * np.pi / 2) for s in (-1.0, 1.0)]
    return max(choices, key=lambda turn: float(turn[:, 0] @ tool[:, 0]))


PUT_SCREWDRIVER_IN_TOOLBOX = TaskSpec(
    'put_screwdriver_in_toolbox', _PHRASES, True, make_toolbox_trial, 'FloMo, with one arm'
)
