# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.errors import CancelledError, NoGraspError
from flow_manip_core.observation import Mask
from flow_manip_core.transforms import make_transform
from flow_manip_planning.grasp import GRASP_PROPOSERS
from flow_manip_planning.grasp.completion import complete_object, contradicts
from flow_manip_planning.grasp.hand import hand_boxes, opening_for
from flow_manip_planning.inverse_kinematics import solve_ik
from flow_manip_planning.surroundings import perceive


def test_the_table_of_backends_names_it():
    assert GRASP_PROPOSERS.load('antipodal').__name__ == 'AntipodalGrasps'


@pytest.mark.parametrize('yaw', [0.0, 0.4, 1.1])
def test_a_cube_is_closed_on_across_its_faces(tabletop, scenes, proposer, yaw):
    cube = scenes.thing(0.5, 0.05, (0.05, 0.05, 0.05), yaw)
    observation, (mask,) = tabletop.look(cube)
    best = proposer.propose(observation, mask)[:10]
    for grasp in best:
        closing = cube.pose[:3, :3].T @ grasp.T_world_tcp[:3, 1]
        assert np.abs(closing).max() > np.cos(np.radians(25))
        assert 0.04 < grasp.width < 0.062
        assert np.linalg.norm(grasp.T_world_tcp[:2, 3] - cube.pose[:2, 3]) < 0.025


def test_grasps_come_best_first_and_in_both_finger_orders(tabletop, scenes, proposer):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.033, 0.1)))
    grasps = proposer.propose(observation, mask)
    scores = [grasp.score for grasp in grasps]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= min(scores) <= max(scores) <= 1
    for one, other in zip(grasps[::2], grasps[1::2]):
        np.testing.assert_allclose(one.T_world_tcp[:3, [2, 3]], other.T_world_tcp[:3, [2, 3]])
        np.testing.assert_allclose(one.T_world_tcp[:3, 1], -other.T_world_tcp[:3, 1])


def test_approaches_differ(tabletop, scenes, proposer):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.03, 0.14)))
    approaches = np.array([g.T_world_tcp[:3, 2] for g in proposer.propose(observation, mask)])
    assert approaches[:, 2].min() < -0.99
    assert approaches[:, 2].max() > -0.6


def test_no_part_of_the_hand_is_in_the_table(tabletop, scenes, proposer, context):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.06, 0.1, 0.02), 0.4))
    for grasp in proposer.propose(observation, mask):
        for box in hand_boxes(
            context.robot.gripper, opening_for(grasp.width, context.robot.gripper)
        ):
            corners = box.corners @ grasp.T_world_tcp[:3, :3].T + grasp.T_world_tcp[:3, 3]
            assert corners[:, 2].min() > 0


def test_the_open_hand_is_clear_of_a_neighbour(tabletop, scenes, proposer, context):
    neighbour = scenes.thing(0.5, 0.085, (0.08, 0.05, 0.12))
    observation, masks = tabletop.look(scenes.thing(0.5, 0.0, (0.05, 0.05, 0.05)), neighbour)
    grasps = proposer.propose(observation, masks[0])
    assert grasps
    rng = np.random.default_rng(0)
    inside = neighbour.pose[:3, 3] + (rng.random((4000, 3)) - 0.5) * neighbour.size
    for grasp in grasps:
        local = (inside - grasp.T_world_tcp[:3, 3]) @ grasp.T_world_tcp[:3, :3]
        boxes = hand_boxes(context.robot.gripper, opening_for(grasp.width, context.robot.gripper))
        assert not any(box.contains(local).any() for box in boxes)


def test_what_is_wider_than_the_gripper_is_refused_with_counts(tabletop, scenes, proposer):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.15, 0.15, 0.12)))
    with pytest.raises(NoGraspError, match=r"no grasp on 'thing 0' among \d+ hands: .*too wide"):
        proposer.propose(observation, mask)


def test_an_object_without_depth_is_refused(tabletop, scenes, proposer):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.05, 0.05, 0.05)))
    observation.depth[mask.pixels] = np.nan
    with pytest.raises(NoGraspError, match='0 points with depth, 20 are needed'):
        proposer.propose(observation, mask)


def test_the_same_seed_gives_the_same_grasps(tabletop, scenes, proposer):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.05, 0.07, 0.06), 0.3))
    first, again = (proposer.propose(observation, mask, seed=4) for _ in range(2))
    assert [g.score for g in first] == [g.score for g in again]
    np.testing.assert_array_equal([g.T_world_tcp for g in first], [g.T_world_tcp for g in again])


