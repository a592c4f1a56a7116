# SPDX-License-Identifier: Apache-2.0
"""Relations between objects as the simulator knows them, from contacts and poses."""

from __future__ import annotations

import mujoco
import numpy as np

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.objects import ObjectSpec

REST_SPEED = 0.02  # [m/s]
REST_TURN = 0.3  # [rad/s]
_TABLE = 'table'


def touching(cell: SimulatedCell, name: str) -> set[str]:
    """Return what presses on an object now: objects, 'table', 'floor', links of the robot."""
    model, state = cell.model, cell.forward()
    body = model.body(name).id
    found = set()
    for contact in range(state.ncon):
        geoms = state.contact.geom[contact]
        bodies = model.geom_bodyid[geoms]
        if body in bodies and _force(model, state, contact) > 1e-4:
            other = geoms[1] if bodies[0] == body else geoms[0]
            owner = model.body(model.geom_bodyid[other]).name
            found.add(model.geom(other).name if owner == 'room' else owner)
    return found


def is_released(cell: SimulatedCell, name: str) -> bool:
    """Say whether no part of the robot touches the object."""
    return not any(other.startswith('panda_') for other in touching(cell, name))


def is_at_rest(cell: SimulatedCell, name: str) -> bool:
    """Say whether the object stands still."""
    velocity = cell.data.joint(name).qvel
    return bool(
        np.linalg.norm(velocity[:3]) < REST_SPEED and np.linalg.norm(velocity[3:]) < REST_TURN
    )


def is_on(cell: SimulatedCell, name: str, support: str) -> bool:
    """Say whether an object rests on another (or on 'table'), let go of.

    On means: the support carries it directly, its middle is within the support's footprint and
    above its floor.
    """
    if not _is_left_alone(cell, name) or support not in touching(cell, name):
        return False
    if support == _TABLE:
        return True
    if _TABLE in touching(cell, name):
        return False
    spec, centre = cell.spec(support), _centre_in(cell, name, support)
    return _within_outline(spec, centre) and bool(centre[2] > spec.floor)


def is_in(cell: SimulatedCell, name: str, container: str) -> bool:
    """Say whether an object lies in a container, let go of and at rest.

    The object may lean on the container's wall or on things that lie in it, not on the table
    outside.

    Raises:
        InvalidInputError: `container` holds nothing by its shape.
    """
    spec = cell.spec(container)
    if not spec.container:
        raise InvalidInputError(f"'{container}' is not a container")
    if not _is_left_alone(cell, name) or _TABLE in touching(cell, name):
        return False
    if container not in _carriers(cell, name):
        return False
    centre = _centre_in(cell, name, container)
    upright = cell.object_pose(container)[2, 2] > 0.9
    # Its lowest point, not its middle, must be below the rim: tall things look out of a bowl.
    lowest = lowest_point(cell, name) - cell.object_pose(container)[2, 3]
    return upright and _within_outline(spec, centre) and lowest < 0.75 * spec.size[2]


def is_next_to(
    cell: SimulatedCell, name: str, reference: str, *, gap: tuple[float, float] = (0.0, 0.12)
) -> bool:
    """Say whether an object stands on the table beside another.

    Args:
        cell: the cell.
        name: of the object.
        reference: name of the other.
        gap: least and largest distance between their outlines [m].
    """
    if not is_on(cell, name, _TABLE):
        return False
    a, b = cell.object_pose(name)[:2, 3], cell.object_pose(reference)[:2, 3]
    distance = float(np.linalg.norm(a - b))
    inner = min(cell.spec(name).size[:2]) / 2 + min(cell.spec(reference).size[:2]) / 2
    outer = cell.spec(name).footprint_radius + cell.spec(reference).footprint_radius
    return inner + gap[0] <= distance <= outer + gap[1]


def is_lifted(cell: SimulatedCell, name: str, height: float = 0.05) -> bool:
    """Say whether the robot holds an object, all of it at least `height` [m] above the table."""
    contacts = touching(cell, name)
    held = any(other.startswith('panda_') for other in contacts)
    return held and lowest_point(cell, name) - cell.context.rig.support_height >= height


def is_upright(cell: SimulatedCell, name: str, tolerance: float = 0.2) -> bool:
    """Say whether an object's own z axis points up within `tolerance` radians."""
    return bool(cell.object_pose(name)[2, 2] >= np.cos(tolerance))


def _is_left_alone(cell: SimulatedCell, name: str) -> bool:
    return is_at_rest(cell, name) and is_released(cell, name)


def _carriers(cell: SimulatedCell, name: str) -> set[str]:
    """Return everything the object rests on, directly or through other objects."""
    names = {spec.name for spec in cell.objects}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = touching(cell, waiting.pop()) & names - found - {name}
        found |= new
        waiting.extend(new)
    return found


def _centre_in(cell: SimulatedCell, name: str, reference: str) -> np.ndarray:
    """Return the (3,) middle of an object's body in the reference's frame."""
    middle = np.array([0.0, 0.0, cell.spec(name).size[2] / 2])
    middle_world = transform_points(cell.object_pose(name), middle)
    return transform_points(invert_transform(cell.object_pose(reference)), middle_world)


def _within_outline(spec: ObjectSpec, point: np.ndarray) -> bool:
    """Say whether a point of the object's frame is over its footprint."""
    if spec.category in ('block', 'basket'):
        return bool((np.abs(point[:2]) <= np.array(spec.size[:2]) / 2).all())
    return bool(np.hypot(*point[:2]) <= spec.inner_radius)


def lowest_point(cell: SimulatedCell, name: str) -> float:
    """Return the height of the lowest corner of the object's geoms [m], in the world."""
    model, state = cell.model, cell.forward()
    body = model.body(name).id
    lowest = np.inf
    for geom in range(model.ngeom):
        if model.geom_bodyid[geom] == body and model.geom_contype[geom]:
            # The box that MuJoCo keeps around each geom, in the geom's frame: centre and half
            # extents.
            centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
            rotation = state.geom_xmat[geom].reshape(3, 3)
            reach = np.abs(rotation[2]) @ half
            lowest = min(lowest, state.geom_xpos[geom, 2] + rotation[2] @ centre - reach)
    return float(lowest)


def _force(model: mujoco.MjModel, state: mujoco.MjData, contact: int) -> float:
    """Return a contact's normal force [N]."""
    wrench = np.zeros(6)
    mujoco.mj_contactForce(model, state, contact, wrench)
    return float(wrench[0])
