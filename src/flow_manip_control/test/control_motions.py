# SPDX-License-Identifier: Apache-2.0
"""A plan whose hand really carries the object along its flow, and an arm with a clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flow_manip_control.limits import LimitsConfig, TrajectoryLimits
from flow_manip_core.errors import CancelledError
from flow_manip_core.plan import Grasp, GripperReading, Plan, PlanSegment, Trajectory
from flow_manip_core.tracking import TrackedPose
from flow_manip_core.transforms import invert_transform, make_transform, rotation_about

TICK = 0.01
FLOW_SECONDS = 5.0  # the flow's own duration; the motions below take another
OPEN, APPROACH, GRASP, FOLLOW, RELEASE = range(5)


class Clock:
    """Seconds that only the arm moves on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class SteppedArm:
    """Follows a trajectory tick by tick; `push(time)` says how far its joints are off it."""

    def __init__(self, context, clock, push=lambda time: 0.0):
        self.names, self.clock, self.push = context.robot.joint_names, clock, push
        self.positions = np.array(context.robot.home)

    def joint_positions(self):
        return dict(zip(self.names, self.positions))

    def follow(self, trajectory, cancelled, goal_tolerance=0.0):
        for time in np.arange(0.0, trajectory.duration + TICK, TICK):
            self.clock.now += TICK
            self.positions = trajectory.sample(time) + self.push(time)
            if cancelled():
                raise CancelledError(f'stopped after {time:.2f} s')

    def stop(self):
        pass


class Fingers:
    """A gripper that closes onto something of a thickness that a test may change."""

    def __init__(self, thickness=0.04):
        self.thickness, self.opening = thickness, 0.08

    def move(self, width, effort, cancelled):
        self.opening = max(width, self.thickness)
        return GripperReading(self.opening, stalled=self.opening > width)

    def width(self):
        return min(self.opening, self.thickness) if self.opening < 0.08 else self.opening


class HeldObject:
    """Is carried by the hand from `held_from` on; `slip(since)` moves it off that way.

    As a tracker it answers `latency` late, in a frame of its own.
    """

    def __init__(self, arm, clock, tcp_pose, latency=0.0):
        self.arm, self.clock, self.tcp_pose, self.latency = arm, clock, tcp_pose, latency
        self.start = make_transform([0.2, -0.3, 0.5], rotation_about([1, 2, 3], 2.0))
        self.carried_from = None
        self.slip = lambda since: np.eye(4)
        self.missing = lambda now: False
        self.seen = []

    def pose(self, now):
        if self.missing(now):
            return None
        pose = self.start
        if self.carried_from is not None:
            tcp, begun = self.carried_from
            moved = self.tcp_pose(self.arm.positions) @ invert_transform(tcp)
            pose = self.slip(now - begun) @ moved @ self.start
        self.seen.append(TrackedPose(now, pose))
        late = [tracked for tracked in self.seen if tracked.stamp <= now - self.latency]
        return late[-1] if late else None

    def carry(self):
        self.carried_from = (self.tcp_pose(self.arm.positions), self.clock())


def make_motion(context, start, joints, angle, duration, steps=61):
    """A smooth motion of some joints, from rest to rest."""
    times = np.linspace(0.0, duration, steps)
    s = times / duration
    direction = np.zeros(7)
    direction[list(joints)] = angle
    blend = np.outer(10 * s**3 - 15 * s**4 + 6 * s**5, direction)
    rate = np.outer(30 * s**2 - 60 * s**3 + 30 * s**4, direction) / duration
    bend = np.outer(60 * s - 180 * s**2 + 120 * s**3, direction) / duration**2
    return Trajectory(context.robot.joint_names, times, np.asarray(start) + blend, rate, bend)


def carrying_plan(context):
    """Return a plan, its object going where the hand takes it, and (J,) -> T_world_tcp."""
    tcp_pose = TrajectoryLimits(LimitsConfig(), context).tcp_pose
    approach = make_motion(context, context.robot.home, [3], -0.1, 0.6)
    follow = make_motion(context, approach.positions[-1], [0, 5], 0.35, 2.0)
    grasp = tcp_pose(follow.positions[0])
    poses = np.array([tcp_pose(q) @ invert_transform(grasp) for q in follow.positions])
    # The flow runs evenly along the same way, in its own time: the plan's timing is another.
    way = np.linspace(0.0, 1.0, 26)
    even = [follow.positions[0] + w * (follow.positions[-1] - follow.positions[0]) for w in way]
    poses = np.array([tcp_pose(q) @ invert_transform(grasp) for q in even])
    segments = (
        PlanSegment('open', gripper_width=0.08),
        PlanSegment('approach', approach),
        PlanSegment('grasp', gripper_effort=20.0, expect_object=True),
        PlanSegment('follow', follow, holding=True),
        PlanSegment('release', gripper_width=0.08),
    )
    plan = Plan(
        robot='franka',
        grasp=Grasp(grasp, 0.04),
        segments=segments,
        object_poses=poses,
        times=FLOW_SECONDS * way,
        object='red cube',
    )
    return plan, tcp_pose


def without_release(plan):
    """A plan that ends with the object in the hand, as a pour does."""
    return replace(plan, segments=plan.segments[:RELEASE])
