# SPDX-License-Identifier: Apache-2.0
"""Sampling joint trajectories: position, velocity and acceleration at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BadTrajectoryError
from flow_manip_core.plan import Trajectory

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class JointState:
    """Joint positions [rad], velocities [rad/s] and accelerations [rad/s^2], each (J,)."""

    position: Vector
    velocity: Vector
    acceleration: Vector

    @classmethod
    def at_rest(cls, position: Vector) -> JointState:
        """Return standing still at `position`."""
        position = np.array(position, dtype=np.float64)
        return cls(position, np.zeros_like(position), np.zeros_like(position))


class SplineTrajectory:
    """Piecewise polynomials through waypoints.

    Quintic with accelerations, cubic with velocities, else linear: the same choice as
    ros2_control's joint_trajectory_controller makes. Before the first and after the last waypoint
    it stands still.
    """

    def __init__(
        self,
        times: Sequence[float] | Vector,
        positions: Vector,
        velocities: Vector | None = None,
        accelerations: Vector | None = None,
    ) -> None:
        """Fit the pieces.

        Args:
            times: (T,) seconds, strictly increasing, T >= 1.
            positions: (T, J) [rad].
            velocities: (T, J) [rad/s].
            accelerations: (T, J) [rad/s^2]; need velocities.

        Raises:
            BadTrajectoryError: times do not increase, or values are missing or not finite.
        """
        self.times = np.asarray(times, dtype=np.float64)
        self.positions = np.asarray(positions, dtype=np.float64)
        values = [v for v in (self.positions, velocities, accelerations) if v is not None]
        if len(self.times) == 0 or any(len(v) != len(self.times) for v in values):
            raise BadTrajectoryError('trajectory is empty or has values missing')
        if not all(np.isfinite(v).all() for v in (self.times, *values)):
            raise BadTrajectoryError('trajectory is not finite')
        if (np.diff(self.times) <= 0).any():
            raise BadTrajectoryError('trajectory times do not increase')
        self._velocities, self._accelerations = velocities, accelerations
        self._coefficients = _fit(self.times, self.positions, velocities, accelerations)
        last = np.zeros_like(self.positions[-1])
        self._end = JointState(self.positions[-1].copy(), last, last)

    @classmethod
    def from_trajectory(cls, trajectory: Trajectory) -> SplineTrajectory:
        """Sample a plan's trajectory as it was timed."""
        return cls(
            trajectory.times,
            trajectory.positions,
            trajectory.velocities,
            trajectory.accelerations,
        )

    def starting_from(self, state: JointState, delay: float = 0.0) -> SplineTrajectory:
        """Return this trajectory, later by `delay`, with a piece before it that begins in `state`.

        Unchanged if its first waypoint would be at time 0.
        """
        times = self.times + delay
        if times[0] <= 1e-6:
            return self
        rows = [
            None if mine is None else np.vstack([now, mine])
            for now, mine in (
                (state.position, self.positions),
                (state.velocity, self._velocities),
                (state.acceleration, self._accelerations),
            )
        ]
        return SplineTrajectory(np.concatenate([[0.0], times]), *rows)

    @property
    def duration(self) -> float:
        """Time of the last waypoint [s]."""
        return float(self.times[-1])

    def sample(self, time: float) -> JointState:
        """Return the state at `time` [s]."""
        if time >= self.times[-1] or len(self.times) == 1:
            return self._end
        if time <= self.times[0]:
            return JointState.at_rest(self.positions[0])
        index = int(np.searchsorted(self.times, time, side='right')) - 1
        s = time - self.times[index]
        powers = s ** np.arange(6)
        c = self._coefficients[index]
        return JointState(
            powers @ c,
            (np.arange(1, 6) * powers[:5]) @ c[1:],
            (np.array([2.0, 6.0, 12.0, 20.0]) * powers[:4]) @ c[2:],
        )


def stopping_trajectory(state: JointState, max_acceleration: Vector) -> SplineTrajectory:
    """Bring a moving arm to rest, all joints in the same time, as fast as the weakest allows.

    Args:
        state: the commanded state now.
        max_acceleration: (J,) [rad/s^2].

    Returns:
        A trajectory from time 0 that ends at rest.
    """
    duration = float(np.max(np.abs(state.velocity) / max_acceleration))
    if duration < 1e-3:
        return SplineTrajectory([0.0], state.position[None])
    times = np.array([0.0, duration])
    positions = np.stack([state.position, state.position + 0.5 * duration * state.velocity])
    # With these ends the cubic is the parabola of constant deceleration.
    return SplineTrajectory(
        times, positions, np.stack([state.velocity, np.zeros_like(state.velocity)])
    )


def _fit(times: Vector, q: Vector, v: Vector | None, a: Vector | None) -> Vector:
    """Return (T-1, 6, J) polynomial coefficients in the time since each piece began."""
    h = np.diff(times)[:, None]
    c = np.zeros((len(times) - 1, 6, q.shape[1]))
    dq = np.diff(q, axis=0)
    c[:, 0] = q[:-1]
    if v is None:
        c[:, 1] = dq / h
        return c
    v = np.asarray(v, dtype=np.float64)
    v0, v1 = v[:-1], v[1:]
    c[:, 1] = v0
    if a is None:
        c[:, 2] = (3 * dq - (2 * v0 + v1) * h) / h**2
        c[:, 3] = (-2 * dq + (v0 + v1) * h) / h**3
        return c
    a = np.asarray(a, dtype=np.float64)
    a0, a1 = a[:-1], a[1:]
    c[:, 2] = a0 / 2
    c[:, 3] = (20 * dq - (8 * v1 + 12 * v0) * h - (3 * a0 - a1) * h**2) / (2 * h**3)
    c[:, 4] = (-30 * dq + (14 * v1 + 16 * v0) * h + (3 * a0 - 2 * a1) * h**2) / (2 * h**4)
    c[:, 5] = (12 * dq - 6 * (v1 + v0) * h + (a1 - a0) * h**2) / (2 * h**5)
    return c
