# SPDX-License-Identifier: Apache-2.0
"""One trajectory on its way: tolerances, stopping and how it ended, whoever steps the simulator.

The rules are those of ros2_control's joint_trajectory_controller.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from flow_manip_mujoco.control import ArmController
from flow_manip_mujoco.panda import ARM_JOINTS
from flow_manip_mujoco.splines import SplineTrajectory

Vector = NDArray[np.float64]


class Outcome(Enum):
    """How a trajectory stands."""

    RUNNING = 'running'
    SUCCEEDED = 'succeeded'
    PATH_VIOLATED = 'path tolerance violated'
    GOAL_VIOLATED = 'goal tolerance violated'
    CANCELLED = 'cancelled'
    REPLACED = 'replaced'


@dataclass(frozen=True)
class ToleranceConfig:
    """Tolerances that hold where a goal brings none; 0 means no bound.

    Attributes:
        path: largest error of any joint on the way [rad].
        goal: largest error of any joint at the end [rad].
        stopped_velocity: slower is at rest [rad/s].
        goal_time: seconds that the arm may take to come within `goal` after the last waypoint.
    """

    path: float = 0.15
    goal: float = 0.01
    stopped_velocity: float = 0.02
    goal_time: float = 1.0


@dataclass(frozen=True)
class Tolerances:
    """Bounds per joint, (J,) each; infinity where there is none.

    Attributes:
        path: of the position on the way [rad].
        path_velocity: of the velocity on the way [rad/s].
        goal: of the position at the end [rad].
        goal_velocity: of the velocity at the end [rad/s].
        goal_time: seconds after the last waypoint.
    """

    path: Vector
    path_velocity: Vector
    goal: Vector
    goal_velocity: Vector
    goal_time: float

    @classmethod
    def from_config(cls, config: ToleranceConfig) -> Tolerances:
        """Take the same bounds for every joint."""

        def bound(value: float) -> Vector:
            return np.full(len(ARM_JOINTS), value if value > 0 else np.inf)

        return cls(
            path=bound(config.path),
            path_velocity=bound(0.0),
            goal=bound(config.goal),
            goal_velocity=bound(config.stopped_velocity),
            goal_time=config.goal_time if config.goal_time > 0 else np.inf,
        )


class TrajectoryExecution:
    """Watches the arm while it follows one trajectory.

    Attributes:
        outcome: RUNNING until the arm is done with it.
        message: how it ended, with the numbers.
    """

    def __init__(
        self,
        controller: ArmController,
        spline: SplineTrajectory,
        tolerances: Tolerances,
        now: float,
        start: float | None = None,
    ) -> None:
        """Hand the trajectory to the controller.

        Args:
            controller: of the arm.
            spline: the trajectory.
            tolerances: when to give up.
            now: time of the simulator [s].
            start: time of the trajectory's zero, not after `now`; `now` if left out [s].
        """
        self._controller, self._tolerances = controller, tolerances
        self._end = (now if start is None else start) + spline.duration
        self._stopping: Outcome | None = None
        self._stopped_at = 0.0
        self.outcome, self.message = Outcome.RUNNING, ''
        controller.follow(spline, now if start is None else start)

    def update(self, now: float, velocity: Vector) -> Outcome:
        """Look at the arm; call regularly while the simulator is stepped.

        Args:
            now: time of the simulator [s].
            velocity: (J,) measured [rad/s].
        """
        if self.outcome is not Outcome.RUNNING:
            return self.outcome
        if self._stopping is not None:
            self._finish_stopping(now, velocity)
        elif now < self._end:
            self._check_path(now, velocity)
        else:
            self._check_goal(now, velocity)
        return self.outcome

    def cancel(self, now: float) -> None:
        """Brake; the outcome is CANCELLED as soon as the arm rests."""
        if self.outcome is Outcome.RUNNING and self._stopping is None:
            self._brake(now, Outcome.CANCELLED, 'cancelled; the arm rests')

    def replace(self) -> None:
        """Let go at once: another trajectory takes the arm over."""
        if self.outcome is Outcome.RUNNING:
            self.outcome, self.message = Outcome.REPLACED, 'replaced by a new trajectory'

    def _brake(self, now: float, outcome: Outcome, message: str) -> None:
        self._stopping, self.message = outcome, message
        self._stopped_at = now + self._controller.stop(now)

    def _finish_stopping(self, now: float, velocity: Vector) -> None:
        rests = np.abs(velocity).max() < 0.02
        # An arm that is pushed about may never rest; its reference does.
        if now >= self._stopped_at and (rests or now > self._stopped_at + 1.0):
            assert self._stopping is not None
            self.outcome = self._stopping

    def _check_path(self, now: float, velocity: Vector) -> None:
        for what, error, bound, unit in (
            ('position', self._controller.error, self._tolerances.path, 'rad'),
            (
                'velocity',
                self._controller.reference.velocity - velocity,
                self._tolerances.path_velocity,
                'rad/s',
            ),
        ):
            excess = np.abs(error) - bound
            joint = int(excess.argmax())
            if excess[joint] > 0:
                message = (
                    f'{ARM_JOINTS[joint]} {what} is {abs(error[joint]):.4f} {unit} off its path, '
                    f'limit {bound[joint]:.4f} {unit}'
                )
                self._brake(now, Outcome.PATH_VIOLATED, message)
                return

    def _check_goal(self, now: float, velocity: Vector) -> None:
        error = np.abs(self._controller.goal - self._controller.measured)
        close = (error <= self._tolerances.goal).all()
        if close and (np.abs(velocity) <= self._tolerances.goal_velocity).all():
            self.outcome, self.message = Outcome.SUCCEEDED, 'goal reached'
        elif now > self._end + self._tolerances.goal_time:
            joint = int((error - self._tolerances.goal).argmax())
            limits = self._tolerances
            message = (
                f'{ARM_JOINTS[joint]} is {error[joint]:.4f} rad off the goal at '
                f'{velocity[joint]:.3f} rad/s, {now - self._end:.2f} s after the end, limits '
                f'{limits.goal[joint]:.4f} rad, {limits.goal_velocity[joint]:.3f} rad/s, '
                f'{limits.goal_time:.2f} s'
            )
            self._brake(now, Outcome.GOAL_VIOLATED, message)
