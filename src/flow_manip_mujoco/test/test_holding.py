# SPDX-License-Identifier: Apache-2.0
"""What is held by friction must stay where it is held: soft contacts creep by themselves."""

from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    quaternion_from_transform,
    rotation_about,
    transform_distance,
)
from flow_manip_mujoco.arm import CellGripper
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.objects.task_objects import CUP_HANDLE, CUP_HEIGHT, CUP_RIM, teacup

CUP = replace(teacup('white', (0.9, 0.9, 0.9)), mass=0.2)
ACROSS = (0.0, 0.0, CUP_HEIGHT - 0.010)  # fingers on opposite walls
RIM = (0.0, -CUP_RIM + 0.0018, CUP_HEIGHT - 0.003)
HANDLE = (CUP_HANDLE.outer, 0.0, CUP_HANDLE.height)


def in_the_hand(cell):
    return invert_transform(cell.link_poses()[cell.context.robot.tcp_frame]) @ (
        cell.body_pose(CUP.name)
    )


def put_between_fingers(cell, place, tilt):
    """Hold the cup still with (3,) `place` of it at the fingers, askew by `tilt`; then close."""
    cell.reset(0, Scene((CUP,), 0, {CUP.name: (0.5, 0.2, 0.0)}))
    tcp = cell.link_poses()[cell.context.robot.tcp_frame]
    x, closing = tcp[:3, 0], tcp[:3, 1]
    # The cup's y along the closing direction, its axis up.
    rotation = np.column_stack([np.cross(closing, [0.0, 0.0, 1.0]), closing, [0.0, 0.0, 1.0]])
    rotation = rotation_about(x, tilt) @ rotation
    pose = make_transform(tcp[:3, 3] - rotation @ place, rotation)
    quaternion = quaternion_from_transform(pose)[[3, 0, 1, 2]]
    cell.data.joint(CUP.name).qpos[:] = [*pose[:3, 3], *quaternion]
    body = cell.model.body(CUP.name).id
    cell.data.xfrc_applied[body, 2] = 9.81 * CUP.mass
    assert CellGripper(cell).move(0.0, 50.0).stalled
    cell.data.xfrc_applied[body, 2] = 0.0
    cell.step(100)


@pytest.mark.parametrize(
    ('place', 'tilt'),
    [(ACROSS, 0.0), (ACROSS, 0.17), (ACROSS, 0.35), (RIM, 0.0), (HANDLE, 0.0)],
)
def test_a_held_cup_moves_less_than_a_millimetre_in_ten_seconds(cell, place, tilt):
    put_between_fingers(cell, np.array(place), tilt)
    before = in_the_hand(cell)
    cell.step(round(10.0 / cell.timestep))
    moved, turned = transform_distance(before, in_the_hand(cell))
    assert moved < 0.001
    assert np.degrees(turned) < 1.0