def test_the_number_of_grasps_is_bounded(tabletop, scenes, proposer):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.05, 0.05, 0.05)))
    assert len(proposer.propose(observation, mask, max_grasps=7)) == 7


def test_proposing_stops_when_told_to(tabletop, scenes, proposer):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.05, 0.05, 0.05)))
    with pytest.raises(CancelledError):
        proposer.propose(observation, mask, cancelled=lambda: True)


def test_the_hidden_side_is_guessed_within_a_centimetre(tabletop, scenes, context):
    cases = [
        scenes.thing(0.5, 0.0, (0.033, 0.1)),
        scenes.thing(0.55, -0.1, (0.05, 0.07, 0.14), 1.0),
        scenes.thing(0.45, 0.15, (0.06, 0.12, 0.02), 0.4),
    ]
    for thing in cases:
        observation, (mask,) = tabletop.look(thing)
        shape = complete_object(observation, mask, perceive(observation, mask, context, None))
        assert np.linalg.norm(shape.center - thing.pose[:3, 3]) < 0.01
        local = (shape.points - thing.pose[:3, 3]) @ thing.pose[:3, :3]
        extent = thing.size
        if len(extent) == 2:
            extent = (2 * extent[0], 2 * extent[0], extent[1])
        assert (np.abs(local).max(axis=0) < np.array(extent) / 2 + 0.012).all()
        assert shape.seen.any()
        assert not shape.seen.all()


def test_nothing_is_guessed_below_a_spout_that_the_camera_sees_under(tabletop, scenes, context):
    pot = scenes.thing(0.5, 0.0, (0.036, 0.08))
    spout = scenes.thing(0.5, 0.07, (0.016, 0.07, 0.016), z=0.06)
    observation, masks = tabletop.look(pot, spout)
    both = Mask(masks[0].pixels | masks[1].pixels, 'jug')
    shape = complete_object(observation, both, perceive(observation, both, context, None))
    assert shape.points[shape.points[:, 1] > 0.055, 2].min() > 0.03
    # The hidden side of the pot itself still reaches down to the table.
    behind = shape.walls & (shape.points[:, 0] < 0.49) & (np.abs(shape.points[:, 1]) < 0.03)
    assert shape.points[behind, 2].min() < 0.01


def test_no_second_handle_is_guessed_where_the_camera_sees_past(tabletop, scenes, context):
    # The planes that mirror a round body best need not go through its handle.
    for yaw in np.linspace(0.0, 2 * np.pi, 7):
        x, y = 0.5 + 0.05 * np.cos(yaw), 0.05 * np.sin(yaw)
        can, bar = (
            scenes.thing(0.5, 0.0, (0.033, 0.07)),
            scenes.thing(x, y, (0.04, 0.01, 0.06), yaw),
        )
        observation, masks = tabletop.look(can, bar)
        both = Mask(masks[0].pixels | masks[1].pixels, 'mug')
        shape = complete_object(observation, both, perceive(observation, both, context, None))
        guessed = shape.points[~shape.seen & ~shape.walls]
        assert contradicts(observation, both, guessed).mean() < 0.01


def test_the_arm_itself_is_no_obstacle(tabletop, scenes, context, robot):
    # What is seen where the hand is belongs to the robot's own shape.
    low = make_transform([0.4, -0.15, 0.15], np.diag([1.0, -1.0, -1.0]))[None]
    q = solve_ik(robot.chain, low, robot.home[None]).q[0]
    hand = robot.chain.tip(q)[:3, 3]
    joints = dict(zip(context.robot.joint_names, q))
    pillar = scenes.thing(hand[0], hand[1], (0.03, 0.03, 0.02), z=hand[2] + 0.04)
    observation, masks = tabletop.look(
        scenes.thing(0.6, 0.2, (0.05, 0.05, 0.05)), pillar, joints=joints
    )
    with_arm = perceive(observation, masks[0], context, robot)
    without = perceive(observation, masks[0], context, None)
    assert len(without.obstacles) > 0
    assert len(with_arm.obstacles) == 0


def test_the_table_is_found_where_it_is(tabletop, scenes, context):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.05, 0.05, 0.05)))
    raised = observation.T_world_camera.copy()
    raised[2, 3] += 0.013
    higher = type(observation)(
        color=observation.color,
        depth=observation.depth,
        camera=observation.camera,
        T_world_camera=raised,
    )
    found = perceive(higher, Mask(mask.pixels, 'cube'), context, None)
    assert found.support_height == pytest.approx(0.013, abs=0.001)
