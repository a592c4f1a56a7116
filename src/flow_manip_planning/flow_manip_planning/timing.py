# SPDX-License-Identifier: Apache-2.0
"""Time along a joint path: as fast as the limits allow and no faster than wished.

TOPP-RA (Pham and Pham 2018): along q(s) the state is the squared path speed x = (ds/dt)^2 and the
control is u = d2s/dt2, so velocity and acceleration limits are linear in (x, u). One backward pass
finds the largest x from which the rest of the path can still be stopped in time, one forward pass
takes the largest u that stays below it (the library toppra). With the flow's own time as s, the
wish is the bound x <= 1: the flow's times are kept wherever the joints can follow.
"""

from __future__ import annotations

from itertools import pairwise
import logging

import numpy as np
from scipy.interpolate import BSpline, CubicSpline
from toppra.algorithm import TOPPRA
from toppra.constraint import (
    DiscretizationType,
    JointAccelerationConstraint,
    JointVelocityConstraint,
)
from toppra.interpolator import AbstractGeometricPath

from flow_manip_core.errors import LimitsError
from flow_manip_core.plan import Trajectory
from flow_manip_planning.kinematics import Array

# Cells of the grid: at least so many, more where rounded corners give many pieces to turn in.
NUM_GRID, CELLS_PER_PIECE, MAX_GRID = 200, 4, 800
TINY = 1e-9
UNBOUNDED = 1e9
# Limits hold at the grid points exactly; between them this reserve covers the curve of the path.
RESERVE = 0.97
MAX_DILATION = 1.5
MAX_SLOWDOWNS = 4
# It says in its log what is raised here.
logging.getLogger('toppra').setLevel(logging.CRITICAL)


def corner_spline(corners: Array, max_deviation: float) -> BSpline:
    """Round the corners of a (W, J) polyline to a twice differentiable curve with the same ends.

    A uniform cubic B-spline whose control points lie on the polyline, at most `max_deviation` rad
    apart near corners: it stays in the
    hull of four neighbours, so it leaves the polyline by less than that.

    Returns:
        the curve over 0..1.
    """
    points = [corners[0]]
    for a, b in pairwise(corners):
        pieces = max(3, int(np.ceil(np.abs(b - a).max() / max_deviation)))
        points.extend(a + (b - a) * f for f in np.linspace(0, 1, pieces + 1)[1:])
    control = np.array(points)
    knots = np.concatenate([np.zeros(3), np.linspace(0, 1, len(control) - 2), np.ones(3)])
    return BSpline(knots, control, 3)


def time_path(
    path: CubicSpline | BSpline,
    joint_names: tuple[str, ...],
    max_velocity: Array,
    max_acceleration: Array,
    max_speed: float | None = None,
    rate: float = 50.0,
) -> Trajectory:
    """Time a path from rest to rest.

    Args:
        path: twice differentiable q(s), (J,) radians, over its whole domain.
        joint_names: (J,) names.
        max_velocity: (J,) [rad/s].
        max_acceleration: (J,) [rad/s^2].
        max_speed: largest ds/dt; 1 where s is the wished time. Unbounded if left out.
        rate: points per second of the result.

    Raises:
        LimitsError: the path cannot be followed, or the result breaks a limit; the message has the
            numbers.
    """
    grid = _grid(path)
    squared = _squared_speeds(
        path, grid, RESERVE * max_velocity, RESERVE * max_acceleration, max_speed
    )
    trajectory = _sample(path, grid, squared, joint_names, rate)
    for _ in range(MAX_SLOWDOWNS):
        excess = max(
            (np.abs(trajectory.velocities) / max_velocity).max(),
            np.sqrt((np.abs(trajectory.accelerations) / max_acceleration).max()),
        )
        if not 1.0 < excess < MAX_DILATION:
            break
        # Curvature between two grid points asked for a little more than the grid saw: slow
        # everything by that much. Other points are sampled then, which may be the worse ones.
        squared = squared / (1.02 * excess) ** 2
        trajectory = _sample(path, grid, squared, joint_names, rate)
    check_limits(trajectory, max_velocity, max_acceleration)
    return trajectory


