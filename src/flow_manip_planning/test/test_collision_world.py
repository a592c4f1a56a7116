# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest

from flow_manip_core.errors import NoPathError
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_planning.collision_world import CollisionWorld, HeldObject
from flow_manip_planning.inverse_kinematics import random_starts, solve_ik_multistart
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import fill_columns, Surroundings

VOXEL = 0.008


def block(x, y, size, height):
    side = np.arange(-size / 2, size / 2, 0.003)
    grid = np.stack(np.meshgrid(x + side, y + side, [height]), axis=-1).reshape(-1, 3)
    return fill_columns(grid, 0.0, VOXEL)


def surroundings(*obstacles):
    cloud = np.concatenate(obstacles) if obstacles else np.empty((0, 3))
    return Surroundings(0.0, cloud, np.empty((0, 3)), VOXEL)


def hand_down_at(robot, x, y, z):
    """Return a configuration with the fingers pointing down at x, y, z of the base."""
    target = robot.T_world_base @ make_transform([x, y, z], np.diag([1.0, -1.0, -1.0]))
    seeds = np.concatenate(
        [robot.home[None], random_starts(robot.chain, 5, np.random.default_rng(0))]
    )
    q, solved = solve_ik_multistart(robot.chain, target[None], seeds, robot.home)
    return q[0][solved[0]][0]


def test_the_home_pose_is_free(robot):
    assert not CollisionWorld(robot, surroundings()).collides(robot.home, 0.08)


def test_the_robot_collides_with_itself(robot):
    folded = robot.home.copy()
    folded[[1, 3, 5]] = -1.7, -3.0, 0.0
    assert CollisionWorld(robot, surroundings()).collides(folded, 0.08)


@pytest.mark.parametrize(
    ('z', 'hit'), [(0.03, False), (0.012, False), (0.003, True), (-0.02, True)]
)
def test_the_table_stops_the_fingertips(robot, z, hit):
    # The tips reach 9 mm beyond the tool centre point.
    assert (
        CollisionWorld(robot, surroundings()).collides(hand_down_at(robot, 0.5, 0.1, z), 0.04)
        is hit
    )


@pytest.mark.parametrize(('z', 'hit'), [(0.2, False), (0.12, False), (0.1, True), (0.05, True)])
def test_a_block_is_where_it_was_seen(robot, z, hit):
    world = CollisionWorld(robot, surroundings(block(0.5, 0.0, 0.1, 0.1)))
    assert world.collides(hand_down_at(robot, 0.5, 0.0, z), 0.04) is hit


def test_fingers_straddle_what_is_narrower_than_their_opening(robot):
    world = CollisionWorld(robot, surroundings(block(0.5, 0.0, 0.04, 0.06)))
    over = hand_down_at(robot, 0.5, 0.0, 0.045)
    assert not world.collides(over, 0.08)
    assert world.collides(over, 0.03)


def test_the_object_counts_only_while_it_is_set(robot):
    world = CollisionWorld(robot, surroundings())
    inside = hand_down_at(robot, 0.5, 0.0, 0.05)
    assert not world.collides(inside, 0.04)
    world.set_object(block(0.5, 0.0, 0.1, 0.1))
    assert world.collides(inside, 0.04)
    world.set_object(None)
    assert not world.collides(inside, 0.04)


def test_obstacles_are_seen_by_a_robot_on_a_turned_base(context):
    T_world_base = make_transform([-0.1, 0.3, 0.0], rotation_about([0, 0, 1], 0.6))
    turned = RobotModel(context.robot, T_world_base)
    center = T_world_base @ [0.5, 0.0, 0.0, 1.0]
    world = CollisionWorld(turned, surroundings(block(center[0], center[1], 0.1, 0.1)))
    assert world.collides(hand_down_at(turned, 0.5, 0.0, 0.06), 0.04)
    assert not world.collides(hand_down_at(turned, 0.5, 0.25, 0.06), 0.04)


def test_free_motion_goes_around_a_wall_and_repeats_with_its_seed(robot):
    wall = np.concatenate([block(0.5, y, 0.02, 0.45) for y in np.arange(-0.06, 0.07, 0.02)])
    world = CollisionWorld(robot, surroundings(wall))
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    path = world.plan(start, goal, 0.04, seed=3)
    np.testing.assert_allclose(path[[0, -1]], [start, goal])
    assert len(path) > 2
    for a, b in pairwise(path):
        steps = int(np.abs(b - a).max() / 0.02) + 2
        assert world.first_collision(np.linspace(a, b, steps), 0.04) is None
    np.testing.assert_array_equal(path, world.plan(start, goal, 0.04, seed=3))


def test_free_motion_from_within_an_obstacle_is_refused(robot):
    world = CollisionWorld(robot, surroundings(block(0.5, 0.0, 0.1, 0.1)))
    inside, above = hand_down_at(robot, 0.5, 0.0, 0.05), hand_down_at(robot, 0.5, 0.0, 0.3)
    with pytest.raises(NoPathError, match='start of the free motion is in collision'):
        world.plan(inside, above, 0.04, seed=0)
    with pytest.raises(NoPathError, match='goal of the free motion is in collision'):
        world.plan(above, inside, 0.04, seed=0)


def lifted_over(distance, height, steps=30):
    share = np.linspace(0, 1, steps)
    poses = np.tile(np.eye(4), (steps, 1, 1))
    poses[:, 1, 3] = share * distance
    poses[:, 2, 3] = height * np.sin(np.pi * share)
    return poses


def test_a_held_object_hits_what_stands_in_its_way_and_clears_it_when_lifted(robot):
    held = HeldObject(robot, surroundings(block(0.5, 0.2, 0.03, 0.1)), block(0.5, 0, 0.04, 0.05))
    assert held.colliding_steps(lifted_over(0.4, 0.02)).any()
    assert not held.colliding_steps(lifted_over(0.4, 0.25)).any()


def test_a_held_object_may_touch_what_it_is_put_on_but_not_enter_the_table(robot):
    held = HeldObject(robot, surroundings(block(0.5, 0.2, 0.1, 0.02)), block(0.5, 0, 0.04, 0.05))
    path = lifted_over(0.2, 0.1)
    path[:, 2, 3] += np.linspace(0, 0.02, len(path))
    assert not held.colliding_steps(path).any()
    path[-1, 2, 3] = -0.03
    assert held.colliding_steps(path)[-1]


def test_a_held_object_must_not_sweep_through_the_arm(robot):
    shape = block(0.5, 0.0, 0.04, 0.05)
    held = HeldObject(robot, surroundings(), shape)
    poses = robot.chain.forward(np.array([robot.home]))
    elbow = poses.joints[0, 3, :3, 3]
    into_elbow = make_transform(elbow - shape.mean(axis=0))[None]
    assert held.hits_arm(poses, into_elbow).all()
    assert not held.hits_arm(poses, np.eye(4)[None]).any()
