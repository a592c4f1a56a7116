# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.errors import InCollisionError
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.observation import Mask
from flow_manip_core.plan import Grasp
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_planning.arm_paths import _worth, arm_paths, Pivot, Request
from flow_manip_planning.flow_planner.rigid_path import RigidPathPlanner
from flow_manip_planning.flow_planner.settings import RigidPathConfig
from flow_manip_planning.flow_to_poses import FitConfig
from flow_manip_planning.flow_to_poses.motion import Joint, PRISMATIC, REVOLUTE
from flow_manip_planning.guided import is_guided, without_swept
from flow_manip_planning.surroundings import perceive, Surroundings

STEPS = 31
SHARE = np.linspace(0, 1, STEPS)
SHARE = SHARE**2 * (3 - 2 * SHARE)


def grid(x, y, z, spacing=0.008):
    """Points of a box given by its ends along each axis [m]."""
    sides = [np.arange(a, b + 1e-9, spacing) for a, b in (x, y, z)]
    return np.stack(np.meshgrid(*sides, indexing='ij'), axis=-1).reshape(-1, 3)


def scene_of(*boxes):
    obstacles = np.concatenate(boxes) if boxes else np.empty((0, 3))
    return Surroundings(0.0, obstacles, np.empty((0, 3)), 0.008)


def joint(kind, axis, point):
    return Joint(kind, np.array(axis, float), np.array(point, float), (0.0, 0.15), 0.0)


FRONT = grid((0.5, 0.5), (-0.08, 0.08), (0.05, 0.11))
SIDES = (
    grid((0.5, 0.6), (-0.12, -0.1), (0.0, 0.15)),
    grid((0.5, 0.6), (0.1, 0.12), (0.0, 0.15)),
)
TOP = grid((0.5, 0.6), (-0.12, 0.12), (0.13, 0.15))
PULLED = joint(PRISMATIC, [-1, 0, 0], [0.5, 0, 0.08])


def test_a_drawer_between_its_sides_is_guided():
    assert is_guided(PULLED, FRONT, scene_of(*SIDES, TOP))
    assert is_guided(PULLED, FRONT, scene_of(*SIDES))


def test_a_block_pushed_past_one_neighbour_is_not():
    assert not is_guided(PULLED, FRONT, scene_of(SIDES[0]))
    assert not is_guided(PULLED, FRONT, scene_of())


def test_a_lift_between_two_neighbours_is_not():
    up = joint(PRISMATIC, [0, 0, 1], [0.5, 0, 0.08])
    assert not is_guided(up, FRONT, scene_of(*SIDES))


def test_far_things_guide_nothing():
    apart = [side * [1.0, 1.5, 1.0] for side in SIDES]
    assert not is_guided(PULLED, FRONT, scene_of(*apart))


def test_a_lid_on_its_box_is_guided_and_one_that_turns_about_its_middle_is_not():
    lid = grid((0.4, 0.55), (-0.1, 0.1), (0.1, 0.1))
    box = grid((0.4, 0.55), (-0.1, 0.1), (0.0, 0.08))
    edge = joint(REVOLUTE, [0, -1, 0], [0.55, 0, 0.1])
    assert is_guided(edge, lid, scene_of(box))
    middle = joint(REVOLUTE, [0, -1, 0], [0.475, 0, 0.1])
    assert not is_guided(middle, lid, scene_of(box))
    far = joint(REVOLUTE, [0, -1, 0], [0.8, 0, 0.1])
    assert not is_guided(far, lid, scene_of(box))
    assert not is_guided(edge, lid, scene_of())


def test_what_a_part_sweeps_is_no_obstacle_and_the_rest_stays():
    below = grid((0.45, 0.45), (-0.02, 0.02), (0.0, 0.11))
    poses = np.array([make_transform([-0.1 * s, 0, 0]) for s in np.linspace(0, 1, 20)])
    scene = without_swept(scene_of(below, *SIDES), FRONT, poses)
    left = scene.obstacles
    assert not ((left[:, 0] < 0.46) & (left[:, 2] > 0.05)).any()
    assert ((left[:, 0] < 0.46) & (left[:, 2] < 0.035)).any()
    assert (left[:, 0] > 0.49).sum() == sum(len(side) for side in SIDES)


# A chest of boxes with a drawer whose handle the hand can take.


