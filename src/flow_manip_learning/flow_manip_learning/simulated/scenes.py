# SPDX-License-Identifier: Apache-2.0
"""Sets the table: a trial of a task, or a free scene; and says what the things are called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow_manip_core.errors import ConfigurationError
from flow_manip_core.transforms import quaternion_from_transform, rotation_about
from flow_manip_learning.simulated.config import FIRST_TRAIN_SEED
from flow_manip_learning.simulated.objects import (
    draw_object,
    fits_in,
    fits_on,
    HELD_OUT_KINDS,
    KINDS,
)
from flow_manip_learning.simulated.phrases import NOUNS
from flow_manip_learning.simulated.phrasing import Thing
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.fixtures import FixtureBody, FixtureSpec
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.tasks import TASKS, TaskTrial
from flow_manip_mujoco.tasks.putting import put_motion

_LAST_SEED = 2**31
_OBJECTS = 3, 7  # least and most in a free scene
_RIVAL = 0.4  # share of the free scenes with two things of one kind
_LYING = 0.35  # share of the free scenes in which something lies that should stand
_STACKED = 0.3  # share of the free scenes in which something is on or in something else
_AJAR = 0.35  # share of the furniture that is not as its task begins
_TIPPED = ('can', 'bottle', 'box')
_FALL = 1.2  # [s] that what was tipped may roll
_SETTLE = 0.6  # [s] that what was stacked may come to rest
_TRIES = 8
_DRAWERS = {
    1: ('drawer',),
    2: ('top drawer', 'bottom drawer'),
    3: ('top drawer', 'middle drawer', 'bottom drawer'),
}


@dataclass(frozen=True)
class SetTable:
    """A scene, as it stands in the cell.

    Attributes:
        task: name of the task; 'free' for none.
        trial: of the task.
        step: number of the trial's step that comes next.
        seed: that the cell was reset with.
    """

    task: str
    trial: TaskTrial | None
    step: int
    seed: int


def draw_seed(rng: np.random.Generator, split: str) -> int:
    """Draw the seed of a scene: those under `FIRST_TRAIN_SEED` are for tests only."""
    low, high = (FIRST_TRAIN_SEED, _LAST_SEED) if split == 'train' else (0, FIRST_TRAIN_SEED)
    return int(rng.integers(low, high))


def set_task(cell: SimulatedCell, name: str, seed: int, rng: np.random.Generator) -> SetTable:
    """Set the table for a trial of a task, some of its furniture ajar, or its first steps done."""
    trial = TASKS[name].make_trial(seed)
    trial.reset(cell)
    step = int(rng.integers(len(trial.steps)))
    for done in trial.steps[:step]:
        _finish(cell, done.body, done.reference_motion(cell).poses[-1])
    if len(trial.steps) == 1 and cell.fixture_joints() and rng.random() < _AJAR:
        for body in cell.fixture_joints():
            low, high = _range(cell, body)
            share = rng.uniform(0.5, 0.95) if rng.random() < 0.5 else 0.0
            cell.data.joint(body).qpos[0] = low + share * (high - low)
    return SetTable(name, trial, step, seed)


def set_free(
    cell: SimulatedCell, seed: int, rng: np.random.Generator, *, held_out: bool = False
) -> SetTable:
    """Set the table with a few things of different kinds, sizes and headings.

    Args:
        cell: the cell.
        seed: to reset with.
        rng: of everything that the seed does not decide.
        held_out: one to two things of a kind that training never sees are among them.

    Raises:
        ConfigurationError: no drawing had room for its things.
    """
    for attempt in range(_TRIES):
        nouns = _draw_nouns(rng, held_out)
        specs = tuple(draw_object(noun, number, rng) for number, noun in enumerate(nouns))
        try:
            cell.reset(seed, Scene(specs))
            break
        except ConfigurationError:
            if attempt == _TRIES - 1:
                raise
    if rng.random() < _STACKED:
        _stack(cell, rng)
    if rng.random() < _LYING:
        _tip_over(cell, rng)
    return SetTable('free', None, 0, seed)


def things_on(cell: SimulatedCell, colours: dict[str, str]) -> list[Thing]:
    """Return what words may mean: objects with their colours, fixtures and their moving parts."""
    things = [Thing(spec.name, spec.noun, colours.get(spec.name, '')) for spec in cell.objects]
    for fixture in cell.fixtures:
        if fixture.noun in NOUNS:
            things.append(Thing(fixture.name, fixture.noun))
        drawers = [b.name for b in fixture.moving if b.name.startswith('drawer')]
        for body in fixture.moving:
            things.append(
                Thing(
                    fixture.body_name(body.name),
                    _part_noun(fixture, body.name, drawers),
                    whole=fixture.name,
                )
            )
    return things


def _part_noun(fixture: FixtureSpec, part: str, drawers: list[str]) -> str:
    """Return the key of `NOUNS` of a moving part."""
    if part in drawers:
        return _DRAWERS[len(drawers)][drawers.index(part)]
    return f'{fixture.noun} {part}'


def _draw_nouns(rng: np.random.Generator, held_out: bool) -> list[str]:
    count = int(rng.integers(_OBJECTS[0], _OBJECTS[1] + 1))
    kinds = sorted(KINDS)
    wide = [noun for noun in kinds if KINDS[noun].footprint_radius > 0.07]
    nouns = [kinds[i] for i in rng.permutation(len(kinds))[:count]]
    # At most two of what takes a lot of room.
    for noun in [n for n in nouns if n in wide][2:]:
        nouns.remove(noun)
    if held_out:
        new = sorted(HELD_OUT_KINDS)
        some = [new[i] for i in rng.permutation(len(new))[: int(rng.integers(1, 3))]]
        nouns[: len(some)] = some
    if rng.random() < _RIVAL:
        small = [noun for noun in nouns if noun not in wide]
        if small:
            nouns.append(small[int(rng.integers(len(small)))])
    return nouns


def _stack(cell: SimulatedCell, rng: np.random.Generator) -> None:
    """Put one thing on or in another, if any fits, and let it come to rest."""
    pairs = [
        (item.name, target.name, 'in' if target.container else 'on')
        for item in cell.objects
        for target in cell.objects
        if item.graspable and (fits_on(item, target) or fits_in(item, target))
    ]
    if not pairs:
        return
    name, target, relation = pairs[int(rng.integers(len(pairs)))]
    _finish(cell, name, put_motion(cell, name, target, relation).poses[-1])
    cell.step(round(_SETTLE / cell.timestep))


def _tip_over(cell: SimulatedCell, rng: np.random.Generator) -> None:
    """Lay down one tall thing, if there is one, and let it come to rest."""
    tall = [spec for spec in cell.objects if spec.category in _TIPPED or spec.noun == 'box']
    tall = [spec for spec in tall if spec.size[2] > 0.08]
    if not tall:
        return
    spec = tall[int(rng.integers(len(tall)))]
    pose = cell.object_pose(spec.name)
    heading = float(rng.uniform(-np.pi, np.pi))
    axis = np.array([np.cos(heading), np.sin(heading), 0.0])
    flat = spec.noun == 'box'
    if flat:
        # On one of its sides, never on an edge.
        axis = pose[:3, int(rng.integers(2))]
    pose[:3, :3] = rotation_about(axis, np.pi / 2) @ pose[:3, :3]
    reach = float(np.abs(pose[2, :2]) @ np.array(spec.size[:2]) / 2)
    middle = pose[:3, 2] * spec.size[2] / 2
    pose[:2, 3] -= middle[:2]
    pose[2, 3] = cell.context.rig.support_height + reach + 0.002
    quaternion = quaternion_from_transform(pose)[[3, 0, 1, 2]]
    cell.data.joint(spec.name).qpos[:] = [*pose[:3, 3], *quaternion]
    cell.data.joint(spec.name).qvel[:] = 0.0
    cell.step(round(_FALL / cell.timestep))


def _finish(cell: SimulatedCell, body: str, pose: np.ndarray) -> None:
    """Put a body where a step leaves it."""
    joint = cell.data.joint(body)
    if len(joint.qpos) == 7:
        joint.qpos[:] = [*pose[:3, 3], *quaternion_from_transform(pose)[[3, 0, 1, 2]]]
        return
    fixture, part = _part_of(cell, body)
    T = np.linalg.inv(cell.body_pose(fixture.name)) @ pose
    axis = np.array(part.joint.axis)
    if part.joint.kind == 'slide':
        joint.qpos[0] = float(T[:3, 3] @ axis)
        return
    skew = np.array([T[2, 1] - T[1, 2], T[0, 2] - T[2, 0], T[1, 0] - T[0, 1]]) / 2.0
    joint.qpos[0] = float(np.arctan2(skew @ axis, (np.trace(T[:3, :3]) - 1.0) / 2.0))


def _range(cell: SimulatedCell, body: str) -> tuple[float, float]:
    return _part_of(cell, body)[1].joint.range


def _part_of(cell: SimulatedCell, body: str) -> tuple[FixtureSpec, FixtureBody]:
    """Return the fixture and its part that has a joint."""
    for fixture in cell.fixtures:
        for part in fixture.moving:
            if fixture.body_name(part.name) == body:
                return fixture, part
    raise ConfigurationError(f"'{body}' has no joint")
