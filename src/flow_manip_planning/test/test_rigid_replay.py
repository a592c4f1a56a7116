# SPDX-License-Identifier: Apache-2.0
"""The baselines: rigid transforms replayed, and grasps that are tested at the start only."""

from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.backends import create_backend
from flow_manip_core.errors import CancelledError, DegenerateFlowError, UnreachableError
from flow_manip_core.rigid import fit_flow_transforms
from flow_manip_core.transforms import make_transform
from flow_manip_planning.flow_planner import create_flow_planner
from flow_manip_planning.flow_planner.rigid_replay import adjacent_transforms
from flow_manip_planning.grasp import GRASP_PROPOSERS
from flow_manip_planning.grasp.start_tested import StartTestedConfig, StartTestedGrasps

PATH = 'flow_manip_planning.grasp.start_tested:StartTestedGrasps'


@pytest.fixture(scope='module')
def cube(tabletop, scenes):
    """A cube that is carried over 20 cm and turned."""
    thing = scenes.thing(0.5, 0.1, (0.05, 0.05, 0.05), 0.4)
    observation, masks = tabletop.look(thing)
    flow = scenes.flow(observation, masks[0], thing.pose[:3, 3], (0.05, -0.2, 0), turn=0.5)
    return observation, masks[0], flow


@pytest.fixture(scope='module')
def replay(context, proposer):
    return create_flow_planner({'backend': 'rigid_replay'}, context, proposer)


@pytest.fixture(scope='module')
def start_tested(context):
    return create_backend(GRASP_PROPOSERS, {'backend': PATH}, context)


def hands_along(plan, robot, count=40):
    follow = next(s for s in plan.segments if s.name == 'follow').trajectory
    at = np.linspace(0, follow.duration, count)
    return robot.chain.tip(np.array([follow.sample(t) for t in at]))


def test_the_hand_replays_the_transforms_of_the_flow(replay, cube, robot):
    plan = replay.plan(*cube, seed=1)
    assert [s.name for s in plan.segments] == [
        'open', 'transfer', 'approach', 'grasp', 'follow', 'release', 'retreat', 'home'
    ]  # fmt: skip
    fitted, _ = fit_flow_transforms(cube[2])
    np.testing.assert_allclose(plan.object_poses, fitted)
    hands = hands_along(plan, robot)
    for hand, pose in ((hands[0], fitted[0]), (hands[-1], fitted[-1])):
        np.testing.assert_allclose(hand, pose @ plan.grasp.T_world_tcp, atol=2e-3)


def test_outliers_are_replayed_with_the_rest(replay, cube):
    observation, mask, flow = cube
    points = flow.points.copy()
    points[1:, ::3] += [0.0, 0.0, 0.06]
    plan = replay.plan(observation, mask, replace(flow, points=points), seed=1)
    centre = np.append(points[0].mean(axis=0), 1.0)
    lifted = (plan.object_poses[-1] @ centre)[2] - flow.points[-1].mean(axis=0)[2]
    assert lifted == pytest.approx(0.02, abs=0.006)


def test_neighbouring_fits_agree_without_noise_and_add_up_errors_where_points_get_lost(cube):
    flow = cube[2]
    fitted, _ = fit_flow_transforms(flow)
    np.testing.assert_allclose(adjacent_transforms(flow), fitted, atol=1e-5)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, flow.points.shape).astype(np.float32)
    seen = rng.random(flow.points.shape[:2]) < 0.5
    noisy = replace(flow, points=flow.points + noise, confidence=seen.astype(np.float32))
    centre = np.append(flow.points[0].mean(axis=0), 1.0)

    def error(poses):
        return np.linalg.norm((poses - fitted) @ centre, axis=1)[-5:].mean()

    assert error(adjacent_transforms(noisy)) > 2 * error(fit_flow_transforms(noisy)[0])


def test_the_adjacent_way_is_a_parameter(context, proposer, cube):
    parameters = {'backend': 'rigid_replay', 'rigid_replay': {'adjacent': True}}
    plan = create_flow_planner(parameters, context, proposer).plan(*cube, seed=1)
    np.testing.assert_allclose(plan.object_poses, adjacent_transforms(cube[2]))


def test_what_is_out_of_reach_later_is_found_out_too_late(replay, cube):
    observation, mask, flow = cube
    away = flow.points.copy()
    away[:, :, 0] += np.linspace(0.0, 0.8, flow.num_steps)[:, None]
    with pytest.raises(UnreachableError, match=r'step \d+ of \d+ of the replayed flow'):
        replay.plan(observation, mask, replace(flow, points=away), seed=1)


def test_a_flow_that_fixes_no_motion_is_an_error_and_a_cancel_is_seen(replay, cube):
    observation, mask, flow = cube
    line = np.repeat(flow.points[:, :1], flow.num_points, axis=1)
    with pytest.raises(DegenerateFlowError):
        replay.plan(observation, mask, replace(flow, points=line))
    with pytest.raises(CancelledError):
        replay.plan(*cube, cancelled=lambda: True)


def test_one_grasp_is_left_and_it_is_the_best_that_works(start_tested, proposer, cube):
    observation, mask, _ = cube
    every = proposer.propose(observation, mask, max_grasps=64, seed=1)
    (chosen,) = start_tested.propose(observation, mask, max_grasps=64, seed=1)
    best = [grasp for grasp in every if grasp.score > chosen.score]
    assert len(best) < len(every) / 2
    assert any(np.array_equal(g.T_world_tcp, chosen.T_world_tcp) for g in every)


def test_grasps_out_of_reach_are_counted(context, cube):
    class Far:
        def propose(self, *args, **hints):
            return [replace(g, T_world_tcp=make_transform([3, 0, 0])) for g in grasps]

    observation, mask, _ = cube
    proposer = StartTestedGrasps(StartTestedConfig(), context)
    grasps = proposer.propose(observation, mask)
    proposer._proposer = Far()
    with pytest.raises(UnreachableError, match='none of 1 grasps works at the start: 1 grasp out'):
        proposer.propose(observation, mask)
