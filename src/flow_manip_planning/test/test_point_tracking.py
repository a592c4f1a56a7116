# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from flow_manip_core.errors import CancelledError, DegenerateFlowError, NoPathError
from flow_manip_core.transforms import invert_transform, transform_distance
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.flow_planner import create_flow_planner
from flow_manip_planning.flow_planner.following import tracked_path
from flow_manip_planning.flow_planner.point_tracking import (
    PointTrackingConfig,
    PointTrackingPlanner,
)
from flow_manip_planning.surroundings import perceive


@pytest.fixture(scope='module')
def tracker(context, proposer):
    return PointTrackingPlanner(PointTrackingConfig(), context, proposer)


@pytest.fixture(scope='module')
def cluttered(tabletop, scenes):
    """A cube that is carried past a can."""
    cube = scenes.thing(0.5, 0.05, (0.05, 0.05, 0.05), 0.4)
    can = scenes.thing(0.6, 0.17, (0.035, 0.12))
    observation, masks = tabletop.look(cube, can)
    flow = scenes.flow(observation, masks[0], cube.pose[:3, 3], (0.05, -0.2, 0), turn=0.5)
    return observation, masks[0], flow


@pytest.fixture(scope='module')
def plan(tracker, cluttered):
    return tracker.plan(*cluttered, seed=1)


def hide(flow, share, seed=0):
    """Return the flow with most points hidden after the first step; what is hidden is unknown."""
    visible = np.random.default_rng(seed).uniform(size=flow.confidence.shape) >= share
    visible[0] = True
    points = flow.points.copy()
    points[~visible] = np.nan
    return replace(flow, points=points, confidence=visible.astype(np.float32))


def follow_of(plan):
    return next(s.trajectory for s in plan.segments if s.name == 'follow')


def end_error(plan, flow, robot):
    """Return metres and radians of the object at the end from where a clean flow leaves it."""
    hand = robot.chain.tip(follow_of(plan).positions[-1])
    source, target = flow.points[0].astype(float), flow.points[-1].astype(float)
    a, b = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((target - b).T @ (source - a))
    wanted = np.eye(4)
    wanted[:3, :3] = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    wanted[:3, 3] = b - wanted[:3, :3] @ a
    carried = hand @ invert_transform(plan.grasp.T_world_tcp)
    metres = np.linalg.norm((carried - wanted)[:3, :3] @ a + (carried - wanted)[:3, 3])
    return metres, transform_distance(carried, wanted)[1]


def test_the_plan_has_the_segments_of_every_planner(plan):
    assert [s.name for s in plan.segments] == [
        'open', 'transfer', 'approach', 'grasp', 'follow', 'release', 'retreat', 'home'
    ]  # fmt: skip


def test_segments_meet_exactly(plan):
    moves = [s.trajectory for s in plan.segments if s.trajectory is not None]
    for before, after in pairwise(moves):
        np.testing.assert_allclose(before.positions[-1], after.positions[0], atol=1e-9)


def test_the_object_ends_where_its_flow_ends(plan, cluttered, robot):
    metres, radians = end_error(plan, cluttered[2], robot)
    assert metres < 0.001
    assert np.degrees(radians) < 0.5


def test_every_limit_holds_and_nothing_is_hit(plan, context, robot, cluttered):
    trajectory = follow_of(plan)
    assert (np.abs(trajectory.velocities) <= context.robot.max_velocity).all()
    assert (np.abs(trajectory.accelerations) <= context.robot.max_acceleration).all()
    assert robot.chain.limit_margin(trajectory.positions).min() >= 0
    world = CollisionWorld(robot, perceive(cluttered[0], cluttered[1], context, robot))
    fine = [trajectory.sample(t) for t in np.linspace(0, trajectory.duration, 300)]
    assert world.first_collision(np.array(fine), plan.grasp.width) is None


@pytest.mark.parametrize('share', [0.5, 0.9])
def test_it_plans_with_most_points_hidden(tracker, cluttered, robot, share):
    observation, mask, flow = cluttered
    plan = tracker.plan(observation, mask, hide(flow, share), seed=1)
    metres, radians = end_error(plan, flow, robot)
    assert metres < 0.002
    assert np.degrees(radians) < 1.5


def test_outliers_among_the_points_do_not_lead_it_astray(tracker, cluttered, robot):
    observation, mask, flow = cluttered
    rng = np.random.default_rng(0)
    points = flow.points.copy()
    wrong = rng.uniform(size=flow.confidence.shape) < 0.2
    wrong[0] = False
    points[wrong] += 0.1 * rng.normal(size=(int(wrong.sum()), 3)).astype(np.float32)
    plan = tracker.plan(observation, mask, replace(flow, points=points), seed=1)
    metres, radians = end_error(plan, flow, robot)
    assert metres < 0.003
    assert np.degrees(radians) < 2.0


def test_the_same_seed_gives_the_same_plan(tracker, cluttered, plan):
    again = tracker.plan(*cluttered, seed=1)
    np.testing.assert_array_equal(follow_of(plan).positions, follow_of(again).positions)


def test_a_flow_whose_end_nobody_sees_is_refused(cluttered, tracker):
    _, _, flow = cluttered
    confidence = flow.confidence.copy()
    confidence[5:] = 0.0
    confidence[-1, :1] = 1.0
    with pytest.raises(DegenerateFlowError, match=r'end of the flow open to \d+ mm'):
        tracked_path(replace(flow, confidence=confidence), tracker._config)


def test_points_that_do_not_move_rigidly_are_refused(cluttered, tracker):
    _, _, flow = cluttered
    points = flow.points.copy()
    points[-1] += 0.2 * np.random.default_rng(0).normal(size=points[-1].shape).astype(np.float32)
    with pytest.raises(DegenerateFlowError, match=r'% of \d+ visible points are'):
        tracked_path(replace(flow, points=points), tracker._config)


def test_points_on_one_line_and_too_few_points_are_refused(cluttered, tracker):
    _, _, flow = cluttered
    line = flow.points.copy()
    line[:] = line[:, :1] + np.arange(line.shape[1])[:, None] * np.float32([0.001, 0.002, 0.0])
    with pytest.raises(DegenerateFlowError, match='on one line'):
        tracked_path(replace(flow, points=line), tracker._config)
    seen_once = np.zeros_like(flow.confidence)
    seen_once[0] = 1.0
    with pytest.raises(DegenerateFlowError, match=r'0 of .* points are visible at two'):
        tracked_path(replace(flow, confidence=seen_once), tracker._config)


def test_an_end_that_is_missed_is_an_error_with_the_numbers(cluttered, context, proposer):
    strict = PointTrackingConfig(max_end_error=1e-9, max_tries=1)
    planner = PointTrackingPlanner(strict, context, proposer)
    with pytest.raises(NoPathError, match=r'ends \d+\.\d+ mm and \d+\.\d+ degrees off'):
        planner.plan(*cluttered)


def test_planning_stops_when_told_to(cluttered, tracker):
    calls = []
    tracker.plan(*cluttered, cancelled=lambda: calls.append(0) or False)
    left = [len(calls) - 2]

    def cancelled():
        left[0] -= 1
        return left[0] < 0

    with pytest.raises(CancelledError):
        tracker.plan(*cluttered, cancelled=cancelled)


def test_it_is_built_by_name_from_parameters(context, proposer):
    parameters = {'backend': 'point_tracking', 'point_tracking': {'flow_weight': 20.0}}
    assert isinstance(create_flow_planner(parameters, context, proposer), PointTrackingPlanner)