@pytest.fixture(scope='module')
def chest(tabletop, scenes):
    """A drawer's handle and front between two walls; the hand comes from above."""
    handle = scenes.thing(0.6, 0.0, (0.02, 0.1, 0.02), z=0.13)
    front = scenes.thing(0.545, 0.0, (0.02, 0.22, 0.09), z=0.06)
    frame = [
        scenes.thing(0.49, -0.125, (0.13, 0.03, 0.13)),
        scenes.thing(0.49, 0.125, (0.13, 0.03, 0.13)),
        scenes.thing(0.49, 0.0, (0.13, 0.28, 0.05)),
    ]
    observation, masks = tabletop.look(handle, front, *frame)
    return observation, Mask(masks[0].pixels | masks[1].pixels, 'drawer')


def drawer_flow(observation, mask, way=0.12, noise=0.0):
    points = mask.points(observation)[::7]
    poses = np.array([make_transform([way * s, 0, 0]) for s in SHARE])
    flow = flow_from_transforms(points, poses, np.linspace(0, 4, STEPS), object='drawer')
    shaken = flow.points + noise * np.random.default_rng(0).normal(size=flow.points.shape)
    return replace(flow, points=shaken)


class Offers:
    """Proposes what it is told to."""

    def __init__(self, *grasps):
        self.grasps = list(grasps)

    def propose(self, observation, mask, **kwargs):
        return self.grasps


DOWN = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])  # closes along x, across the handle
ON_HANDLE = Grasp(make_transform([0.6, 0.0, 0.14], DOWN), 0.02, 1.0)


def segment(plan, name):
    return next(s.trajectory for s in plan.segments if s.name == name)


@pytest.mark.parametrize('noise', [0.0, 0.005])
def test_a_drawer_is_pulled_along_its_slide_let_go_and_left(chest, context, robot, noise):
    observation, mask = chest
    planner = RigidPathPlanner(RigidPathConfig(), context, Offers(ON_HANDLE))
    plan = planner.plan(observation, mask, drawer_flow(observation, mask, noise=noise))
    names = [s.name for s in plan.segments]
    assert names[3:] == ['grasp', 'follow', 'release', 'retreat', 'home']
    tolerances = {s.name: s.goal_tolerance for s in plan.segments if s.goal_tolerance}
    assert tolerances == {'follow': RigidPathConfig().guided_tolerance}
    hand = robot.chain.tip(segment(plan, 'follow').positions)
    np.testing.assert_allclose(hand[0], ON_HANDLE.T_world_tcp, atol=2e-3)
    assert hand[-1, 0, 3] - hand[0, 0, 3] == pytest.approx(0.12, abs=0.002 + noise)
    # On the line all the way, which noise of the points does not bend.
    assert np.abs(hand[:, 1:3, 3] - hand[0, 1:3, 3]).max() < 0.002 + 2 * noise
    assert np.abs(hand[:, :3, :3] - hand[0, :3, :3]).max() < 0.01
    away = robot.chain.tip(segment(plan, 'retreat').positions)[:, :3, 3]
    gone = away[-1] - away[0]
    approach = ON_HANDLE.T_world_tcp[:3, 2]
    assert gone @ -approach == pytest.approx(0.06, abs=0.003)
    assert np.linalg.norm(gone - (gone @ approach) * approach) < 0.003


def test_the_same_flow_as_free_motion_runs_into_the_chest(chest, context):
    observation, mask = chest
    config = RigidPathConfig(fit=FitConfig(joints=False))
    planner = RigidPathPlanner(config, context, Offers(ON_HANDLE))
    flow = drawer_flow(observation, mask, way=-0.12)
    with pytest.raises(InCollisionError, match='the object runs into the scene'):
        planner.plan(observation, mask, flow)
    guided = RigidPathPlanner(RigidPathConfig(), context, Offers(ON_HANDLE))
    task = guided._task(observation, mask, flow, guided._object_path(flow), 0, lambda: False)
    assert task.guided
    guided._check_object_path(task)


def test_the_hand_of_a_drawer_is_still_tested_against_the_scene(chest, context):
    observation, mask = chest
    inside = Grasp(make_transform([0.54, 0.12, 0.1], DOWN), 0.02, 0.5)
    planner = RigidPathPlanner(RigidPathConfig(), context, Offers(inside))
    with pytest.raises(InCollisionError, match='none of 1 grasps works: 1 grasp in collision'):
        planner.plan(observation, mask, drawer_flow(observation, mask))


