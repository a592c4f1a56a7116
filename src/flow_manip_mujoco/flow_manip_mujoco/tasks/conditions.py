# SPDX-License-Identifier: Apache-2.0
"""What can be said of fixtures and of everything that should have been left alone."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks.placement import is_at_rest, is_released, touching

_MAX_TILT = 0.5  # [rad] more is knocked over
_MAX_SHIFT = 0.08  # [m] more is swept away
_MAX_JOINT = 0.25  # share of its range that another door or drawer may have moved

Predicate = Callable[[SimulatedCell], bool]


def joint_at_least(body: str, value: float) -> Predicate:
    """Return whether the joint of a fixture's part has reached `value` [rad or m]."""
    return lambda cell: cell.fixture_joints()[body] >= value


def joint_at_most(body: str, value: float) -> Predicate:
    """Return whether the joint of a fixture's part is down to `value` [rad or m]."""
    return lambda cell: cell.fixture_joints()[body] <= value


def touched(body: str) -> Predicate:
    """Return whether the robot touches an object or a part of a fixture."""
    return lambda cell: any(other.startswith('panda_') for other in touching(cell, body))


def all_of(*predicates: Predicate) -> Predicate:
    """Return whether all of these hold."""
    return lambda cell: all(predicate(cell) for predicate in predicates)


def others_left_alone(*moved: str) -> Predicate:
    """Return whether all but `moved` is as it was after the reset: `is_left_as_it_was`."""
    return lambda cell: is_left_as_it_was(cell, moved)


def is_left_as_it_was(cell: SimulatedCell, moved: Collection[str] = ()) -> bool:
    """Say whether nothing else was knocked over, swept away, opened or shut since the reset.

    Args:
        cell: the cell.
        moved: names of objects and parts of fixtures that are allowed to move.
    """
    for spec in cell.objects:
        if spec.name in moved:
            continue
        start, now = cell.start_poses[spec.name], cell.object_pose(spec.name)
        if np.linalg.norm(now[:3, 3] - start[:3, 3]) > _MAX_SHIFT:
            return False
        if not spec.rolls and start[:3, 2] @ now[:3, 2] < np.cos(_MAX_TILT):
            return False
    for fixture in cell.fixtures:
        for body in fixture.moving:
            name = fixture.body_name(body.name)
            low, high = body.joint.range
            change = cell.fixture_joints()[name] - cell.start_joints[name]
            if name not in moved and abs(change) > _MAX_JOINT * (high - low):
                return False
    return True


def lies_inside(cell: SimulatedCell, name: str, body: str) -> bool:
    """Say whether an object lies at rest in the space inside a part of a fixture, let go of.

    Raises:
        InvalidInputError: the part holds nothing by its shape.
    """
    interior = next(
        (b.interior for f in cell.fixtures for b in f.bodies if f.body_name(b.name) == body), None
    )
    if interior is None:
        raise InvalidInputError(f"'{body}' is no part of a fixture that things lie in")
    if not is_at_rest(cell, name) or not is_released(cell, name):
        return False
    center = transform_points(
        cell.object_pose(name), np.array([0, 0, cell.spec(name).size[2] / 2])
    )
    inside = transform_points(invert_transform(cell.body_pose(body)), center)
    lower, upper = np.array(interior)
    return bool((inside > lower).all() and (inside < upper).all())
