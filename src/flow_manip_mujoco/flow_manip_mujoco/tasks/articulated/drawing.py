# SPDX-License-Identifier: Apache-2.0
"""What the tasks with furniture draw from their seed: colours, places, bystanders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
import zlib

import numpy as np

from flow_manip_core.transforms import rotation_about
from flow_manip_mujoco.fixtures import FixtureSpec
from flow_manip_mujoco.fixtures.parts import METAL, STEEL
from flow_manip_mujoco.fixtures.spec import Vector3
from flow_manip_mujoco.layout import Footing
from flow_manip_mujoco.objects import CATALOGUE
from flow_manip_mujoco.tasks.conditions import (
    all_of,
    joint_at_least,
    others_left_alone,
    touched,
)
from flow_manip_mujoco.tasks.task import Predicate

COLOURS: tuple[Vector3, ...] = (
    (0.90, 0.90, 0.88),
    (0.30, 0.42, 0.58),
    (0.36, 0.47, 0.38),
    (0.62, 0.22, 0.18),
    (0.45, 0.47, 0.50),
    (0.38, 0.25, 0.16),
    (0.80, 0.66, 0.28),
)
HANDLE_COLOURS: tuple[Vector3, ...] = (METAL, STEEL)
Choice = TypeVar('Choice')

_BYSTANDERS = ('block', 'can', 'ball', 'bottle', 'mug')


def rng_of(task: str, seed: int) -> np.random.Generator:
    """Return the generator of a trial: same task and seed, same trial."""
    return np.random.default_rng([seed, zlib.crc32(task.encode())])


def two_colours(rng: np.random.Generator) -> tuple[Vector3, Vector3]:
    """Draw two different colours."""
    first, second = rng.choice(len(COLOURS), size=2, replace=False)
    return COLOURS[first], COLOURS[second]


def one_of(choices: Sequence[Choice], rng: np.random.Generator) -> Choice:
    """Draw one of the choices."""
    return choices[int(rng.integers(len(choices)))]


def footing_with_grip_at(
    spec: FixtureSpec, body: str, place: tuple[float, float], yaw: float
) -> Footing:
    """Return where a fixture stands whose closed `body` has its grip over `place`.

    Args:
        spec: of the fixture.
        body: one of its moving parts.
        place: (x, y) in the world [m].
        yaw: of the fixture, that is of the direction it looks in [rad].
    """
    turn = rotation_about([0.0, 0.0, 1.0], yaw)
    origin = np.array([*place, 0.0]) - turn @ np.array(spec.body(body).grip)
    return float(origin[0]), float(origin[1]), float(yaw)


def sideways(
    rng: np.random.Generator,
    *,
    x: tuple[float, float],
    y: tuple[float, float],
    yaw: tuple[float, float],
) -> tuple[int, tuple[float, float], float]:
    """Draw a place at one side of the table for something that looks across it and at the camera.

    The robot faces the camera: what looks at the robot shows the camera its back, what looks at
    the camera must be opened from behind. In between, hand and camera both come to the front.

    Args:
        rng: of the trial.
        x: least and largest x of the handle in the world [m].
        y: the same of its distance from the middle of the table [m].
        yaw: least and largest angle between the camera's side (+x) and the front [degrees].

    Returns:
        side: +1 stands on the left of the robot and looks to its right, -1 the reverse.
        place: (x, y) of the handle [m].
        yaw: direction of the front [rad].
    """
    side = int(rng.choice([-1, 1]))
    place = float(rng.uniform(*x)), side * float(rng.uniform(*y))
    return side, place, -side * float(np.radians(rng.uniform(*yaw)))


def bystanders(rng: np.random.Generator, count: tuple[int, int] = (1, 3)) -> tuple[str, ...]:
    """Draw between `count` small things that have nothing to do with the task."""
    names = [
        name
        for name in sorted(CATALOGUE)
        if CATALOGUE[name].category in _BYSTANDERS and CATALOGUE[name].footprint_radius < 0.055
    ]
    chosen = rng.choice(len(names), size=int(rng.integers(count[0], count[1] + 1)), replace=False)
    return tuple(names[i] for i in chosen)


def opening_stages(
    body: str, enough: float, start: float = 0.0
) -> tuple[tuple[str, Predicate], ...]:
    """Return the stages of opening: touched, moved, half of the way, open with the rest in place.

    Args:
        body: of the fixture that moves.
        enough: joint value that counts as open [rad or m].
        start: joint value after the reset [rad or m].
    """
    way = enough - start
    return (
        ('touched', touched(body)),
        ('moved', joint_at_least(body, start + 0.15 * way)),
        ('half open', joint_at_least(body, start + 0.5 * way)),
        ('open', all_of(joint_at_least(body, enough), others_left_alone(body))),
    )
