# SPDX-License-Identifier: Apache-2.0
"""Open a drawer, the top drawer of a chest, an oven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.fixtures import FixtureSpec
from flow_manip_mujoco.fixtures.furniture import drawer_cabinet, oven
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.tasks.articulated.drawing import (
    bystanders,
    COLOURS,
    footing_with_grip_at,
    HANDLE_COLOURS,
    one_of,
    opening_stages,
    rng_of,
    sideways,
    two_colours,
)
from flow_manip_mujoco.tasks.motions import joint_motion
from flow_manip_mujoco.tasks.task import ReferenceMotion, TaskSpec, TaskStep, TaskTrial

DRAWER_GOAL = 0.13  # [m] the reference pulls a drawer this far
DRAWER_OPEN = 0.09  # [m] counts as open
OVEN_GOAL = float(np.radians(68.0))  # [rad]
OVEN_OPEN = float(np.radians(50.0))  # [rad] counts as open

_DRAWER_PHRASES = (
    'open the drawer',
    'pull the drawer open',
    'pull out the drawer',
    'slide the drawer open by its handle',
    'please open that drawer',
)
_TOP_DRAWER_PHRASES = (
    'open the top drawer',
    'pull the top drawer open',
    'open the uppermost drawer of the chest',
    'pull out the highest drawer',
    'slide open the upper drawer only',
)
_OVEN_PHRASES = (
    'open the oven',
    'open the oven door',
    'pull down the door of the oven',
    'fold the oven door down',
    'open the little oven by its handle',
)


@dataclass(frozen=True)
class _Opening:
    """Something to open.

    Attributes:
        fixture: it is a part of.
        part: its name there.
        words: for it.
        phrases: to draw the instruction from.
        goal: joint value at the end of the reference [rad or m].
        enough: joint value that counts as open [rad or m].
        start: joint value after the reset [rad or m].
        bystanders: least and largest number.
    """

    fixture: FixtureSpec
    part: str
    words: str
    phrases: tuple[str, ...]
    goal: float
    enough: float
    start: float = 0.0
    bystanders: tuple[int, int] = (1, 3)


def make_open_drawer_trial(seed: int) -> TaskTrial:
    """Draw a cabinet with one drawer, up to a fifth of the needed way open already."""
    rng = rng_of('open_drawer', seed)
    rgb, front = two_colours(rng)
    fixture = drawer_cabinet(
        'cabinet',
        1,
        rgb=rgb,
        front_rgb=front,
        handle_rgb=one_of(HANDLE_COLOURS, rng),
        front_height=float(rng.uniform(0.10, 0.15)),
    )
    start = float(rng.uniform(0.0, 0.2 * DRAWER_OPEN))
    opening = _Opening(
        fixture, 'drawer0', 'drawer', _DRAWER_PHRASES, DRAWER_GOAL, DRAWER_OPEN, start
    )
    return _opening_trial(seed, rng, opening)


def make_open_top_drawer_trial(seed: int) -> TaskTrial:
    """Draw a chest with two or three drawers, all shut; only the top one may be opened."""
    rng = rng_of('open_top_drawer', seed)
    rgb, front = two_colours(rng)
    count = int(rng.integers(2, 4))
    fixture = drawer_cabinet(
        'chest', count, rgb=rgb, front_rgb=front, handle_rgb=one_of(HANDLE_COLOURS, rng)
    )
    opening = _Opening(
        fixture, 'drawer0', 'top drawer', _TOP_DRAWER_PHRASES, DRAWER_GOAL, DRAWER_OPEN
    )
    return _opening_trial(seed, rng, opening)


def make_open_oven_trial(seed: int) -> TaskTrial:
    """Draw a table oven, its door shut."""
    rng = rng_of('open_oven', seed)
    fixture = oven('oven', rgb=one_of(COLOURS, rng), handle_rgb=one_of(HANDLE_COLOURS, rng))
    opening = _Opening(
        fixture, 'door', 'oven door', _OVEN_PHRASES, OVEN_GOAL, OVEN_OPEN, bystanders=(1, 2)
    )
    return _opening_trial(seed, rng, opening)


def _opening_trial(seed: int, rng: np.random.Generator, opening: _Opening) -> TaskTrial:
    """Place a fixture sideways with its bystanders; the only step opens the part."""
    fixture = opening.fixture
    body, instruction = fixture.body_name(opening.part), one_of(opening.phrases, rng)
    _, place, yaw = sideways(rng, x=(0.42, 0.51), y=(0.12, 0.18), yaw=(56.0, 78.0))
    scene = Scene(
        bystanders(rng, opening.bystanders),
        0,
        {fixture.name: footing_with_grip_at(fixture, opening.part, place, yaw)},
        (fixture,),
        {body: opening.start},
    )
    step = TaskStep(instruction, opening.words, body, _opening(body, opening.goal))
    stages = opening_stages(body, opening.enough, opening.start)
    return TaskTrial(seed, instruction, scene, (step,), stages)


def _opening(body: str, goal: float) -> Callable[[SimulatedCell], ReferenceMotion]:
    """Return the reference that opens `body`, never shutting what is open further."""
    return lambda cell: joint_motion(cell, body, max(goal, cell.fixture_joints()[body] + 0.01))


OPEN_DRAWER = TaskSpec('open_drawer', _DRAWER_PHRASES, True, make_open_drawer_trial, 'NovaFlow')
OPEN_TOP_DRAWER = TaskSpec(
    'open_top_drawer', _TOP_DRAWER_PHRASES, True, make_open_top_drawer_trial, '3DFlowAction'
)
OPEN_OVEN = TaskSpec('open_oven', _OVEN_PHRASES, True, make_open_oven_trial, 'Dream2Flow')
