# SPDX-License-Identifier: Apache-2.0
"""What can be done in a scene: the task's step, and everything that free motions allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from flow_manip_learning.simulated.objects import fits_in, fits_on
from flow_manip_learning.simulated.scenes import SetTable
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.objects import ObjectSpec
from flow_manip_mujoco.tasks import free_motions, ReferenceMotion
from flow_manip_mujoco.tasks.motions import joint_motion
from flow_manip_mujoco.tasks.placement import lowest_point
from flow_manip_mujoco.tasks.words import TABLE

_STEPS: dict[str, tuple[tuple[str, str, str], ...]] = {
    'hang_mug': (('hang', 'on', 'mug tree'),),
    'hang_cup': (('hang', 'on', 'rack'),),
    'insert_block': (('insert', 'in', 'board'),),
    'insert_pen': (('insert', 'in', 'pen holder'),),
    'cup_on_saucer': (('put', 'on', 'saucer'),),
    'bread_in_bowl': (('put', 'in', 'bowl'),),
    'corn_in_bowl': (('put', 'in', 'bowl'),),
    'water_plant': (('pour', 'on', 'plant'),),
    'pour_tea': (('pour', 'in', 'cup'),),
    'open_drawer': (('open', 'slide', ''),),
    'open_top_drawer': (('open', 'slide', ''),),
    'open_oven': (('open', 'hinge', ''),),
    'close_cabinet': (('close', 'hinge', ''),),
    'put_screwdriver_in_toolbox': (('open', 'hinge', ''), ('put', 'in', 'toolbox')),
}
"""Action, relation and the noun that is referred to, of every step of every task."""

_OPEN_SHARE = 0.8  # of a joint's range
_OPEN_DRAWER = 0.13  # [m] as the tasks do
_AJAR = 0.35  # share of the range from which on a part is to be shut
_SIDES = ('next_to', 'left_of', 'right_of', 'behind', 'in_front_of')
_PUSHES = ('left', 'right', 'away', 'towards', 'aside')
_RAISED = 0.004  # [m] over the table: on or in something
_FLAT = 0.5  # z of an upright thing's axis under which it lies


@dataclass(frozen=True)
class Deed:
    """One motion of one thing, not yet in words.

    Attributes:
        action: first half of a key of `phrases.DEEDS`.
        relation: second half.
        bodies: what moves, then what the words refer to.
        motion: of the first.
        said: the task's own words; '' for none.
    """

    action: str
    relation: str
    bodies: tuple[str, ...]
    motion: Callable[[SimulatedCell], ReferenceMotion]
    said: str = ''

    @property
    def key(self) -> tuple[str, str]:
        """Of `phrases.DEEDS`."""
        return self.action, self.relation


def task_deed(cell: SimulatedCell, table: SetTable) -> Deed | None:
    """Return the step of the task that comes next; None where it is done already."""
    if table.trial is None:
        return None
    step = table.trial.steps[table.step]
    action, relation, noun = _STEPS[table.task][table.step]
    joints = cell.fixture_joints()
    if step.body in joints:
        is_open = _share(cell, step.body) > _AJAR
        if is_open != (action == 'close'):
            return None
    bodies = (step.body,) if not noun else (step.body, _called(cell, noun))
    return Deed(action, relation, bodies, step.reference_motion, step.instruction)


def draw_free_deeds(cell: SimulatedCell, rng: np.random.Generator) -> Iterator[Deed]:
    """Give things that could be done, in random order, every kind of deed as often as others.

    Their motions may turn out to be impossible: those raise when they are asked for.
    """
    kinds = [_puts_on, _puts_in, _puts_beside, _puts_between, _puts_down]
    kinds += [_lifts, _pushes, _rights, _joints]
    options = [list(kind(cell)) for kind in kinds]
    while any(options):
        filled = [deeds for deeds in options if deeds]
        deeds = filled[int(rng.integers(len(filled)))]
        yield deeds.pop(int(rng.integers(len(deeds))))


def _upright(cell: SimulatedCell, spec: ObjectSpec) -> bool:
    return bool(cell.object_pose(spec.name)[2, 2] > 0.95)


def _is_over(cell: SimulatedCell, item: ObjectSpec, target: ObjectSpec) -> bool:
    """Say whether an object is on or in another already, or over it."""
    a, b = cell.object_pose(item.name)[:2, 3], cell.object_pose(target.name)[:2, 3]
    return float(np.linalg.norm(a - b)) < target.footprint_radius


def _movable(cell: SimulatedCell) -> list[ObjectSpec]:
    return [spec for spec in cell.objects if spec.graspable]


def _put(action: str, relation: str, *bodies: str) -> Deed:
    motion = partial(
        free_motions.place_motion, name=bodies[0], relation=relation, references=bodies[1:]
    )
    return Deed(action, relation, bodies, motion)


def _puts_on(cell: SimulatedCell) -> Iterator[Deed]:
    for item in _movable(cell):
        for target in cell.objects:
            stands = _upright(cell, item) and _upright(cell, target)
            if fits_on(item, target) and stands and not _is_over(cell, item, target):
                yield _put('put', 'on', item.name, target.name)


def _puts_in(cell: SimulatedCell) -> Iterator[Deed]:
    for item in _movable(cell):
        for target in cell.objects:
            stands = _upright(cell, target) and not _is_over(cell, item, target)
            if fits_in(item, target) and stands:
                yield _put('put', 'in', item.name, target.name)


def _puts_beside(cell: SimulatedCell) -> Iterator[Deed]:
    for item in _movable(cell):
        for other in cell.objects:
            if other.name != item.name:
                for side in _SIDES:
                    yield _put('put', side, item.name, other.name)


def _puts_between(cell: SimulatedCell) -> Iterator[Deed]:
    for item in _movable(cell):
        others = [spec.name for spec in cell.objects if spec.name != item.name]
        for number, first in enumerate(others):
            for second in others[number + 1 :]:
                yield _put('put', 'between', item.name, first, second)


def _puts_down(cell: SimulatedCell) -> Iterator[Deed]:
    table = cell.context.rig.support_height
    for item in _movable(cell):
        if lowest_point(cell, item.name) > table + _RAISED:
            motion = partial(
                free_motions.place_motion, name=item.name, relation='on', references=(TABLE,)
            )
            yield Deed('put', 'down', (item.name,), motion)


def _lifts(cell: SimulatedCell) -> Iterator[Deed]:
    for spec in _movable(cell):
        yield Deed('lift', '', (spec.name,), partial(free_motions.lift_motion, name=spec.name))


def _pushes(cell: SimulatedCell) -> Iterator[Deed]:
    for spec in cell.objects:
        for way in _PUSHES:
            motion = partial(free_motions.push_motion, name=spec.name, direction=way)
            yield Deed('push', way, (spec.name,), motion)
        for other in cell.objects:
            if other.name == spec.name:
                continue
            for way, relation in (('away', 'away_from'), ('towards', 'towards_to')):
                motion = partial(
                    free_motions.push_motion, name=spec.name, direction=way, reference=other.name
                )
                yield Deed('push', relation, (spec.name, other.name), motion)


def _rights(cell: SimulatedCell) -> Iterator[Deed]:
    for spec in _movable(cell):
        if cell.object_pose(spec.name)[2, 2] < _FLAT:
            motion = partial(free_motions.upright_motion, name=spec.name)
            yield Deed('turn_upright', '', (spec.name,), motion)


def _joints(cell: SimulatedCell) -> Iterator[Deed]:
    for fixture in cell.fixtures:
        for part in fixture.moving:
            body, (low, high) = fixture.body_name(part.name), part.joint.range
            if _share(cell, body) > _AJAR:
                value, action = low, 'close'
            elif part.joint.kind == 'slide':
                value, action = min(high, low + _OPEN_DRAWER), 'open'
            else:
                value, action = low + _OPEN_SHARE * (high - low), 'open'
            motion = partial(joint_motion, body=body, value=value)
            yield Deed(action, part.joint.kind, (body,), motion)


def _share(cell: SimulatedCell, body: str) -> float:
    """Return how far a joint is open, 0..1."""
    for fixture in cell.fixtures:
        for part in fixture.moving:
            if fixture.body_name(part.name) == body:
                low, high = part.joint.range
                return (cell.fixture_joints()[body] - low) / (high - low)
    return 0.0


def _called(cell: SimulatedCell, noun: str) -> str:
    """Return the body of the one fixture or object of a noun."""
    names = [f.name for f in cell.fixtures if f.noun == noun]
    names += [spec.name for spec in cell.objects if spec.noun == noun]
    return names[0]
