# SPDX-License-Identifier: Apache-2.0
"""Running a plan on an arm and a gripper, whoever they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from flow_manip_control.compliance import ComplianceConfig, HandWatch
from flow_manip_control.limits import LimitsConfig, TrajectoryLimits
from flow_manip_control.monitoring import ObjectMonitor
from flow_manip_control.progress import plan_progress, SegmentProgress
from flow_manip_core.errors import (
    BadTrajectoryError,
    CancelledError,
    FlowManipError,
    GraspMissedError,
    ObjectLostError,
    SlipError,
    StageTimeoutError,
    StaleInputError,
)
from flow_manip_core.plan import ExecutionOutcome, GripperReading, Plan, PlanSegment
from flow_manip_core.robot import Context

Cancelled = Callable[[], bool]
Watch = Callable[[], FlowManipError | None]  # what is wrong now, None if nothing is


class Arm(Protocol):
    """A robot arm that follows joint trajectories."""

    def joint_positions(self) -> dict[str, float]:
        """Return the joints [rad]; StaleInputError when they are older than 0.1 s."""

    def follow(
        self, trajectory: object, cancelled: Cancelled, goal_tolerance: float = 0.0
    ) -> None:
        """Follow a `Trajectory` to its end; the arm is at rest when this returns or raises.

        Each joint ends within `goal_tolerance` of its goal [rad], or the arm's own where it is 0.

        Raises:
            CancelledError: `cancelled` turned true.
            ToleranceViolatedError, ControllerRejectedError, PeerLostError, StaleInputError: as
            they say.
        """

    def stop(self) -> None:
        """Brake now."""


class Gripper(Protocol):
    """A two-finger gripper."""

    def move(self, width: float, effort: float, cancelled: Cancelled) -> GripperReading:
        """Open or close to `width` [m] with at most `effort` [N] and wait until it rests."""

    def width(self) -> float:
        """Return the opening now [m]."""


@dataclass(frozen=True)
class ExecutionConfig:
    """When execution is refused or given up.

    Attributes:
        start_tolerance: how far each joint may be from where the motion starts [rad].
        empty_width: a gripper closed to less than this holds nothing [m].
        empty_margin: fingers this close to the opening they were sent to when they took the object
            have nothing between them any more; by how much they closed says little, as a slanted
            wall turns flush with them [m].
        contact_travel: fingers that closed by less than this have met no object but something
            that keeps them open [m].
        limits: of trajectories.
        compliance: how far the hand may be from its way while it holds something.
    """

    start_tolerance: float = 0.05
    empty_width: float = 0.003
    empty_margin: float = 0.002
    contact_travel: float = 0.001
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    compliance: ComplianceConfig = field(default_factory=ComplianceConfig)


@dataclass(frozen=True)
class _Grip:
    """The opening when the hand took something, and the one below which it is empty [m]."""

    width: float
    empty: float


class PlanExecutor:
    """Runs plans segment by segment."""

    def __init__(
        self,
        arm: Arm,
        gripper: Gripper,
        context: Context,
        config: ExecutionConfig | None = None,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Take the arm and the gripper of one robot.

        Args:
            arm: of the robot.
            gripper: of the robot.
            context: robot and rig.
            config: thresholds.
            clock: seconds by which trajectories run; without it a hand that lags behind is left
                to the arm's own tolerances, one beside its way is noticed all the same.
        """
        self._arm, self._gripper = arm, gripper
        self._config = config or ExecutionConfig()
        self._limits = TrajectoryLimits(self._config.limits, context)
        self._robot = context.robot
        self._clock = clock

    def execute(
        self,
        plan: Plan,
        *,
        on_segment: Callable[[int, str, float], None] = lambda index, name, progress: None,
        cancelled: Cancelled = lambda: False,
        monitor: ObjectMonitor | None = None,
    ) -> ExecutionOutcome:
        """Check the whole plan, then run it.

        Args:
            plan: for this robot.
            on_segment: told the index and name of each segment that starts and 0..1 of the plan.
            cancelled: polled all the time.
            monitor: closes the loop on the object's tracked motion; without it only the fingers
                tell whether the object is held.

        Raises:
            BadTrajectoryError: a segment breaks a limit; nothing has moved.
            StaleInputError: the arm is not where the motion starts.
            GraspMissedError: the gripper closed on nothing, or on something as wide as it opens.
            ObjectLostError: the object left the gripper on the way, and nobody tracks it.
            SlipError: the tracked object left its flow, or the hand is empty; the arm is at rest.
            ToleranceViolatedError: the hand was pushed off its way; the arm is at rest.
            CancelledError: `cancelled` turned true; the arm is at rest.
            FlowManipError: what the arm and the gripper raise.
        """
        self._check(plan)
        progress = plan_progress(plan, self._limits.tcp_pose)
        if monitor is not None:
            monitor.begin(plan, progress)
        held: _Grip | None = None
        width = self._gripper.width()
        for index, segment in enumerate(plan.segments):
            on_segment(index, segment.name, index / len(plan.segments))
            if cancelled():
                raise CancelledError(f"cancelled before '{segment.name}'")
            if segment.trajectory is None:
                width = self._move_gripper(segment, width, cancelled)
                was_held, held = held, self._grip(segment, width)
                if monitor is not None and held is not None:
                    monitor.grasped()
                elif monitor is not None and was_held is not None:
                    monitor.released()
            else:
                watches = self._watches(index, segment, held, progress, monitor)
                self._follow(segment, watches, cancelled)
        on_segment(len(plan.segments), 'done', 1.0)
        return ExecutionOutcome(len(plan.segments), width)

    def _check(self, plan: Plan) -> None:
        """Refuse a plan that breaks a limit or jumps between its segments."""
        if plan.robot != self._robot.name:
            raise BadTrajectoryError(
                f"the plan is for robot '{plan.robot}', this is '{self._robot.name}'"
            )
        last = None
        for segment in plan.segments:
            if segment.trajectory is None:
                if not 0.0 <= segment.gripper_width <= self._robot.gripper.max_width + 1e-6:
                    raise BadTrajectoryError(
                        f"'{segment.name}' opens the gripper to {segment.gripper_width} m, limit "
                        f'{self._robot.gripper.max_width} m'
                    )
                continue
            self._limits.check(segment.trajectory, f"'{segment.name}'")
            first = segment.trajectory.positions[0]
            if last is not None and np.abs(first - last).max() > self._config.start_tolerance:
                raise BadTrajectoryError(
                    f"'{segment.name}' starts {np.abs(first - last).max():.3f} rad from where the "
                    'motion before it ends'
                )
            last = segment.trajectory.positions[-1]

    def _watches(
        self,
        index: int,
        segment: PlanSegment,
        held: _Grip | None,
        progress: Mapping[int, SegmentProgress],
        monitor: ObjectMonitor | None,
    ) -> list[Watch]:
        """Return what is looked at while a segment runs, the most telling first."""
        watches: list[Watch] = []
        if monitor is not None:
            watches.append(lambda: monitor.look(index, self._joints(segment)))
        if segment.holding and held is not None:
            watches.append(lambda: self._fingers(segment, held, monitor))
        if segment.holding and index in progress:
            hand = HandWatch(
                self._config.compliance, progress[index], self._limits.tcp_pose, self._clock
            )
            watches.append(lambda: hand.look(segment.name, self._joints(segment)))
        return watches

    def _follow(self, segment: PlanSegment, watches: list[Watch], cancelled: Cancelled) -> None:
        """Run a move; raise what a watch finds once the arm is at rest."""
        trajectory = segment.trajectory
        assert trajectory is not None
        away = np.abs(self._joints(segment) - trajectory.positions[0])
        if away.max() > self._config.start_tolerance:
            joint = trajectory.joint_names[int(away.argmax())]
            raise StaleInputError(
                f"{joint} is {away.max():.3f} rad from where '{segment.name}' starts, limit "
                f'{self._config.start_tolerance}'
            )
        found: list[FlowManipError] = []

        def interrupted() -> bool:
            if not found:
                found.extend(error for watch in watches if (error := watch()) is not None)
            return bool(found) or cancelled()

        try:
            self._arm.follow(trajectory, interrupted, segment.goal_tolerance)
        except CancelledError as error:
            if found:
                raise found[0] from error
            raise
        if found:  # the last look came too late to stop anything: the arm is at rest
            raise found[0]

    def _joints(self, segment: PlanSegment) -> np.ndarray:
        """Return the (J,) measured joints in the order of the segment's trajectory [rad]."""
        assert segment.trajectory is not None
        now = self._arm.joint_positions()
        names = segment.trajectory.joint_names
        missing = [name for name in names if name not in now]
        if missing:
            raise StaleInputError(f'no joint state of {missing}')
        return np.array([now[name] for name in names])

    def _grip(self, segment: PlanSegment, width: float) -> _Grip | None:
        """Return what a gripper segment that ended at `width` [m] holds; None if it lets go."""
        if not segment.expect_object:
            return None
        config = self._config
        return _Grip(width, max(config.empty_width, segment.gripper_width + config.empty_margin))

    def _fingers(
        self, segment: PlanSegment, held: _Grip, monitor: ObjectMonitor | None
    ) -> FlowManipError | None:
        """Say whether the hand has become empty."""
        width = self._gripper.width()
        if width >= held.empty:
            return None
        what = (
            f"during '{segment.name}' the fingers closed from {held.width:.3f} to {width:.3f} m: "
            'the hand is empty'
        )
        if monitor is None or not monitor.tracking:
            return ObjectLostError(what)
        last = f'; it was last {monitor.last}' if monitor.last is not None else ''
        return SlipError(what + last)

    def _move_gripper(self, segment: PlanSegment, before: float, cancelled: Cancelled) -> float:
        """Run a gripper segment and return the opening it ends at [m]."""
        try:
            reading = self._gripper.move(segment.gripper_width, segment.gripper_effort, cancelled)
        except StageTimeoutError as error:
            if not segment.expect_object:
                raise
            raise GraspMissedError(f'what the fingers close on gives way: {error}') from error
        if segment.expect_object:
            self._check_contact(segment, before, reading)
        return reading.width

    def _check_contact(self, segment: PlanSegment, before: float, reading: GripperReading) -> None:
        """Refuse to carry what is not between the fingers: they must press on something."""
        ended = f'the gripper closed from {before * 1000:.1f} to {reading.width * 1000:.1f} mm'
        if reading.width < self._config.empty_width:
            raise GraspMissedError(f'{ended}: nothing between the fingers')
        if before - reading.width < self._config.contact_travel:
            raise GraspMissedError(f'{ended}: something keeps it open')
        if not reading.stalled:
            raise GraspMissedError(
                f'{ended}, where it was to press beyond what it holds '
                f'({segment.gripper_width * 1000:.1f} mm), without resistance'
            )
