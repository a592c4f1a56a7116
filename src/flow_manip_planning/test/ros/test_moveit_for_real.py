# SPDX-License-Identifier: Apache-2.0
"""The `moveit` backend with MoveIt itself: docker compose -f docker/compose.yaml run --rm moveit.

Skipped wherever moveit_py is not installed.
"""

from itertools import pairwise

import numpy as np
import pytest

from flow_manip_core.errors import NoPathError
from flow_manip_core.transforms import make_transform
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.inverse_kinematics import random_starts, solve_ik_multistart
from flow_manip_planning.motion_planner import create_motion_planner
from flow_manip_planning.surroundings import fill_columns, Surroundings

pytest.importorskip('moveit.planning', reason='ros-jazzy-moveit-py is not installed')
pytestmark = [pytest.mark.slow, pytest.mark.ros]
VOXEL, WIDTH = 0.008, 0.04


@pytest.fixture(scope='module')
def planner(context):
    # One per process: its end shuts rclcpp down.
    return create_motion_planner({'backend': 'moveit'}, context)


def block(x, y, size, height):
    side = np.arange(-size / 2, size / 2, 0.003)
    grid = np.stack(np.meshgrid(x + side, y + side, [height]), axis=-1).reshape(-1, 3)
    return fill_columns(grid, 0.0, VOXEL)


def world_with(robot, *obstacles):
    cloud = np.concatenate(obstacles) if obstacles else np.empty((0, 3))
    return CollisionWorld(robot, Surroundings(0.0, cloud, np.empty((0, 3)), VOXEL))


def hand_down_at(robot, x, y, z):
    target = robot.T_world_base @ make_transform([x, y, z], np.diag([1.0, -1.0, -1.0]))
    seeds = np.concatenate(
        [robot.home[None], random_starts(robot.chain, 5, np.random.default_rng(0))]
    )
    q, solved = solve_ik_multistart(robot.chain, target[None], seeds, robot.home)
    return q[0][solved[0]][0]


def densely(corners, step=0.01):
    parts = [corners[:1]]
    for a, b in pairwise(corners):
        parts.append(np.linspace(a, b, int(np.abs(b - a).max() / step) + 2)[1:])
    return np.concatenate(parts)


def test_moveit_goes_around_a_wall(planner, robot):
    wall = [block(0.5, y, 0.02, 0.45) for y in np.arange(-0.06, 0.07, 0.02)]
    world = world_with(robot, *wall)
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    path = planner.plan(start, goal, world, width=WIDTH)
    np.testing.assert_allclose(path[[0, -1]], [start, goal])
    assert len(path) > 2
    assert world.first_collision(densely(path), WIDTH) is None


def test_moveit_carries_what_is_held_over_a_block(planner, robot):
    world = world_with(robot, block(0.53, 0.0, 0.12, 0.2))
    start, goal = hand_down_at(robot, 0.5, -0.2, 0.24), hand_down_at(robot, 0.5, 0.2, 0.24)
    rod = np.stack(
        np.meshgrid([-0.01, 0.0, 0.01], [-0.01, 0.0, 0.01], np.arange(0, 0.12, 0.005)), axis=-1
    ).reshape(-1, 3)
    world.hold_object(rod)
    path = planner.plan(start, goal, world, width=0.02)
    assert world.first_collision(densely(path), 0.02) is None


def test_moveit_forgets_the_scene_before(planner, robot):
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    path = planner.plan(start, goal, world_with(robot), width=WIDTH)
    assert np.abs(np.diff(path, axis=0)).sum(axis=0).max() < 2 * np.abs(goal - start).max()


def test_a_goal_inside_an_obstacle_has_no_path(planner, robot):
    world = world_with(robot, block(0.5, 0.0, 0.1, 0.1))
    above, inside = hand_down_at(robot, 0.5, 0.0, 0.3), hand_down_at(robot, 0.5, 0.0, 0.05)
    with pytest.raises(NoPathError, match='goal'):
        planner.plan(above, inside, world, width=WIDTH)
