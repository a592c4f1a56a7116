# SPDX-License-Identifier: Apache-2.0
"""Running a plan on an arm and a gripper, whoever they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from flow_manip_control.limits import LimitsConfig, TrajectoryLimits
from flow_manip_core.errors import (
    BadTrajectoryError,
    CancelledError,
    GraspMissedError,
    ObjectLostError,
    StaleInputError,
)
from flow_manip_core.plan import ExecutionOutcome, GripperReading, Plan, PlanSegment
from flow_manip_core.robot import Context

Cancelled = Callable[[], bool]


class Arm(Protocol):
    """A robot arm that follows joint trajectories."""

    def joint_positions(self) -> dict[str, float]:
        """Return the joints [rad]; StaleInputError when they are older than 0.1 s."""

    def follow(self, trajectory: object, cancelled: Cancelled) -> None:
        """Follow a `Trajectory` to its end; the arm is at rest when this returns or raises.

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
        lost_travel: fingers that close by more than this while holding have lost the object [m].
        limits: of trajectories.
    """

    start_tolerance: float = 0.05
    empty_width: float = 0.003
    lost_travel: float = 0.008
    limits: LimitsConfig = field(default_factory=LimitsConfig)


class PlanExecutor:
    """Runs plans segment by segment."""

    def __init__(
        self, arm: Arm, gripper: Gripper, context: Context, config: ExecutionConfig | None = None
    ) -> None:
        """Take the arm and the gripper of one robot."""
        self._arm, self._gripper = arm, gripper
        self._config = config or ExecutionConfig()
        self._limits = TrajectoryLimits(self._config.limits, context)
        self._robot = context.robot

    def execute(
        self,
        plan: Plan,
        *,
        on_segment: Callable[[int, str, float], None] = lambda index, name, progress: None,
        cancelled: Cancelled = lambda: False,
    ) -> ExecutionOutcome:
        """Check the whole plan, then run it.

        Args:
            plan: for this robot.
            on_segment: told the index and name of each segment that starts and 0..1 of the plan.
            cancelled: polled all the time.

        Raises:
            BadTrajectoryError: a segment breaks a limit; nothing has moved.
            StaleInputError: the arm is not where the motion starts.
            GraspMissedError: the gripper closed on nothing.
            ObjectLostError: the object left the gripper on the way.
            CancelledError: `cancelled` turned true; the arm is at rest.
            FlowManipError: what the arm and the gripper raise.
        """
        self._check(plan)
        held: float | None = None
        width = self._gripper.width()
        for index, segment in enumerate(plan.segments):
            on_segment(index, segment.name, index / len(plan.segments))
            if cancelled():
                raise CancelledError(f"cancelled before '{segment.name}'")
            if segment.trajectory is None:
                width = self._move_gripper(segment, cancelled)
                held = width if segment.expect_object else None
            else:
                self._follow(segment, held if segment.holding else None, cancelled)
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

    def _follow(self, segment: PlanSegment, held: float | None, cancelled: Cancelled) -> None:
        trajectory = segment.trajectory
        assert trajectory is not None
        now = self._arm.joint_positions()
        missing = [name for name in trajectory.joint_names if name not in now]
        if missing:
            raise StaleInputError(f'no joint state of {missing}')
        away = np.abs(
            np.array([now[name] for name in trajectory.joint_names]) - trajectory.positions[0]
        )
        if away.max() > self._config.start_tolerance:
            joint = trajectory.joint_names[int(away.argmax())]
            raise StaleInputError(
                f"{joint} is {away.max():.3f} rad from where '{segment.name}' starts, limit "
                f'{self._config.start_tolerance}'
            )

        lost_at: list[float] = []

        def interrupted() -> bool:
            if held is not None:
                width = self._gripper.width()
                if width < self._config.empty_width or width < held - self._config.lost_travel:
                    lost_at.append(width)
                    return True
            return cancelled()

        try:
            self._arm.follow(trajectory, interrupted)
        except CancelledError as error:
            if lost_at:
                raise ObjectLostError(
                    f"during '{segment.name}' the fingers closed from {held:.3f} to "
                    f'{lost_at[0]:.3f} m'
                ) from error
            raise

    def _move_gripper(self, segment: PlanSegment, cancelled: Cancelled) -> float:
        """Run a gripper segment and return the opening it ends at [m]."""
        reading = self._gripper.move(segment.gripper_width, segment.gripper_effort, cancelled)
        if segment.expect_object and reading.width < self._config.empty_width:
            raise GraspMissedError(
                f'the gripper closed to {reading.width * 1000:.1f} mm: nothing between the fingers'
            )
        return reading.width
