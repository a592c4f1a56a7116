# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from flow_manip_control.execution import PlanExecutor
from flow_manip_core.errors import (
    BadTrajectoryError,
    CancelledError,
    GraspMissedError,
    ObjectLostError,
    StageTimeoutError,
    StaleInputError,
)
from flow_manip_core.plan import Grasp, GripperReading, Plan, PlanSegment, Trajectory
from flow_manip_core.transforms import make_transform


class FakeArm:
    """Goes where it is told, polling `cancelled` at every point."""

    def __init__(self, context):
        self.names = context.robot.joint_names
        self.now = np.array(context.robot.home)
        self.followed, self.tolerances = [], []

    def joint_positions(self):
        return dict(zip(self.names, self.now))

    def follow(self, trajectory, cancelled, goal_tolerance=0.0):
        self.tolerances.append(goal_tolerance)
        for positions in trajectory.positions:
            self.now = positions
            if cancelled():
                raise CancelledError('stopped')
        self.followed.append(trajectory)

    def stop(self):
        pass


class FakeGripper:
    """Closes onto something of a given thickness, which may slip out after some readings."""

    def __init__(self, thickness, holds_for=10**9):
        self.thickness, self.left = thickness, holds_for
        self.opening = 0.08

    def move(self, width, effort, cancelled):
        self.opening = max(width, self.thickness)
        return GripperReading(self.opening, stalled=self.opening > width)

    def width(self):
        self.left -= 1
        return self.opening if self.left > 0 else 0.0


def move(context, joint=0, angle=0.3, start=None, steps=31, duration=1.5):
    start = np.array(context.robot.home if start is None else start)
    times = np.linspace(0, duration, steps)
    s = times / duration
    blend = 10 * s**3 - 15 * s**4 + 6 * s**5
    rate = (30 * s**2 - 60 * s**3 + 30 * s**4) / duration
    bend = (60 * s - 180 * s**2 + 120 * s**3) / duration**2
    direction = np.eye(7)[joint] * angle
    return Trajectory(
        context.robot.joint_names,
        times,
        start + blend[:, None] * direction,
        rate[:, None] * direction,
        bend[:, None] * direction,
    )


def make_plan(context, **changes):
    there = move(context)
    back = move(context, angle=-0.3, start=there.positions[-1])
    segments = (
        PlanSegment('open', gripper_width=0.08),
        PlanSegment('approach', there),
        PlanSegment('grasp', gripper_width=0.0, gripper_effort=20.0, expect_object=True),
        PlanSegment('follow', back, holding=True),
        PlanSegment('release', gripper_width=0.08),
    )
    grasp = Grasp(make_transform([0.5, 0, 0.05]), 0.04)
    fields = {'robot': 'franka', 'grasp': grasp, 'segments': segments}
    fields |= {'object_poses': np.eye(4)[None], 'times': np.zeros(1)}
    return Plan(**{**fields, **changes})


def run(context, plan, gripper=None, **options):
    arm = FakeArm(context)
    gripper = gripper or FakeGripper(0.04)
    return arm, PlanExecutor(arm, gripper, context).execute(plan, **options)


def test_a_plan_runs_segment_by_segment(context):
    seen = []
    arm, outcome = run(
        context, make_plan(context), on_segment=lambda i, name, p: seen.append(name)
    )
    assert seen == ['open', 'approach', 'grasp', 'follow', 'release', 'done']
    assert outcome.segments_done == 5
    assert outcome.final_gripper_width == 0.08
    np.testing.assert_allclose(arm.now, context.robot.home, atol=1e-9)


def test_a_move_that_may_end_beside_its_goal_says_so_to_the_arm_and_no_other(context):
    plan = make_plan(context)
    guided = replace(plan.segments[3], goal_tolerance=0.03)
    arm, _ = run(context, replace(plan, segments=(*plan.segments[:3], guided, plan.segments[4])))
    assert arm.tolerances == [0.0, 0.03]


def test_closing_on_nothing_is_a_missed_grasp(context):
    with pytest.raises(GraspMissedError, match=r'0\.0 mm'):
        run(context, make_plan(context), FakeGripper(0.0))


def test_fingers_that_close_on_the_way_have_lost_the_object(context):
    with pytest.raises(ObjectLostError, match=r"during 'follow' .* from 0\.040 to 0\.000 m"):
        run(context, make_plan(context), FakeGripper(0.04, holds_for=5))