def _grid(path: CubicSpline | BSpline) -> Array:
    """Return (G,) places where the limits are held: every knot, and evenly between two of them.

    Between knots the second derivative is a straight line, so that what holds at both ends of a
    cell nearly holds inside; a cell across a knot sees nothing of a bend there.
    """
    knots = np.unique(path.x if isinstance(path, CubicSpline) else path.t)
    lengths = np.diff(knots)
    least = 2 if isinstance(path, CubicSpline) else CELLS_PER_PIECE
    shares = np.ceil(NUM_GRID * lengths / lengths.sum()).astype(int)
    least = max(1, min(least, MAX_GRID // len(lengths)))
    counts = np.maximum(shares, least)
    cells = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(knots, knots[1:], counts)]
    return np.concatenate([*cells, knots[-1:]])


def check_limits(trajectory: Trajectory, max_velocity: Array, max_acceleration: Array) -> None:
    """Raise LimitsError with the worst joint if a point of the trajectory is over a limit."""
    for what, values, limits in (
        ('velocity', trajectory.velocities, max_velocity),
        ('acceleration', trajectory.accelerations, max_acceleration),
    ):
        share = np.abs(values).max(axis=0) / limits
        worst = int(share.argmax())
        if share[worst] > 1.0 + 1e-6:
            raise LimitsError(
                f'{trajectory.joint_names[worst]} would need {what} '
                f'{np.abs(values[:, worst]).max():.3f}, its limit is {limits[worst]:.3f}'
            )


def _squared_speeds(
    path: CubicSpline | BSpline,
    grid: Array,
    max_velocity: Array,
    max_acceleration: Array,
    max_speed: float | None,
) -> Array:
    """Return (G,) squared path speeds by the two passes of TOPP-RA.

    Raises:
        LimitsError: the path cannot be followed; the message says how far it can.
    """
    timed = _TimedPath(path, max_speed is not None)
    if max_speed is not None:
        # s itself as one joint more: its velocity is the path's speed.
        max_velocity = np.append(max_velocity, max_speed)
        max_acceleration = np.append(max_acceleration, UNBOUNDED)
    # Both ends of a cell are bound with the control of the cell (the paper's interpolation
    # scheme).
    limits = [
        JointVelocityConstraint(np.stack([-max_velocity, max_velocity], axis=1)),
        JointAccelerationConstraint(
            np.stack([-max_acceleration, max_acceleration], axis=1),
            discretization_scheme=DiscretizationType.Interpolation,
        ),
    ]
    solver = TOPPRA(limits, timed, gridpoints=grid, solver_wrapper='seidel')
    _, speeds, _ = solver.compute_parameterization(0.0, 0.0)
    if speeds is None or not np.isfinite(speeds).all():
        known = solver.problem_data.sd_vec
        raise _stall(0 if known is None else int(np.isfinite(known).sum()), len(grid))
    squared = np.asarray(speeds, dtype=np.float64) ** 2
    # From a momentary stop every path goes on; two in a row would last for ever.
    still = squared <= TINY * squared.max()
    stalled = np.flatnonzero(still[:-2] & still[1:-1])
    if len(stalled):
        raise _stall(int(stalled[0]) + 1, len(grid))
    return squared


def _stall(reached: int, num_grid: int) -> LimitsError:
    return LimitsError(
        f'the motion stalls {reached}/{num_grid - 1} of the way: acceleration limits cannot carry '
        'the path'
    )


class _TimedPath(AbstractGeometricPath):  # type: ignore[misc]
    """A spline as toppra wants it, with s itself as one coordinate more where that is wanted."""

    def __init__(self, path: CubicSpline | BSpline, with_parameter: bool) -> None:
        self._path, self._with_parameter = path, with_parameter
        self._knots = path.x if isinstance(path, CubicSpline) else path.t

    def __call__(self, s: Array, order: int = 0) -> Array:
        values = np.asarray(self._path(s, order))
        if not self._with_parameter:
            return values
        s = np.asarray(s, dtype=np.float64)
        parameter = (s, np.ones_like(s), np.zeros_like(s))[order]
        return np.concatenate([values, parameter[..., None]], axis=-1)

    @property
    def dof(self) -> int:
        return int(np.shape(self._path(self._knots[0]))[-1]) + self._with_parameter

    @property
    def path_interval(self) -> Array:
        return np.array([self._knots[0], self._knots[-1]])

    @property
    def waypoints(self) -> None:
        return None


def _sample(
    path: CubicSpline | BSpline,
    grid: Array,
    squared: Array,
    joint_names: tuple[str, ...],
    rate: float,
) -> Trajectory:
    """Walk the speed profile in equal steps of time."""
    speed = np.sqrt(squared)
    steps = np.diff(grid)
    times = np.concatenate([[0.0], np.cumsum(2 * steps / (speed[1:] + speed[:-1]))])
    count = max(2, int(np.ceil(times[-1] * rate)))
    at = np.linspace(0.0, times[-1], count + 1)
    cell = np.clip(np.searchsorted(times, at, side='right') - 1, 0, len(grid) - 2)
    u = (squared[cell + 1] - squared[cell]) / (2 * steps[cell])
    passed = at - times[cell]
    s = np.clip(grid[cell] + speed[cell] * passed + 0.5 * u * passed**2, grid[0], grid[-1])
    rate_s = np.maximum(speed[cell] + u * passed, 0.0)
    rate_s[[0, -1]] = 0.0
    first, second = path(s, 1), path(s, 2)
    return Trajectory(
        joint_names=joint_names,
        times=at,
        positions=path(s),
        velocities=first * rate_s[:, None],
        accelerations=first * u[:, None] + second * rate_s[:, None] ** 2,
    )
