# SPDX-License-Identifier: Apache-2.0
"""What all rigid tasks share: words, places and distractors of a seed, stages, pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.layout import Footing
from flow_manip_mujoco.objects import CATALOGUE, COLOURS, ObjectSpec
from flow_manip_mujoco.tasks.placement import is_released
from flow_manip_mujoco.tasks.task import Predicate, ReferenceMotion

Vector3 = tuple[float, float, float]
Circle = tuple[tuple[float, float], float]  # middle and radius [m]

_DISTRACTORS = ('block', 'can', 'ball', 'bottle')
_TRIES = 200
_LIFTED = 0.03  # [m]
_DURATION = 4.0, 8.0  # [s] of a reference


@dataclass(frozen=True)
class Area:
    """Where something may stand.

    Attributes:
        x: from and to [m].
        y: from and to, away from the middle line, on the drawn side [m].
        yaw: from and to [rad]; mirrored with the side.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    yaw: tuple[float, float] = (-np.pi, np.pi)

    def draw(self, rng: np.random.Generator, side: float) -> Footing:
        """Draw a place on the left (`side` 1) or right (-1) of the robot."""
        x, y, yaw = (float(rng.uniform(*bounds)) for bounds in (self.x, self.y, self.yaw))
        return x, side * y, side * yaw


def draw_side(rng: np.random.Generator) -> float:
    """Return 1 or -1."""
    return 1.0 if rng.random() < 0.5 else -1.0


def draw_colour(rng: np.random.Generator, names: Sequence[str]) -> tuple[str, Vector3]:
    """Draw the word and the value of a colour."""
    name = names[int(rng.integers(len(names)))]
    return name, COLOURS[name]


def draw_phrase(rng: np.random.Generator, phrasings: Sequence[str], **words: str) -> str:
    """Draw one way to say it and fill in the `{words}`."""
    return phrasings[int(rng.integers(len(phrasings)))].format(**words)


def draw_distractors(
    rng: np.random.Generator, count: int, others: Sequence[ObjectSpec]
) -> tuple[ObjectSpec, ...]:
    """Draw small things of the catalogue whose colour or noun no other thing has."""
    colours = {spec.colour for spec in others}
    nouns = {spec.noun for spec in others}
    chosen: list[ObjectSpec] = []
    names = sorted(CATALOGUE)
    for index in rng.permutation(len(names)):
        spec = CATALOGUE[names[index]]
        fits = spec.category in _DISTRACTORS and spec.footprint_radius < 0.06
        if len(chosen) < count and fits and spec.colour not in colours and spec.noun not in nouns:
            chosen.append(spec)
            colours.add(spec.colour)
    return tuple(chosen)


def draw_apart(
    rng: np.random.Generator, specs: Sequence[ObjectSpec], taken: Sequence[Circle]
) -> dict[str, Footing]:
    """Draw places for distractors outside circles, and not before them as the camera sees it.

    Returns:
        places by name; those that there is no room for are left out.
    """
    circles, footings = list(taken), {}
    for spec in specs:
        for _ in range(_TRIES):
            x, y, yaw = Area((0.34, 0.68), (-0.30, 0.30)).draw(rng, 1.0)
            place, radius = np.array([x, y]), spec.footprint_radius
            # The camera looks down at 45 degrees from beyond the table: a thing covers what is
            # as far behind it as it is high.
            behind = place - [spec.size[2], 0.0]
            if all(
                _distance_to_segment(np.array(center), place, behind) > keep + radius + 0.03
                for center, keep in circles
            ):
                footings[spec.name] = (x, y, yaw)
                circles.append(((x, y), radius))
                break
    return footings


def _distance_to_segment(
    point: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> float:
    share = np.clip((point - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
    return float(np.linalg.norm(point - a - share * (b - a)))


def words_of(spec: ObjectSpec) -> str:
    """Return '<colour> <noun>'."""
    return f'{spec.colour} {spec.noun}'


def was_lifted(body: str, height: float = _LIFTED) -> Predicate:
    """Return whether an object has been `height` [m] above where it was at the start."""

    def lifted(cell: SimulatedCell) -> bool:
        _, poses = cell.trace(body)
        return bool(poses[:, 2, 3].max() >= cell.start_poses[body][2, 3] + height)

    return lifted


def paced(motion: ReferenceMotion) -> ReferenceMotion:
    """Stretch a motion's times so that it takes four to eight seconds."""
    duration = float(motion.times[-1])
    wanted = float(np.clip(duration, *_DURATION))
    return replace(motion, times=motion.times * (wanted / duration))


def is_still(cell: SimulatedCell, body: str, speed: float = 0.05) -> bool:
    """Say whether nothing of the robot touches an object and it moves slower than `speed`."""
    velocity: NDArray[np.float64] = cell.data.joint(body).qvel[:3]
    return is_released(cell, body) and float(np.linalg.norm(velocity)) < speed


def yaw_of(rotation: NDArray[np.float64]) -> float:
    """Return the heading of the x axis of a (3, 3) rotation [rad]."""
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))


def wrapped(angle: float) -> float:
    """Return the angle within a half turn of 0 [rad]."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
