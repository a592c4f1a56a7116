# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
import task_scene as scene

from flow_manip_core.errors import StaleInputError, ToleranceViolatedError
from flow_manip_core.plan import ExecutionOutcome
from flow_manip_task.recovery import is_finished, plan_recovery, recover

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


class Hand:
    """Executes plans and says how wide its fingers end; moves may be told to fail."""

    def __init__(self, plan, joints, width, *failures):
        self.joints, self.fingers, self.failures = joints, width, list(failures)
        self.done = []

    def __call__(self, plan):
        error = self.failures.pop(0) if self.failures and names(plan) != ['feel'] else None
        if error is not None:
            raise error
        self.done.append(names(plan))
        self.holding = [segment.holding for segment in plan.segments]
        return ExecutionOutcome(len(plan.segments), self.fingers)


def carrying(width):
    """The plan, its fingers told to close to 2 cm, and what `recover` takes beside it."""
    plan = chained()
    segments = list(plan.segments)
    segments[GRASP] = replace(segments[GRASP], gripper_width=0.02)
    return replace(plan, segments=tuple(segments)), width


@pytest.mark.parametrize('share', [0.2, 0.8])
def test_a_hand_that_still_holds_something_puts_it_back(share):
    plan, fingers = carrying(0.035)
    joints = joints_at(plan, FOLLOW, share)
    hand = Hand(plan, joints, fingers)
    recover(plan, FOLLOW, lambda: joints, hand, WIDTH)
    assert hand.done == [['feel'], ['undo follow', 'open', 'undo approach']]
    assert hand.holding == [True, False, False], 'it feels when what it carries meets the table'


def test_an_empty_hand_opens_at_once_and_leaves_by_the_far_end():
    plan, fingers = carrying(0.021)
    early, late = (joints_at(plan, FOLLOW, share) for share in (0.2, 0.8))
    hand = Hand(plan, early, fingers)
    recover(plan, FOLLOW, lambda: early, hand, WIDTH)
    assert hand.done == [['feel'], ['open', 'finish follow', 'finish retreat']]
    hand = Hand(plan, late, fingers)
    recover(plan, FOLLOW, lambda: late, hand, WIDTH)
    assert hand.done == [['feel'], ['open', 'undo follow', 'undo approach']]
    assert not any(hand.holding)


def test_what_slipped_and_meets_the_table_too_early_is_let_go_there():
    plan, fingers = carrying(0.035)
    joints = joints_at(plan, FOLLOW, 0.5)
    hand = Hand(plan, joints, fingers, ToleranceViolatedError('the hand is 21 mm off its way'))
    recover(plan, FOLLOW, lambda: joints, hand, WIDTH)
    assert hand.done == [['feel'], ['open'], ['undo follow', 'open', 'undo approach']]
    assert not any(hand.holding), 'with an open hand nothing is felt any more'


def test_an_empty_hand_that_runs_into_something_says_so():
    plan, fingers = carrying(0.021)
    joints = joints_at(plan, FOLLOW, 0.5)
    hand = Hand(plan, joints, fingers, ToleranceViolatedError('joint 4 is 0.2 rad off'))
    with pytest.raises(ToleranceViolatedError, match='joint 4'):
        recover(plan, FOLLOW, lambda: joints, hand, WIDTH)


def test_before_the_grasp_nothing_is_felt_for():
    plan, fingers = carrying(0.08)
    joints = joints_at(plan, APPROACH, 0.5)
    hand = Hand(plan, joints, fingers)
    recover(plan, APPROACH, lambda: joints, hand, WIDTH)
    assert hand.done == [['open', 'undo approach']]


def test_the_hand_opens_as_far_as_the_plan_does_for_more_may_not_be_free():
    plan = chained()
    segments = list(plan.segments)
    segments[RELEASE] = replace(segments[RELEASE], gripper_width=0.05)
    plan = replace(plan, segments=tuple(segments))
    back = plan_recovery(plan, GRASP, joints_at(plan, APPROACH, 1.0), WIDTH)
    assert back.segments[0].gripper_width == 0.05


def test_an_arm_that_was_pushed_off_its_way_starts_where_it_is_and_comes_back_to_it():
    plan = chained()
    joints = joints_at(plan, APPROACH, 0.5)
    pushed = {name: value + 0.08 * (-1) ** i for i, (name, value) in enumerate(joints.items())}
    back = plan_recovery(plan, APPROACH, pushed, WIDTH).segments[-1].trajectory
    np.testing.assert_allclose(back.positions[0], list(pushed.values()), atol=1e-9)
    np.testing.assert_allclose(
        back.positions[-1], plan.segments[APPROACH].trajectory.positions[0], atol=1e-9
    )
    assert np.allclose(back.velocities[[0, -1]], 0)
    assert np.abs(back.velocities).max() < 0.5
    assert np.abs(back.accelerations[1:-1]).max() < 2.0


def test_an_arm_that_was_pushed_off_the_very_start_goes_back_to_it():
    plan = chained()
    pushed = {name: value + 0.08 for name, value in joints_at(plan, APPROACH, 0.0).items()}
    back = plan_recovery(plan, APPROACH, pushed, WIDTH)
    assert names(back) == ['open', 'undo approach']
