# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.errors import CancelledError
from flow_manip_core.transforms import make_transform, transform_distance
from flow_manip_planning.inverse_kinematics import (
    follow_poses,
    random_starts,
    solve_ik,
    solve_ik_multistart,
)


def reachable_targets(robot, count, seed=0):
    return robot.chain.tip(random_starts(robot.chain, count, np.random.default_rng(seed)))


def test_reachable_poses_are_found_from_a_few_starts(robot):
    targets = reachable_targets(robot, 60)
    seeds = np.concatenate(
        [robot.home[None], random_starts(robot.chain, 9, np.random.default_rng(1))]
    )
    q, solved = solve_ik_multistart(robot.chain, targets, seeds, robot.home)
    assert solved.any(axis=1).mean() >= 0.95
    for target, postures, ok in zip(targets, q, solved):
        for posture in postures[ok]:
            metres, radians = transform_distance(robot.chain.tip(posture), target)
            assert metres < 3e-4
            assert radians < 2e-3
    assert (q >= robot.chain.lower).all()
    assert (q <= robot.chain.upper).all()


def test_an_answer_near_the_start_is_preferred(robot):
    start = random_starts(robot.chain, 20, np.random.default_rng(2))
    near = start + 0.02 * np.random.default_rng(3).normal(size=start.shape)
    result = solve_ik(robot.chain, robot.chain.tip(near), start)
    assert result.solved.all()
    assert np.abs(result.q - start).max() < 0.3


def test_a_pose_out_of_reach_is_not_called_solved(robot):
    far = make_transform([2.0, 0.0, 0.5])[None]
    result = solve_ik(robot.chain, far, robot.home[None])
    assert not result.solved[0]
    assert result.position_error[0] > 0.5


def test_continuation_follows_a_line_without_changing_posture(robot):
    start = robot.chain.tip(robot.home)
    line = np.array(
        [make_transform([0.004 * k, 0.002 * k, -0.004 * k]) @ start for k in range(60)]
    )
    q, solved = follow_poses(robot.chain, line[None], robot.home[None], robot.home[None])
    assert solved.all()
    assert np.abs(np.diff(q[0], axis=0)).max() < 0.05
    errors = [transform_distance(robot.chain.tip(a), b) for a, b in zip(q[0], line)]
    assert max(errors)[0] < 3e-4


def test_continuation_stops_when_told_to(robot):
    line = np.tile(robot.chain.tip(robot.home), (1, 10, 1, 1))
    with pytest.raises(CancelledError):
        follow_poses(robot.chain, line, robot.home[None], robot.home[None], cancelled=lambda: True)
