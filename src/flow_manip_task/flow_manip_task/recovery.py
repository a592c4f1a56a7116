# SPDX-License-Identifier: Apache-2.0
"""The way back from a plan that was not finished, along the way that was planned.

What the plan cleared on the way there is clear on the way back, so no planner is needed, and the
arm ends where it stood when the scene was observed. What slipped in the hand may meet the table
before the hand is back where it took it: the hand feels that, lets go there and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import StaleInputError, ToleranceViolatedError
from flow_manip_core.plan import ExecutionOutcome, Plan, PlanSegment, Trajectory

OFF_PATH = 0.1  # [rad] a joint farther than this from the planned motion is somewhere else
ON_PATH = 0.005  # [rad] a joint nearer than this to a place is there
PERIOD = 0.02  # [s] between points of a way back
# Of the time scaling: with these no joint is faster than 0.63 and accelerates more than 0.7 times
# what the plan's own limits allow.
SLOWNESS, MARGIN = 3.0, 1.0
TOUCH = 0.003  # [m] fingers that stop this close to where they were told hold nothing


def is_finished(plan: Plan, segment: int) -> bool:
    """Say whether a plan that got to `segment` has let go of the object and withdrawn the arm."""
    return segment >= len(plan.segments) and not _held_at_end(plan)


def recover(
    plan: Plan,
    segment: int,
    joint_positions: Callable[[], Mapping[str, float]],
    execute: Callable[[Plan], ExecutionOutcome],
    open_width: float,
) -> None:
    """Take the arm out of a plan that stopped.

    Args:
        plan: the one that stopped.
        segment: index of the segment that was running; the number of segments where all had run.
        joint_positions: where the joints are when it is called [rad].
        execute: runs a plan; raises ToleranceViolatedError where the hand is pushed off its way.
        open_width: opening of the hand that lets go where the plan itself opens it nowhere [m].

    Raises:
        StaleInputError: the arm is not on the motion of that segment.
        FlowManipError: what `execute` raises.
    """
    empty = _is_holding(plan, segment) and not _feels_something(plan, execute)
    way = plan_recovery(plan, segment, joint_positions(), open_width, empty=empty)
    if not way.segments:
        return
    try:
        execute(way)
    except ToleranceViolatedError:
        if not way.segments[0].holding:
            raise
        # What it carries stands on something: let go of it here.
        execute(replace(way, segments=(_opening(_cleared_width(plan, open_width)),)))
        rest = plan_recovery(plan, segment, joint_positions(), open_width)
        execute(replace(rest, segments=tuple(replace(s, holding=False) for s in rest.segments)))


def _is_holding(plan: Plan, segment: int) -> bool:
    return segment < len(plan.segments) and plan.segments[segment].holding


def _feels_something(plan: Plan, execute: Callable[[Plan], ExecutionOutcome]) -> bool:
    """Close the hand as the plan did: fingers that get where they were told are empty."""
    closing = next(s for s in plan.segments if s.expect_object)
    feel = replace(closing, name='feel', expect_object=False)
    outcome = execute(replace(plan, segments=(feel,), considered=(), rejections={}))
    return outcome.final_gripper_width > closing.gripper_width + TOUCH


def plan_recovery(
    plan: Plan,
    segment: int,
    joint_positions: Mapping[str, float],
    open_width: float,
    *,
    empty: bool = False,
) -> Plan:
    """Plan the way out of a plan that stopped.

    Before the object was let go: back along the motion, hand opened where it had closed. After
    that: on along the retreat. A hand that has lost the object opens at once and leaves by the end
    of the motion that is farther from where it lost it: there the object cannot lie.

    Args:
        plan: the one that stopped.
        segment: index of the segment that was running; the number of segments where all had run.
        joint_positions: where the joints are now [rad].
        open_width: opening of the hand that lets go where the plan itself opens it nowhere [m].
        empty: the object should be in the hand and is not.

    Returns:
        A plan for the same executor; without segments where nothing needs to move.

    Raises:
        StaleInputError: the arm is not on the motion of that segment; a joint is missing.
    """
    last = min(segment, len(plan.segments) - 1)
    released = _released_at(plan)
    forward = released is not None and segment > released
    if empty and released is not None and not forward:
        forward = _is_begun(plan.segments[last], joint_positions)
    order = range(last, len(plan.segments)) if forward else range(last, -1, -1)
    begun = segment < len(plan.segments)
    open_width = _cleared_width(plan, open_width)
    opened, first = forward or empty, True
    segments: list[PlanSegment] = [_opening(open_width)] if opened else []
    for index in order:
        part = plan.segments[index]
        if part.trajectory is None:
            if not opened:
                segments.append(_opening(open_width))
                opened = True
            continue
        way, first = _way(part, joint_positions, forward, begun and first), False
        if way is not None:
            segments.append(replace(way, holding=part.holding and not opened))
    if not opened:
        segments.insert(0, _opening(open_width))
    return replace(plan, segments=tuple(segments), considered=(), rejections={})


def _held_at_end(plan: Plan) -> bool:
    return _released_at(plan) is None and any(s.expect_object for s in plan.segments)


def _released_at(plan: Plan) -> int | None:
    """Return the index of the gripper segment that lets go, if there is one."""
    held = False
    for index, segment in enumerate(plan.segments):
        if segment.trajectory is None:
            if held and not segment.expect_object:
                return index
            held |= segment.expect_object
    return None


def _is_begun(segment: PlanSegment, joints: Mapping[str, float]) -> bool:
    """Say whether the arm is in the first half of a move."""
    trajectory = segment.trajectory
    assert trajectory is not None
    return _place_on_path(trajectory, joints, segment.name)[0] < 0.5 * trajectory.duration


def _cleared_width(plan: Plan, widest: float) -> float:
    """Return the opening that the plan uses itself: its fingers hit nothing beside the object."""
    used = [s.gripper_width for s in plan.segments if not (s.trajectory or s.expect_object)]
    return max(used, default=widest)


def _opening(width: float) -> PlanSegment:
    return PlanSegment('open', gripper_width=width)


def _way(
    segment: PlanSegment, joints: Mapping[str, float], forward: bool, partial: bool
) -> PlanSegment | None:
    """Return a segment's motion to its end or back to its start; None where it is there."""
    trajectory = segment.trajectory
    assert trajectory is not None
    times = trajectory.times - trajectory.times[0]
    start, away = 0.0 if forward else float(times[-1]), np.zeros(trajectory.positions.shape[1])
    if partial:
        start, away = _place_on_path(trajectory, joints, segment.name)
    end = float(times[-1]) if forward else 0.0
    if abs(end - start) < PERIOD and np.abs(away).max() < ON_PATH:
        return None
    name = f'{"finish" if forward else "undo"} {segment.name}'
    way = _retime(trajectory, start, end, away)
    return PlanSegment(name, way, goal_tolerance=segment.goal_tolerance)


