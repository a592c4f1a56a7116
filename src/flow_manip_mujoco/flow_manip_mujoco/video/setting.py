# SPDX-License-Identifier: Apache-2.0
"""Reads from a cell what a video is about: what moves how, on what joint, and what moves along."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import VideoFailedError
from flow_manip_core.transforms import transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.scene import HIDDEN_GROUP
from flow_manip_mujoco.tasks import TaskStep
from flow_manip_mujoco.video.take import Array, Hinge, Setting

IN_VIEW = 150  # [px] what shows less is not taken for something else
_UPWARDS = 0.5  # part of a contact's normal along z that carries
_PRESSED = 1e-4  # [N]


def read_setting(
    cell: SimulatedCell,
    step: TaskStep,
    share: NDArray[np.float64],
    camera: Array,
    pixels: Mapping[str, int],
    carried: Mapping[str, tuple[str, ...]],
) -> Setting:
    """Read what a video of a step is about.

    Args:
        cell: as it stands.
        step: that the words mean.
        share: (T,) of the motion's duration that has passed at each frame.
        camera: (4, 4) T_world_camera.
        pixels: how many of each body are in view.
        carried: from `carried_by`.

    Raises:
        VideoFailedError: what should move is out of sight.
    """
    if not pixels.get(step.body):
        raise VideoFailedError(f"'{step.body}' is out of the camera's sight")
    bound = {step.body, *carried.get(step.body, ())}
    others = {
        spec.name: cell.object_pose(spec.name)
        for spec in cell.objects
        if pixels.get(spec.name, 0) >= IN_VIEW
        and not bound & {spec.name, *carried.get(spec.name, ())}
    }
    box, rgb = _box_and_colour(cell, step.body)
    return Setting(
        body=step.body,
        motion=step.reference_motion(cell),
        share=share,
        box=box,
        rgb=rgb,
        others=others,
        joint=_joint_of(cell, step.body),
        camera=camera,
    )


def carried_by(cell: SimulatedCell) -> dict[str, tuple[str, ...]]:
    """Return what rests on each body and on nothing else, directly or on what rests on it."""
    model, state = cell.model, cell.forward()
    under: dict[str, set[str]] = {spec.name: set() for spec in cell.objects}
    wrench = np.zeros(6)
    for index in range(state.ncon):
        contact = state.contact[index]
        mujoco.mj_contactForce(model, state, index, wrench)
        if wrench[0] < _PRESSED:
            continue
        # The normal points from the first geom to the second.
        names = [model.body(model.geom_bodyid[g]).name for g in contact.geom]
        for lower, upper, z in ((*names, contact.frame[2]), (*names[::-1], -contact.frame[2])):
            if z > _UPWARDS and upper in under:
                under[upper].add(lower)
    return {body: _resting_on(body, under) for body in cell.body_names}


def _resting_on(body: str, under: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Return everything whose supports are all `body` or on it."""
    found: set[str] = set()
    while True:
        new = {
            name
            for name, supports in under.items()
            if name != body and supports and supports <= found | {body}
        }
        if new <= found:
            return tuple(sorted(found))
        found |= new


def _joint_of(cell: SimulatedCell, body: str) -> Hinge | None:
    """Return the joint of a part of a fixture in the world; None for what is free."""
    for fixture in cell.fixtures:
        for part in fixture.moving:
            if fixture.body_name(part.name) == body:
                T = cell.body_pose(fixture.name)
                axis = T[:3, :3] @ np.array(part.joint.axis)
                point = transform_points(T, np.array(part.joint.point))
                return Hinge(part.joint.kind, axis, point)
    return None


def _box_and_colour(cell: SimulatedCell, body: str) -> tuple[Array, Array]:
    """Return the (2, 3) box of a body's geoms in its frame [m] and their (3,) mean colour."""
    model = cell.model
    geoms = np.flatnonzero(model.geom_bodyid == model.body(body).id)
    lower, upper = np.full(3, np.inf), np.full(3, -np.inf)
    for geom in geoms:
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
        centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        middle = turn.reshape(3, 3) @ centre + model.geom_pos[geom]
        reach = np.abs(turn.reshape(3, 3)) @ half
        lower, upper = np.minimum(lower, middle - reach), np.maximum(upper, middle + reach)
    drawn = geoms[model.geom_group[geoms] != HIDDEN_GROUP]
    colour = model.geom_rgba[drawn, :3].mean(axis=0).astype(np.float64)
    return np.array([lower, upper]), colour
