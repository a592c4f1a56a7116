# SPDX-License-Identifier: Apache-2.0
"""Motions that words mean in a scene without a task: place, lift, push, turn upright.

Where things may go is known from the simulator: circles about their footprints, the workspace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import NoFreePlaceError, TaskNotSupportedError
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks.motions import along_corners, carry_motion
from flow_manip_mujoco.tasks.placement import lowest_point
from flow_manip_mujoco.tasks.putting import LET_GO, put_motion
from flow_manip_mujoco.tasks.task import ReferenceMotion
from flow_manip_mujoco.tasks.words import TABLE

LIFT = 0.15  # [m]
PUSH = (0.14, 0.10, 0.07, 0.05)  # [m] the first that is free
GAPS = (0.03, 0.05, 0.08, 0.11)  # [m] between neighbours
_FANS = (0.0, 0.3, -0.3, 0.6, -0.6)  # [rad] off the wished direction
_MARGIN = 0.01  # [m] between footprints
_SIDES = {'left_of': 'left', 'right_of': 'right', 'behind': 'away', 'in_front_of': 'towards'}


def place_motion(
    cell: SimulatedCell, name: str, relation: str, references: Sequence[str]
) -> ReferenceMotion:
    """Carry an object on, in, beside or between others.

    Raises:
        TaskNotSupportedError: the others do not receive it.
        NoFreePlaceError: no place there is free.
    """
    specs = {spec.name: spec for spec in cell.objects}
    if relation in ('on', 'in') and references[0] in specs:
        target = specs[references[0]]
        if relation == 'in' and not target.container:
            raise TaskNotSupportedError(f"nothing goes into '{target.name}'")
        if references[0] == name:
            raise TaskNotSupportedError(f"'{name}' cannot be put {relation} itself")
        return put_motion(cell, name, target.name, relation)
    if relation in ('on', 'in') and references[0] != TABLE:
        raise TaskNotSupportedError(f"no motion puts a thing {relation} '{references[0]}'")
    goal = _standing(
        cell, name, _free_place(cell, name, _places(cell, name, relation, references))
    )
    return carry_motion(cell, name, goal)


def lift_motion(cell: SimulatedCell, name: str) -> ReferenceMotion:
    """Lift an object straight up."""
    start = cell.object_pose(name)
    corners = np.array([start[:3, 3], start[:3, 3] + [0.0, 0.0, LIFT]])
    turn = start[:3, :3]
    return along_corners(corners, turn, turn, turning=(0, 1))


def push_motion(
    cell: SimulatedCell, name: str, direction: str, reference: str | None = None
) -> ReferenceMotion:
    """Slide an object over the table: left, right, away, towards, aside, or from or to another.

    Raises:
        NoFreePlaceError: it would meet something in every such direction.
    """
    start = cell.object_pose(name)
    if reference is not None and reference != TABLE:
        way = start[:2, 3] - cell.body_pose(reference)[:2, 3]
        heads = [_unit(way if direction == 'away' else -way)]
    else:
        named = _headings(cell)
        heads = [named['left'], named['right']] if direction == 'aside' else [named[direction]]
    options = (
        start[:2, 3] + length * (rotation_about([0, 0, 1], fan)[:2, :2] @ head)
        for length in PUSH
        for fan in _FANS
        for head in heads
    )
    goal = start.copy()
    goal[:2, 3] = _free_place(cell, name, options, way_from=start[:2, 3])
    corners = np.array([start[:3, 3], goal[:3, 3]])
    return along_corners(corners, start[:3, :3], goal[:3, :3], turning=(0, 1))


def upright_motion(cell: SimulatedCell, name: str) -> ReferenceMotion:
    """Stand an object on its base where it lies, by the smallest turn."""
    start = cell.object_pose(name)
    z, up = start[:3, 2], np.array([0.0, 0.0, 1.0])
    axis, angle = np.cross(z, up), float(np.arccos(np.clip(z @ up, -1.0, 1.0)))
    if np.linalg.norm(axis) < 1e-6:
        axis = start[:3, 0]
    place = [*start[:2, 3], cell.context.rig.support_height + LET_GO]
    goal = make_transform(np.array(place), rotation_about(_unit(axis), angle) @ start[:3, :3])
    return carry_motion(cell, name, goal)


def _places(
    cell: SimulatedCell, name: str, relation: str, references: Sequence[str]
) -> Iterator[NDArray[np.float64]]:
    """Give (2,) places in the world that fit the relation, the best first [m]."""
    named = _headings(cell)
    if relation == 'between':
        a, b = (cell.body_pose(r)[:2, 3] for r in references)
        across = np.array([-(b - a)[1], (b - a)[0]])
        yield from ((a + b) / 2 + share * across for share in (0.0, 0.1, -0.1, 0.2, -0.2))
        return
    if relation in ('on', 'in'):  # the table
        start = cell.object_pose(name)[:2, 3]
        heads, origin, reach = list(named.values()), start, 0.05
    else:
        heads = [named[_SIDES[relation]]] if relation in _SIDES else list(named.values())
        origin = cell.body_pose(references[0])[:2, 3]
        reach = _radius(cell, name) + _radius(cell, references[0])
    for gap in GAPS:
        for fan in _FANS:
            for head in heads:
                yield origin + (reach + gap) * (rotation_about([0, 0, 1], fan)[:2, :2] @ head)


def _free_place(
    cell: SimulatedCell,
    name: str,
    options: Iterator[NDArray[np.float64]],
    way_from: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the first (2,) place that is free, with the straight way to it if that matters."""
    workspace, own = cell.context.rig.workspace, _radius(cell, name)
    roots = (f.name for f in cell.fixtures)
    others = [
        (cell.body_pose(other)[:2, 3], _radius(cell, other) + own + _MARGIN)
        for other in (*roots, *(s.name for s in cell.objects))
        if other != name
    ]
    tried = 0
    for place in options:
        tried += 1
        inside = workspace.contains(
            np.array([*place, (workspace.lower[2] + workspace.upper[2]) / 2])
        )
        shares = (1.0,) if way_from is None else (0.25, 0.5, 0.75, 1.0)
        points = [place if way_from is None else way_from + s * (place - way_from) for s in shares]
        free = all(np.linalg.norm(p - at) > gap for p in points for at, gap in others)
        if inside and free:
            return place
    raise NoFreePlaceError(f"none of {tried} places for '{name}' is free")


def _standing(cell: SimulatedCell, name: str, place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (4, 4) pose of an object, turned as it is, that just stands on the table."""
    goal = cell.object_pose(name)
    goal[:2, 3] = place
    goal[2, 3] += cell.context.rig.support_height + LET_GO - lowest_point(cell, name)
    return goal


def _headings(cell: SimulatedCell) -> dict[str, NDArray[np.float64]]:
    """Return what left, right, away and towards are on the table as the camera sees it: (2,)."""
    pose = cell.T_world_camera
    right, away = _unit(pose[:2, 0]), _unit(pose[:2, 2])
    return {'left': -right, 'right': right, 'away': away, 'towards': -away}


def _radius(cell: SimulatedCell, name: str) -> float:
    """Return the radius of the circle that holds a thing seen from above [m]."""
    for fixture in cell.fixtures:
        if name == fixture.name or name.startswith(f'{fixture.name}_'):
            return 0.5 * float(np.hypot(*fixture.size[:2]))
    return cell.spec(name).footprint_radius


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