def _place_on_path(
    trajectory: Trajectory, joints: Mapping[str, float], name: str
) -> tuple[float, NDArray[np.float64]]:
    """Return the time [s] of the trajectory's point nearest to the arm, and the (J,) way from it.

    Raises:
        StaleInputError: the arm is nowhere near, or a joint is missing.
    """
    missing = [joint for joint in trajectory.joint_names if joint not in joints]
    if missing:
        raise StaleInputError(f'no joint state of {missing}')
    now = np.array([joints[joint] for joint in trajectory.joint_names])
    samples = np.linspace(0.0, trajectory.duration, max(int(trajectory.duration / PERIOD), 1) + 1)
    away = now - _sample(trajectory, samples)
    nearest = int(np.argmin(np.abs(away).max(axis=1)))
    farthest = float(np.abs(away[nearest]).max())
    if farthest > OFF_PATH:
        raise StaleInputError(
            f"the arm is {farthest:.2f} rad off the motion of '{name}', limit {OFF_PATH} rad"
        )
    return float(samples[nearest]), away[nearest]


def _retime(
    trajectory: Trajectory, start: float, end: float, away: NDArray[np.float64]
) -> Trajectory:
    """Return the motion between two times of a trajectory, from rest to rest and slower.

    It begins (J,) `away` from the trajectory, where something has pushed the arm, and is back on
    it within `MARGIN` seconds.
    """
    span = end - start
    duration = SLOWNESS * abs(span) + MARGIN
    times = np.linspace(0.0, duration, int(np.ceil(duration / PERIOD)) + 1)
    s = times / duration
    along = start + span * (10 * s**3 - 15 * s**4 + 6 * s**5)
    back = np.minimum(times / MARGIN, 1.0)
    left = 1.0 - (10 * back**3 - 15 * back**4 + 6 * back**5)
    positions = _sample(trajectory, along) + left[:, None] * away
    velocities = np.gradient(positions, times, axis=0)
    velocities[[0, -1]] = 0.0
    accelerations = np.gradient(velocities, times, axis=0)
    return Trajectory(trajectory.joint_names, times, positions, velocities, accelerations)


def _sample(trajectory: Trajectory, times: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([trajectory.sample(trajectory.times[0] + time) for time in times])