class GivingGripper(FakeGripper):
    """What it holds gives way after some readings, and the fingers come to rest at `final`."""

    def __init__(self, thickness, final, holds_for=5):
        super().__init__(thickness, holds_for)
        self.final = final

    def width(self):
        self.left -= 1
        return self.opening if self.left > 0 else self.final


def test_a_slanted_wall_that_turns_flush_with_the_fingers_is_not_lost(context):
    for thickness, flush in ((0.013, 0.004), (0.061, 0.050), (0.027, 0.0035)):
        run(context, make_plan(context), GivingGripper(thickness, flush))


def test_fingers_that_get_where_they_were_sent_have_lost_the_object(context):
    plan = make_plan(context)
    grasp = replace(plan.segments[2], gripper_width=0.02)
    plan = replace(plan, segments=(*plan.segments[:2], grasp, *plan.segments[3:]))
    run(context, plan, GivingGripper(0.06, 0.024))
    with pytest.raises(ObjectLostError, match=r'from 0\.060 to 0\.021 m: the hand is empty'):
        run(context, plan, GivingGripper(0.06, 0.021))


def test_fingers_that_did_not_close_hold_nothing(context):
    with pytest.raises(GraspMissedError, match=r'from 80\.0 to 79\.5 mm: something keeps it open'):
        run(context, make_plan(context), FakeGripper(0.0795))


def test_fingers_that_get_where_they_were_told_without_resistance_hold_nothing(context):
    plan = make_plan(context)
    grasp = replace(plan.segments[2], gripper_width=0.02)
    segments = (*plan.segments[:2], grasp, *plan.segments[3:])
    with pytest.raises(GraspMissedError, match=r'to 20\.0 mm, .* without resistance'):
        run(context, make_plan(context, segments=segments), FakeGripper(0.015))
    run(context, make_plan(context, segments=segments), FakeGripper(0.03))


def test_what_gives_way_under_the_fingers_is_a_missed_grasp(context):
    class NeverAtRest(FakeGripper):
        def move(self, width, effort, cancelled):
            if effort > 0:
                raise StageTimeoutError('gripper at 50.6 mm after 3.0 s')
            return super().move(width, effort, cancelled)

    with pytest.raises(GraspMissedError, match=r'gives way: gripper at 50\.6 mm'):
        run(context, make_plan(context), NeverAtRest(0.04))


def test_a_cancel_stops_between_and_within_segments(context):
    for after in range(0, 40, 3):
        polls = iter([False] * after + [True] * 1000)
        with pytest.raises(CancelledError):
            run(context, make_plan(context), cancelled=lambda polls=polls: next(polls))


def changed(trajectory, **fields):
    return PlanSegment('move', replace(trajectory, **fields))


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda c, t: changed(t, joint_names=tuple('abcdefg')), 'is for joints'),
        (
            lambda c, t: changed(t, positions=t.positions + np.eye(7)[0] * 3.0),
            'position of panda_joint1',
        ),
        (lambda c, t: changed(t, velocities=t.velocities * 50), 'velocity of panda_joint1'),
        (
            lambda c, t: changed(t, accelerations=t.accelerations * 50),
            'acceleration of panda_joint1',
        ),
        (lambda c, t: changed(t, times=t.times / 50), 'velocity between points'),
        (lambda c, t: PlanSegment('move', move(c, 1, 2.5, duration=8.0)), 'takes the tool to'),
        (lambda c, t: PlanSegment('open', gripper_width=0.2), 'opens the gripper'),
    ],
)
def test_motion_beyond_a_limit_is_refused_before_anything_moves(context, make, message):
    segments = (PlanSegment('approach', move(context)), make(context, move(context)))
    arm = FakeArm(context)
    with pytest.raises(BadTrajectoryError, match=message):
        PlanExecutor(arm, FakeGripper(0.04), context).execute(
            make_plan(context, segments=segments)
        )
    assert not arm.followed


def test_a_jump_between_segments_is_refused(context):
    segments = (PlanSegment('a', move(context)), PlanSegment('b', move(context)))
    with pytest.raises(BadTrajectoryError, match=r"'b' starts 0\.300 rad"):
        run(context, make_plan(context, segments=segments))


def test_a_plan_for_another_robot_is_refused(context):
    with pytest.raises(BadTrajectoryError, match="robot 'spot'"):
        run(context, make_plan(context, robot='spot'))


def test_a_plan_that_starts_elsewhere_is_stale(context):
    start = np.array(context.robot.home) + 0.2
    segments = (PlanSegment('a', move(context, start=start)),)
    with pytest.raises(StaleInputError, match=r'0\.200 rad from where'):
        run(context, make_plan(context, segments=segments))
