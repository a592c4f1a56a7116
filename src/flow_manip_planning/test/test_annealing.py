# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from flow_manip_core.errors import CancelledError, DegenerateFlowError, NoPathError
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.flow_planner import create_flow_planner
from flow_manip_planning.flow_planner.annealing import (
    AnnealingConfig,
    AnnealingPlanner,
    choose_keyframes,
    Keyframe,
    KeyframeCost,
    PoseScale,
    solve_keyframe,
    yaw_of,
)
from flow_manip_planning.flow_planner.following import tracked_path
from flow_manip_planning.path_optimization import DistanceField
from flow_manip_planning.surroundings import perceive, Surroundings

NOTHING = np.empty((0, 3))


@pytest.fixture(scope='module')
def annealer(context, proposer):
    return AnnealingPlanner(AnnealingConfig(), context, proposer)


@pytest.fixture(scope='module')
def cluttered(tabletop, scenes):
    cube = scenes.thing(0.5, 0.05, (0.05, 0.05, 0.05), 0.4)
    can = scenes.thing(0.6, 0.17, (0.035, 0.12))
    observation, masks = tabletop.look(cube, can)
    flow = scenes.flow(observation, masks[0], cube.pose[:3, 3], (0.05, -0.2, 0), turn=0.5)
    return observation, masks[0], flow


@pytest.fixture(scope='module')
def plan(annealer, cluttered):
    return annealer.plan(*cluttered, seed=1)


def follow_of(plan):
    return next(s.trajectory for s in plan.segments if s.name == 'follow')


def down(x, y, z, yaw=0.0):
    flip = rotation_about([1, 0, 0], np.pi)
    return make_transform([x, y, z], rotation_about([0, 0, 1], yaw) @ flip)


def problem(robot, context, moved, turned, obstacles=NOTHING):
    """Return the cost of carrying points by a shift and a turn, and the scaled start."""
    grasp = robot.chain.tip(robot.home)
    places = grasp[:3, 3] + np.random.default_rng(0).uniform(-0.04, 0.04, (20, 3))
    turn = rotation_about([0, 0, 1], turned)
    targets = (places - grasp[:3, 3]) @ turn.T + grasp[:3, 3] + moved
    scene = Surroundings(-0.5, obstacles, NOTHING, 0.008)
    scale = PoseScale(context.rig.workspace, yaw_of(grasp))
    cost = KeyframeCost(
        robot,
        AnnealingConfig(),
        scale,
        grasp,
        Keyframe(1, places, targets, np.ones(20)),
        places,
        DistanceField(scene),
        robot.home,
    )
    return cost, scale.numbers(grasp)


def test_poses_and_numbers_are_each_others_inverse(context):
    scale = PoseScale(context.rig.workspace, 3.0)
    for yaw in (-3.0, 0.0, 3.1):
        pose = down(0.5, 0.1, 0.2, yaw) @ make_transform([0, 0, 0], rotation_about([0, 1, 0], 0.4))
        x = scale.numbers(pose)
        assert np.abs(x).max() <= 1
        np.testing.assert_allclose(scale.poses(x[None])[0], pose, atol=1e-9)


def test_every_number_within_the_bounds_is_a_hand_that_points_down_in_the_workspace(context):
    workspace = context.rig.workspace
    x = np.random.default_rng(0).uniform(-1, 1, (500, 6))
    poses = PoseScale(workspace, 0.7).poses(x)
    assert (poses[:, 2, 2] <= 1e-9).all()
    assert workspace.contains(poses[:, :3, 3]).all()


def test_a_hand_that_points_up_is_refused(context):
    with pytest.raises(NoPathError, match=r'points \+1\.00 up'):
        PoseScale(context.rig.workspace, 0.0).numbers(make_transform([0.5, 0.0, 0.2]))


def test_the_first_keyframe_is_found_from_far_and_met(robot, context):
    cost, x = problem(robot, context, [0.05, -0.15, 0.02], 0.8)
    found = solve_keyframe(cost, x, True, 0, lambda: False)
    pose = cost.scale.poses(found[None])[0]
    wanted = cost.grasp[:3, 3] + [0.05, -0.15, 0.02]
    assert np.linalg.norm(pose[:3, 3] - wanted) < 5e-4
    turn = rotation_about([0, 0, 1], 0.8) @ cost.grasp[:3, :3]
    assert np.degrees(np.arccos((np.trace(turn.T @ pose[:3, :3]) - 1) / 2)) < 0.3


def test_a_later_keyframe_starts_at_the_answer_before_and_is_met(robot, context):
    cost, x = problem(robot, context, [0.01, -0.02, 0.01], 0.05)
    found = solve_keyframe(cost, x, False, 0, lambda: False)
    pose = cost.scale.poses(found[None])[0]
    assert np.linalg.norm(pose[:3, 3] - cost.grasp[:3, 3] - [0.01, -0.02, 0.01]) < 5e-4


