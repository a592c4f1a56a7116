# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

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


def test_an_edge_is_checked_between_its_ends(robot):
    world = CollisionWorld(robot, surroundings(block(0.5, 0.0, 0.06, 0.3)))
    left, right = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    assert not world.collides(left, 0.04)
    assert not world.collides(right, 0.04)
    assert world.edge_collides(left, right, 0.04)
    assert not world.edge_collides(left, left + 0.02, 0.04)


@pytest.mark.parametrize('z', [0.3, 0.112, 0.105, 0.1, 0.05, 0.003])
def test_contacts_say_what_the_collision_test_only_counts(robot, z):
    world = CollisionWorld(robot, surroundings(block(0.5, 0.0, 0.1, 0.1)))
    q = hand_down_at(robot, 0.5, 0.0, z)
    deep = [contact for contact in world.contacts(q, 0.04) if contact.depth > 1e-4]
    assert bool(deep) is world.collides(q, 0.04)


def test_a_contact_has_names_depth_and_size(robot):
    world = CollisionWorld(robot, surroundings(block(0.5, 0.0, 0.1, 0.1)))
    fingers = ('panda_leftfinger', 'panda_rightfinger')
    # The top full voxel ends at 96 mm; the tips reach 8.8 mm below the tool centre point.
    shallow = world.contacts(hand_down_at(robot, 0.5, 0.0, 0.1), 0.04)
    assert {contact.first for contact in shallow} == set(fingers)
    assert {contact.second for contact in shallow} == {'obstacles'}
    assert [contact.depth for contact in shallow] == pytest.approx([0.0048, 0.0048], abs=5e-4)
    deep = world.contacts(hand_down_at(robot, 0.5, 0.0, 0.08), 0.04)
    assert deep[0].depth > shallow[0].depth
    assert deep[0].pieces > shallow[0].pieces
    assert 'mm inside obstacles' in str(deep[0])
    into_table = world.contacts(hand_down_at(robot, 0.5, 0.3, -0.001), 0.04)
    assert {contact.second for contact in into_table} == {'table'}
    # 1 mm below the plane, 9 mm of finger, 2 mm that the box is sunk.
    assert into_table[0].depth == pytest.approx(0.008, abs=1.5e-3)


def test_links_that_touch_each_other_are_named(robot):
    folded = robot.home.copy()
    folded[[1, 3, 5]] = -1.7, -3.0, 0.0
    contacts = CollisionWorld(robot, surroundings()).contacts(folded, 0.08)
    assert contacts
    assert all(c.first.startswith('panda') and c.second.startswith('panda') for c in contacts)


def test_a_held_object_moves_with_the_hand_and_hits_things(robot):
    world = CollisionWorld(robot, surroundings(block(0.5, 0.0, 0.1, 0.1)))
    above = hand_down_at(robot, 0.5, 0.0, 0.18)
    hanging = np.stack(
        np.meshgrid([0.0, 0.008], [0.0, 0.008], np.arange(0, 0.09, 0.004)), axis=-1
    ).reshape(-1, 3)
    assert not world.collides(above, 0.02)
    world.hold_object(hanging)
    assert world.collides(above, 0.02)
    (contact,) = world.contacts(above, 0.02)
    assert (contact.first, contact.second) == ('obstacles', 'held object')
    # It hangs 12 mm into the block: up to three voxels of its two by two columns.
    assert 0.0 < contact.depth <= 0.008
    assert 4 <= contact.pieces <= 12
    assert not world.collides(hand_down_at(robot, 0.5, 0.0, 0.22), 0.02)
    # Down to the table beside the block: the object is there before the fingers are.
    beside = hand_down_at(robot, 0.5, 0.3, 0.06)
    assert world.collides(beside, 0.02)
    world.hold_object(None)
    assert not world.collides(above, 0.02)
    assert not world.collides(beside, 0.02)


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
