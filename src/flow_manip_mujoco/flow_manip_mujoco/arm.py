# SPDX-License-Identifier: Apache-2.0
"""The cell's arm and gripper for use in one process: commands return when the simulator has been stepped through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flow_manip_core.errors import (
    BadTrajectoryError,
    CancelledError,
    InvalidInputError,
    StageTimeoutError,
    ToleranceViolatedError,
)
from flow_manip_core.plan import Trajectory
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.panda import ARM_JOINTS
from flow_manip_mujoco.splines import SplineTrajectory

Cancelled = Callable[[], bool]

_POLL_PERIOD = 0.01  # [s] simulated between looks at `cancelled`


@dataclass(frozen=True)
class TrackingTolerance:
    """When a motion counts as failed or finished.

    Attributes:
        path: largest error of any joint on the way [rad].
        goal: largest error of any joint at the end [rad].
        velocity: slower than this is at rest [rad/s].
        goal_time: how long the arm may take to come within `goal` after the trajectory's end [s].
    """

    path: float = 0.15
    goal: float = 0.01
    velocity: float = 0.02
    goal_time: float = 1.0


@dataclass(frozen=True)
class GripperReading:
    """How a gripper command ended.

    Attributes:
        width: opening between the fingers [m].
        stalled: they stand, pressing, away from where they were sent.
    """

    width: float
    stalled: bool


class CellArm:
    """The arm of a `SimulatedCell`."""

    def __init__(self, cell: SimulatedCell, tolerance: TrackingTolerance | None = None) -> None:
        """Command the arm of `cell`; `tolerance` says when a motion has failed."""
        self._cell = cell
        self._tolerance = tolerance or TrackingTolerance()

    def joint_positions(self) -> dict[str, float]:
        """Return the measured joints of arm and fingers [rad, m]."""
        return self._cell.joint_positions()

    def follow(self, trajectory: Trajectory, cancelled: Cancelled = lambda: False) -> None:
        """Follow a trajectory to its end.

        Raises:
            BadTrajectoryError: its joints are not the arm's.
            CancelledError: `cancelled` turned true; the arm rests.
            ToleranceViolatedError: the arm did not follow, or did not come to the goal; it rests.
        """
        spline = arm_spline(trajectory)
        cell, controller = self._cell, self._cell.arm_controller
        controller.follow(spline, cell.time)
        while controller.remaining(cell.time) > 0.0:
            self._poll(cancelled)
            error = np.abs(controller.error)
            if error.max() > self._tolerance.path:
                self.stop()
                joint = int(error.argmax())
                raise ToleranceViolatedError(
                    f'{ARM_JOINTS[joint]} is {error[joint]:.3f} rad off its path, '
                    f'limit {self._tolerance.path} rad'
                )
        deadline = cell.time + self._tolerance.goal_time
        while not self._has_arrived():
            self._poll(cancelled)
            if cell.time > deadline:
                worst = float(np.abs(controller.error).max())
                raise ToleranceViolatedError(
                    f'{worst:.4f} rad off the goal {self._tolerance.goal_time} s after the end, '
                    f'limit {self._tolerance.goal} rad'
                )

    def stop(self) -> None:
        """Brake now, within the joints' accelerations, and return when the arm rests."""
        cell = self._cell
        duration = cell.arm_controller.stop(cell.time)
        cell.step(int(np.ceil(duration / cell.timestep)) + 1)
        limit = cell.time + self._tolerance.goal_time
        while not self._rests() and cell.time < limit:
            cell.step()

    def _poll(self, cancelled: Cancelled) -> None:
        """Step a little; brake and raise if asked to."""
        self._cell.step(max(1, round(_POLL_PERIOD / self._cell.timestep)))
        if cancelled():
            self.stop()
            raise CancelledError(f'motion cancelled at {self._cell.time:.2f} s; the arm rests')

    def _rests(self) -> bool:
        velocity = self._cell.arm_controller.velocities(self._cell.data)
        return bool(np.abs(velocity).max() < self._tolerance.velocity)

    def _has_arrived(self) -> bool:
        error = np.abs(self._cell.arm_controller.error).max()
        return self._rests() and bool(error < self._tolerance.goal)


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
            if status.stalled or (status.reached and abs(status.velocity) < 0.005):
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