def test_a_lift_beside_nothing_keeps_holding_though_it_looks_like_a_slide(
    tabletop, scenes, context, proposer
):
    can = scenes.thing(0.5, -0.1, (0.033, 0.1))
    observation, (mask,) = tabletop.look(can)
    flow = scenes.flow(observation, mask, can.pose[:3, 3], (0, 0, 0.15), lift=0.0)
    planner = RigidPathPlanner(RigidPathConfig(), context, proposer)
    assert planner._object_path(flow).joint.kind == 'prismatic'
    plan = planner.plan(observation, mask, flow)
    assert [s.name for s in plan.segments][-1] == 'follow'


def test_the_chest_guides_its_drawer(chest, context, robot, planner):
    observation, mask = chest
    surroundings = perceive(observation, mask, context, robot)
    path = planner._object_path(drawer_flow(observation, mask))
    assert path.joint.kind == 'prismatic'
    assert is_guided(path.joint, surroundings.object_points, surroundings)


# Hands that turn less than what they hold.


def hinge_request(robot, context, pivot):
    angles = np.linspace(0.0, 0.6, 20)
    axis, point = np.array([0.0, -1.0, 0.0]), np.array([0.5, 0.0, 0.1])
    poses = joint(REVOLUTE, axis, point).poses(angles)
    return angles, Request(
        object_path=poses,
        approach_distance=0.05,
        retreat_distance=0.05,
        limit_margin=0.02,
        seeds=robot.home[None],
        home=robot.home,
        workspace=context.rig.workspace,
        pivot=Pivot(axis, angles, (0.5,)) if pivot else None,
    )


def test_a_hand_on_a_bar_along_the_hinge_may_turn_half_as_far(robot, context):
    along = Grasp(make_transform([0.65, 0.0, 0.1], DOWN), 0.02, 0.5)
    angles, request = hinge_request(robot, context, pivot=True)
    ways = arm_paths(robot.chain, [along], request, Counter())
    assert {way.pivots for way in ways} == {True, False}
    for way in ways:
        turned = way.hand[:, :3, :3] @ way.hand[0, :3, :3].T
        expected = (0.5 if way.pivots else 1.0) * angles
        for R, angle in zip(turned, expected):
            np.testing.assert_allclose(R, rotation_about([0, -1, 0], angle), atol=1e-9)
        bar = request.object_path[:, :3, :3] @ [0.65, 0, 0.1] + request.object_path[:, :3, 3]
        np.testing.assert_allclose(way.hand[:, :3, 3], bar, atol=1e-9)
        np.testing.assert_allclose(robot.chain.tip(way.follow), way.hand, atol=2e-3)
    assert not ways[0].pivots


def test_a_hand_across_the_hinge_or_without_one_turns_with_its_object(robot, context):
    across = Grasp(
        make_transform([0.65, 0.0, 0.1], DOWN @ rotation_about([0, 0, 1], np.pi / 2)), 0.02, 0.5
    )
    _, request = hinge_request(robot, context, pivot=True)
    assert not any(w.pivots for w in arm_paths(robot.chain, [across], request, Counter()))
    along = Grasp(make_transform([0.65, 0.0, 0.1], DOWN), 0.02, 0.5)
    _, request = hinge_request(robot, context, pivot=False)
    assert not any(w.pivots for w in arm_paths(robot.chain, [along], request, Counter()))


def test_ways_come_best_first_and_reasons_are_counted_once_per_grasp(robot, context):
    near = Grasp(make_transform([0.65, 0.0, 0.1], DOWN), 0.02, 0.5)
    far = Grasp(make_transform([0.7, 0.39, 0.6], DOWN), 0.02, 1.0)
    _, request = hinge_request(robot, context, pivot=True)
    rejections = Counter()
    ways = arm_paths(robot.chain, [far, near], request, rejections)
    assert sum(rejections.values()) == 1
    assert all(way.grasp is near for way in ways)
    scores = [way.score for way in ways]
    assert len(scores) > 1
    assert scores == sorted(scores, reverse=True)


def test_room_at_limits_and_from_singularities_is_worth_something_up_to_enough():
    grasp = Grasp(make_transform([0.45, 0.0, 0.15], DOWN), 0.02, 0.5)
    worst, tight, stiff, good, more = (
        _worth(grasp, margin, dexterity, 0.5)
        for margin, dexterity in ((0.05, 0.01), (0.05, 0.06), (0.5, 0.01), (0.5, 0.06), (2.0, 0.2))
    )
    assert worst < min(tight, stiff)
    assert max(tight, stiff) < good == more
    assert _worth(replace(grasp, score=0.9), 0.05, 0.01, 0.5) > good - 0.4