def test_the_slope_is_the_derivative_of_the_cost(robot, context):
    cost, x = problem(robot, context, [0.05, -0.15, 0.02], 0.8)
    x = x + 0.01
    slope = cost.slope(x)
    for axis in range(6):
        step = 1e-5 * np.eye(6)[axis]
        numeric = (cost(x + step) - cost(x - step)) / 2e-5
        assert slope[axis] == pytest.approx(numeric, rel=1e-2, abs=1e-3 * np.abs(slope).max())


def test_collisions_and_poses_out_of_reach_cost(robot, context):
    free, x = problem(robot, context, [0.0, 0.0, 0.0], 0.0)
    inside, _ = problem(robot, context, [0.0, 0.0, 0.0], 0.0, free.shape)
    assert inside(x) > free(x)
    far = replace(free, scale=PoseScale(replace(context.rig.workspace, upper=(3, 3, 3)), 0.0))
    terms = far._reach(down(2.0, 2.0, 1.0)[None]), far._reach(free.grasp[None])
    assert terms[0] > terms[1] + 10


def test_keyframes_are_even_and_their_points_spread(annealer, cluttered):
    flow = cluttered[2]
    path = tracked_path(flow, annealer._config)
    frames = choose_keyframes(path, flow, annealer._config)
    assert len(frames) == annealer._config.keyframes
    assert frames[-1].step == flow.num_steps - 1
    assert all(len(f.places) == annealer._config.keypoints for f in frames)
    spread = np.ptp(flow.points[0], axis=0)
    assert (np.ptp(frames[0].places, axis=0) > 0.8 * spread).all()


def test_a_flow_whose_end_is_hidden_is_refused(annealer, cluttered):
    flow = cluttered[2]
    path = tracked_path(flow, annealer._config)
    blind = replace(path, tracked=replace(path.tracked, weights=path.tracked.weights.copy()))
    blind.tracked.weights[-1] = 0.0
    with pytest.raises(DegenerateFlowError, match='0 points are visible at the end'):
        choose_keyframes(blind, flow, annealer._config)


def test_the_object_ends_where_its_flow_ends(plan, robot):
    hand = robot.chain.tip(follow_of(plan).positions[-1])
    wanted = plan.object_poses[-1] @ plan.grasp.T_world_tcp
    assert np.linalg.norm(hand[:3, 3] - wanted[:3, 3]) < 0.001
    turn = np.arccos(np.clip((np.trace(hand[:3, :3].T @ wanted[:3, :3]) - 1) / 2, -1, 1))
    assert np.degrees(turn) < 0.5


def test_the_whole_plan_is_joined_within_limits_and_hits_nothing(plan, context, robot, cluttered):
    world = CollisionWorld(robot, perceive(cluttered[0], cluttered[1], context, robot))
    moves = [s for s in plan.segments if s.trajectory is not None]
    for before, after in pairwise(moves):
        np.testing.assert_allclose(
            before.trajectory.positions[-1], after.trajectory.positions[0], atol=1e-6
        )
    for segment in moves:
        trajectory = segment.trajectory
        assert (np.abs(trajectory.velocities) <= context.robot.max_velocity).all()
        assert (np.abs(trajectory.accelerations) <= context.robot.max_acceleration).all()
        assert robot.chain.limit_margin(trajectory.positions).min() >= 0
    follow = follow_of(plan)
    fine = [follow.sample(t) for t in np.linspace(0, follow.duration, 200)]
    assert world.first_collision(np.array(fine), plan.grasp.width) is None


def test_the_same_seed_gives_the_same_answer(robot, context):
    cost, x = problem(robot, context, [0.05, -0.15, 0.02], 0.8)
    answers = [solve_keyframe(cost, x, True, 4, lambda: False) for _ in range(2)]
    np.testing.assert_array_equal(*answers)


def test_the_search_stops_when_told_to(robot, context):
    cost, x = problem(robot, context, [0.05, -0.15, 0.02], 0.8)
    left = [20]

    def cancelled():
        left[0] -= 1
        return left[0] < 0

    with pytest.raises(CancelledError):
        solve_keyframe(cost, x, True, 0, cancelled)


def test_an_end_that_is_missed_is_an_error_with_the_numbers(cluttered, context, proposer):
    strict = AnnealingConfig(max_end_error=1e-9, max_tries=1)
    planner = AnnealingPlanner(strict, context, proposer)
    with pytest.raises(NoPathError, match=r'ends \d+\.\d+ mm and \d+\.\d+ degrees off'):
        planner.plan(*cluttered)


def test_it_is_built_by_name_from_parameters(context, proposer):
    parameters = {'backend': 'annealing', 'annealing': {'keyframes': 5}}
    assert isinstance(create_flow_planner(parameters, context, proposer), AnnealingPlanner)
