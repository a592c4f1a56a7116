# SPDX-License-Identifier: Apache-2.0
"""The cell's arm and gripper in one process: a command returns when it is stepped through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from flow_manip_core.errors import (
    BadTrajectoryError,
    CancelledError,
    InvalidInputError,
    StageTimeoutError,
    ToleranceViolatedError,
)
from flow_manip_core.plan import GripperReading, Trajectory
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.panda import ARM_JOINTS
from flow_manip_mujoco.splines import SplineTrajectory
from flow_manip_mujoco.tracking import Outcome, ToleranceConfig, Tolerances, TrajectoryExecution

Cancelled = Callable[[], bool]

_POLL_PERIOD = 0.01  # [s] simulated between looks at `cancelled`


class CellArm:
    """The arm of a `SimulatedCell`."""

    def __init__(self, cell: SimulatedCell, tolerance: ToleranceConfig | None = None) -> None:
        """Command the arm of `cell`; `tolerance` says when a motion has failed."""
        self._cell = cell
        self._tolerances = Tolerances.from_config(tolerance or ToleranceConfig())

    def joint_positions(self) -> dict[str, float]:
        """Return the measured joints of arm and fingers [rad, m]."""
        return self._cell.joint_positions()

    def follow(
        self,
        trajectory: Trajectory,
        cancelled: Cancelled = lambda: False,
        goal_tolerance: float = 0.0,
    ) -> None:
        """Follow a trajectory to its end.

        Args:
            trajectory: of the arm's joints.
            cancelled: polled; brakes.
            goal_tolerance: how far each joint may be off at the end, 0: the arm's own [rad].

        Raises:
            BadTrajectoryError: its joints are not the arm's.
            CancelledError: `cancelled` turned true; the arm rests.
            ToleranceViolatedError: the arm did not follow or did not arrive; it rests.
        """
        controller, tolerances = self._cell.arm_controller, self._tolerances
        if goal_tolerance > 0:
            bound = np.full(len(ARM_JOINTS), goal_tolerance)
            tolerances = replace(tolerances, goal=bound)
        execution = TrajectoryExecution(
            controller, arm_spline(trajectory), tolerances, self._cell.time
        )
        while self._advance(execution) is Outcome.RUNNING:
            if cancelled():
                execution.cancel(self._cell.time)
        if execution.outcome is Outcome.CANCELLED:
            raise CancelledError(f'motion {execution.message} at {self._cell.time:.2f} s')
        if execution.outcome is not Outcome.SUCCEEDED:
            raise ToleranceViolatedError(execution.message)

    def stop(self) -> None:
        """Brake now, within the joints' accelerations, and return when the arm rests."""
        cell = self._cell
        hold = SplineTrajectory([0.0], cell.arm_controller.reference.position[None])
        execution = TrajectoryExecution(cell.arm_controller, hold, self._tolerances, cell.time)
        execution.cancel(cell.time)
        while self._advance(execution) is Outcome.RUNNING:
            pass

    def _advance(self, execution: TrajectoryExecution) -> Outcome:
        cell = self._cell
        cell.step(max(1, round(_POLL_PERIOD / cell.timestep)))
        return execution.update(cell.time, cell.arm_controller.velocities(cell.data))


class CellGripper:
    """The gripper of a `SimulatedCell`."""

    def __init__(self, cell: SimulatedCell, timeout: float = 3.0) -> None:
        """Command the gripper of `cell`, giving each command `timeout` seconds."""
        self._cell, self._timeout = cell, timeout

    def width(self) -> float:
        """Return the measured opening [m]."""
        return self._cell.gripper_controller.status.width

    def move(
        self, width: float, effort: float, cancelled: Cancelled = lambda: False
    ) -> GripperReading:
        """Open or close until the width is reached or something is in the way.

        Args:
            width: opening [m].
            effort: largest force of each finger; 0 means all there is [N].
            cancelled: polled; stops the fingers where they are.

        Raises:
            InvalidInputError: a value is not finite or negative.
            CancelledError: `cancelled` turned true.
            StageTimeoutError: it neither arrived nor stalled.
        """
        if not np.isfinite([width, effort]).all() or width < 0 or effort < 0:
            raise InvalidInputError(f'gripper width {width} m, effort {effort} N')
        cell, controller = self._cell, self._cell.gripper_controller
        controller.move(width, effort, cell.model)
        deadline = cell.time + self._timeout
        while True:
            cell.step(max(1, round(_POLL_PERIOD / cell.timestep)))
            status = controller.status
            if status.settled:
                return GripperReading(status.width, status.stalled)
            if cancelled():
                controller.hold(cell.model)
                raise CancelledError(f'gripper cancelled at {status.width * 1e3:.1f} mm')
            if cell.time > deadline:
                raise StageTimeoutError(
                    f'gripper at {status.width * 1e3:.1f} mm after {self._timeout} s, '
                    f'target {controller.target * 1e3:.1f} mm'
                )


def arm_spline(trajectory: Trajectory) -> SplineTrajectory:
    """Order a trajectory's joints as the arm's and make it samplable.

    Raises:
        BadTrajectoryError: its joints are not exactly the arm's.
    """
    if sorted(trajectory.joint_names) != sorted(ARM_JOINTS):
        raise BadTrajectoryError(
            f'trajectory moves {list(trajectory.joint_names)}, the arm has {list(ARM_JOINTS)}'
        )
    order = [trajectory.joint_names.index(name) for name in ARM_JOINTS]
    return SplineTrajectory(
        trajectory.times,
        trajectory.positions[:, order],
        trajectory.velocities[:, order],
        trajectory.accelerations[:, order],
    )
