# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
import task_scene as scene

from flow_manip_core.errors import StaleInputError
from flow_manip_task.recovery import is_finished, plan_recovery

APPROACH, GRASP, FOLLOW, RELEASE, RETREAT = range(5)
WIDTH = 0.08


def chained() -> object:
    """The plan of the scene, its motions joined end to start."""
    plan = scene.put_plan()
    follow = plan.segments[FOLLOW].trajectory
    shift = plan.segments[APPROACH].trajectory.positions[-1] - follow.positions[0]
    moved = replace(follow, positions=follow.positions + shift)
    segments = list(plan.segments)
    segments[FOLLOW] = replace(segments[FOLLOW], trajectory=moved)
    return replace(plan, segments=tuple(segments))


def joints_at(plan, segment, share):
    trajectory = plan.segments[segment].trajectory
    return dict(zip(trajectory.joint_names, trajectory.sample(share * trajectory.duration)))


def names(plan):
    return [segment.name for segment in plan.segments]


def test_a_missed_grasp_opens_the_hand_and_backs_out():
    plan = chained()
    back = plan_recovery(plan, GRASP, joints_at(plan, APPROACH, 1.0), WIDTH)
    assert names(back) == ['open', 'undo approach']
    start = plan.segments[APPROACH].trajectory.positions[0]
    assert np.allclose(back.segments[-1].trajectory.positions[-1], start)


def test_an_object_in_the_hand_is_put_back_where_it_was_taken():
    plan = chained()
    back = plan_recovery(plan, FOLLOW, joints_at(plan, FOLLOW, 0.6), WIDTH)
    assert names(back) == ['undo follow', 'open', 'undo approach']
    moves = [s.trajectory for s in back.segments if s.trajectory is not None]
    assert np.allclose(moves[0].positions[-1], moves[1].positions[0])


def test_after_letting_go_the_arm_goes_on_with_its_retreat():
    plan = chained()
    back = plan_recovery(plan, RETREAT, joints_at(plan, RETREAT, 0.5), WIDTH)
    assert names(back) == ['open', 'finish retreat']
    end = plan.segments[RETREAT].trajectory.positions[-1]
    assert np.allclose(back.segments[-1].trajectory.positions[-1], end)


def test_a_lifted_object_is_set_down_again():
    plan = chained()
    plan = replace(plan, segments=plan.segments[:RELEASE])
    assert not is_finished(plan, len(plan.segments))
    back = plan_recovery(plan, len(plan.segments), {}, WIDTH)
    assert names(back) == ['undo follow', 'open', 'undo approach']


def test_a_plan_that_let_go_and_withdrew_is_finished():
    assert is_finished(chained(), 5)
    assert not is_finished(chained(), RETREAT)


def test_the_way_back_starts_where_the_arm_is_at_rest_and_is_slower():
    plan = chained()
    joints = joints_at(plan, APPROACH, 0.5)
    back = plan_recovery(plan, APPROACH, joints, WIDTH).segments[-1].trajectory
    assert np.abs(back.positions[0] - list(joints.values())).max() < 0.02
    assert np.allclose(back.velocities[[0, -1]], 0)
    fastest = np.abs(plan.segments[APPROACH].trajectory.velocities).max()
    assert np.abs(back.velocities).max() < 0.7 * fastest


def test_an_arm_that_is_somewhere_else_has_no_known_way_back():
    plan = chained()
    joints = dict.fromkeys(joints_at(plan, APPROACH, 0.5), 3.0)
    with pytest.raises(StaleInputError, match=r'rad off the motion'):
        plan_recovery(plan, APPROACH, joints, WIDTH)
    with pytest.raises(StaleInputError, match='no joint state'):
        plan_recovery(plan, APPROACH, {}, WIDTH)
