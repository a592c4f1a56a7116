# SPDX-License-Identifier: Apache-2.0
"""Poses without the noise of the points that they were fitted to.

Every fitted pose is off by an error of known size: that of the points over the root of their
number, about each axis by what they spread across it. A smoothing spline weighs these errors
against the third derivative of the motion (Flash and Hogan 1985: carried things move with little
jerk). How much jerk there is in a motion says the
motion: its scale maximises the restricted likelihood (Wahba 1985), so that what is sharp and well
seen stays sharp. Rotations are unrolled along the smoothed way (Jupp and Kent 1987), in the body's
own axes: a pen's turn about itself is known worse than that of its tip.

The first pose is as uncertain as all others: what the smooth way says about it is taken off all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.spatial.transform import Rotation

from flow_manip_core.transforms import invert_transform
from flow_manip_planning.flow_to_poses.motion import Array

DRIFT_SHARE = 0.5  # of an error's variance that lasts, as tracks wander
DRIFT_LENGTH = 0.25  # of the flow, after which 63 % of it is forgotten
# Weights of the speeds at both ends over that of the jerk: a body that comes from rest and goes to
# rest, or one that is cut out of a longer motion; the likelihood says which.
RESTS = (1e6, 3e2)
SCALES = 40  # of the jerk that are compared
UNKNOWN = 1e8  # variance of a step that was not seen, over that of the others
LEAST_NOISE = 1e-7  # [m or rad] below which errors are rounding
UNROLLINGS = 2


@dataclass(frozen=True)
class PoseNoise:
    """How far fitted poses are off, each for itself.

    Attributes:
        center: (3,) middle of the points at the start [m].
        axes: (3, 3) columns: principal axes of the points at the start, right-handed.
        position: standard deviation of the middle's coordinates [m].
        turn: (3,) of the rotation about the axes [rad]; infinite where it is not known at all.
        known: (T,) False where a pose is not from points.
        accumulated: the errors add up from step to step.
    """

    center: Array
    axes: Array
    position: float
    turn: Array
    known: NDArray[np.bool_]
    accumulated: bool = False


class SeriesSmoother:
    """Smoothing splines for series that share times and the structure of their errors."""

    def __init__(
        self, times: Array, known: NDArray[np.bool_], *, accumulated: bool = False
    ) -> None:
        """Diagonalise errors and jerk together, so that all scales cost one product.

        Args:
            times: (T,) seconds, T at least 4.
            known: (T,) False where a value only fills a gap.
            accumulated: errors add up instead of wandering.
        """
        share = (times - times[0]) / (times[-1] - times[0])
        errors = _accumulated(len(times)) if accumulated else _wandering(share)
        errors[~known, ~known] += UNKNOWN
        self._information = cho_solve(cho_factor(errors), np.eye(len(times)))
        jerk, speeds = _jerk(share), _end_speeds(share)
        self._bases = []
        for rest in RESTS:
            rough, shapes = eigh(jerk + rest * speeds, self._information)
            # A series that rests all the time costs nothing; rounding makes its first value tiny.
            self._bases.append((np.maximum(rough[1:], 1e-12 * rough[-1]), shapes))

    def smooth(self, values: Array, noise: Array) -> Array:
        """Smooth (T, K) series with (K,) standard deviations of their errors.

        The scale of the jerk is common to all, in the units of the values.
        """
        noise = np.maximum(noise, LEAST_NOISE)
        weighed, found, most = self._information @ values, values, -np.inf
        for rough, shapes in self._bases:
            parts = shapes.T @ weighed
            # Between all smoothed away and nothing, for the series that is known best.
            gains = np.geomspace(1e-3 / rough[-1], 1e3 / rough[0], SCALES)
            signal = noise.min() ** 2 / (gains[:, None] * rough)
            variance = noise**2 + signal[..., None]
            likelihood = -(np.log(variance) + parts[1:] ** 2 / variance).sum(axis=(1, 2))
            best = int(likelihood.argmax())
            if likelihood[best] > most:
                most = likelihood[best]
                parts[1:] *= signal[best, :, None] / variance[best]
                found = shapes @ parts
        return found


def denoise_poses(times: Array, poses: Array, noise: PoseNoise) -> Array:
    """Return the (T, 4, 4) smooth poses that explain noisy ones, the first identity.

    Args:
        times: (T,) seconds; below four steps nothing is known about jerk and nothing changes.
        poses: (T, 4, 4) T_world_start as fitted; anything between where not known.
        noise: how far they are off.
    """
    if len(times) < 4:
        return poses
    smooth = _smoothed(times, poses, noise)
    result = smooth @ invert_transform(smooth[0])
    result[0] = np.eye(4)
    return result


def _smoothed(times: Array, poses: Array, noise: PoseNoise) -> Array:
    """Return (T, 4, 4) smooth poses, the first as uncertain as the others."""
    smoother = SeriesSmoother(times, noise.known, accumulated=noise.accumulated)
    middles = poses[:, :3, :3] @ noise.center + poses[:, :3, 3]
    middles = smoother.smooth(middles, np.full(3, noise.position))
    fitted = Rotation.from_matrix(poses[:, :3, :3] @ noise.axes)
    seen, smooth = np.isfinite(noise.turn), fitted
    for _ in range(UNROLLINGS):
        steps = (smooth[:-1].inv() * smooth[1:]).as_rotvec()
        way = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
        wanted = np.zeros_like(way)  # no turn about an axis of which nothing is known
        if seen.any():
            off = (smooth.inv() * fitted).as_rotvec()
            wanted[:, seen] = smoother.smooth((way + off)[:, seen], noise.turn[seen])
        smooth = smooth * Rotation.from_rotvec(wanted - way)
    result = np.tile(np.eye(4), (len(poses), 1, 1))
    result[:, :3, :3] = smooth.as_matrix() @ noise.axes.T
    result[:, :3, 3] = middles - result[:, :3, :3] @ noise.center
    return result


def _wandering(share: Array) -> Array:
    """Return the (T, T) correlation of errors that are half new and half drift."""
    lag = np.abs(share[:, None] - share)
    return (1.0 - DRIFT_SHARE) * np.eye(len(share)) + DRIFT_SHARE * np.exp(-lag / DRIFT_LENGTH)


def _accumulated(count: int) -> Array:
    """Return the (T, T) covariance of a sum of errors of variance one; the start is exact."""
    steps = np.arange(count, dtype=float)
    return np.minimum(steps[:, None], steps) + 1e-3 * np.eye(count)


def _jerk(share: Array) -> Array:
    """Return the (T, T) matrix of the integral of the squared third divided difference."""
    windows = np.lib.stride_tricks.sliding_window_view(share, 4)
    apart = windows[:, :, None] - windows[:, None]
    apart[:, np.arange(4), np.arange(4)] = 1.0
    weights = np.sqrt(np.ptp(windows, axis=1) / 3.0)[:, None] / apart.prod(axis=2)
    rows = np.zeros((len(windows), len(share)))
    for offset in range(4):
        rows[np.arange(len(windows)), np.arange(len(windows)) + offset] = weights[:, offset]
    return rows.T @ rows


def _end_speeds(share: Array) -> Array:
    """Return the (T, T) matrix of the squared speeds at both ends."""
    rows = np.zeros((2, len(share)))
    rows[0, :2] = np.array([-1.0, 1.0]) / (share[1] - share[0])
    rows[1, -2:] = np.array([-1.0, 1.0]) / (share[-1] - share[-2])
    return rows.T @ rows
