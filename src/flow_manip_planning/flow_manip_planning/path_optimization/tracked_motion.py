# SPDX-License-Identifier: Apache-2.0
"""Motion of one rigid body from points that are hidden most of the time.

A fit of two steps needs points that are visible at both. Here all steps and the points' places on
the body are found together, so that any point that is visible at two steps ties those together,
and a smooth motion bridges steps that show too little. (Bundle adjustment, Triggs et al. 2000,
with the points eliminated; outliers by Cauchy weights and the median residual as scale.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import DegenerateFlowError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.rigid import COLLINEAR
from flow_manip_planning.kinematics import Array
from flow_manip_planning.path_optimization.bands import Bend
from flow_manip_planning.path_optimization.terms import cross

MAX_POINTS = 300
ITERATIONS = 25
START_NOISE = 0.01  # [m]
MIN_NOISE = 5e-4  # [m]
WIDE = 10.0
CAUCHY = 2.385  # residual over scale at which a weight halves: 95 % efficient on clean data
# Second differences expect this many travels per square of the motion's duration.
AGILITY = 20.0
MIN_TRAVEL = 0.02  # [m]
MIN_RADIUS = 0.01  # [m]


@dataclass(frozen=True)
class TrackedMotion:
    """What the points say about a rigid body, T steps, N points.

    Attributes:
        poses: (T, 4, 4) T_world_start, the first identity.
        points: (N, 3) places on the body, in the world at the start [m].
        names: (N,) index of each in the flow.
        confidence: (T, N) in 0..1, 0 where hidden.
        weights: (T, N) of the squared distances: the confidence, less for outliers.
        residuals: (T,) weighted root mean square distance of the points; 0 where none is seen [m].
        noise: scale of the distances of points to the motion [m].
        end_deviation: standard deviation of the last position of the body's middle [m] and of its
            rotation [rad].
    """

    poses: Array
    points: Array
    names: NDArray[np.int64]
    confidence: Array
    weights: Array
    residuals: Array
    noise: float
    end_deviation: tuple[float, float]


def fit_tracked_motion(flow: ObjectFlow) -> TrackedMotion:
    """Fit rigid motion to a flow of which most points may be hidden most of the time.

    Raises:
        DegenerateFlowError: fewer than three points are seen twice, or they are on one line.
    """
    visible = flow.visible
    seen_twice = np.flatnonzero(visible.sum(axis=0) >= 2)
    if flow.num_steps < 2 or len(seen_twice) < 3:
        raise DegenerateFlowError(
            f"{len(seen_twice)} of {flow.num_points} points are visible at two of the flow's "
            f'{flow.num_steps} steps or more; three are needed'
        )
    kept = _most_seen(visible[:, seen_twice], seen_twice)
    confidence = np.where(visible, flow.confidence, 0.0)[:, kept].astype(np.float64)
    seen = np.where(confidence[..., None] > 0, flow.points[:, kept], 0.0)
    return _Fit(seen.astype(np.float64), confidence, flow.times).solve(kept)


def _most_seen(visible: NDArray[np.bool_], names: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the names of at most MAX_POINTS points, those seen most often."""
    order = np.argsort(-visible.sum(axis=0), kind='stable')[:MAX_POINTS]
    return np.sort(names[order])


class _Fit:
    """Gauss-Newton over all poses but the first, the points eliminated."""

    def __init__(self, seen: Array, confidence: Array, times: Array) -> None:
        """Chain the steps for a first guess."""
        self._seen, self._confidence = seen, confidence
        self._weights = confidence.copy()
        self._bend = Bend.of_steps(len(seen), times) if len(seen) > 2 else None
        self._noise = START_NOISE
        self._poses, self._points = _chain_steps(seen, confidence)
        self._check_shape()
        middle = self._points.mean(axis=0)
        radius = max(float(np.sqrt(((self._points - middle) ** 2).sum(axis=1).mean())), MIN_RADIUS)
        # The middle and three arms: what moves them little moves the body little.
        self._marks = middle + radius * np.concatenate([np.zeros((1, 3)), np.eye(3)])

    def solve(self, names: NDArray[np.int64]) -> TrackedMotion:
        """Alternate Gauss-Newton steps and new weights until nothing moves."""
        for iteration in range(ITERATIONS):
            step, covariance = self._step()
            self._move(step)
            # Wide at first: weights that forget outliers also forget steps that started wrong.
            self._reweigh(max(1.0, WIDE * 0.6**iteration))
            self._points = self._best_points()
            if np.abs(step).max() < 1e-5 and WIDE * 0.6**iteration < 1.0:
                break
        spread = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
        moved, _ = self._moved()
        squared = ((moved - self._seen) ** 2).sum(axis=-1)
        total = self._weights.sum(axis=1)
        mean = np.divide(
            (self._weights * squared).sum(axis=1), total, out=np.zeros(len(total)), where=total > 0
        )
        return TrackedMotion(
            poses=self._poses,
            points=self._points,
            names=names,
            confidence=self._confidence,
            weights=self._weights,
            residuals=np.sqrt(mean),
            noise=self._noise,
            end_deviation=(
                float(np.linalg.norm(spread[:3])),
                float(np.linalg.norm(spread[3:])),
            ),
        )

    def _check_shape(self) -> None:
        """Raise DegenerateFlowError if the points do not fix a rotation."""
        spread = np.linalg.svd(self._points - self._points.mean(axis=0), compute_uv=False)
        if spread[1] <= max(np.sqrt(COLLINEAR) * spread[0], 1e-9):
            raise DegenerateFlowError(
                f'{len(self._points)} tracked points are on one line (spread {spread.tolist()})'
            )

    def _moved(self) -> tuple[Array, Array]:
        """Return (T, N, 3) carried points and the turned part of them."""
        turned = self._points @ self._poses[:, :3, :3].swapaxes(1, 2)
        return turned + self._poses[:, None, :3, 3], turned

    def _best_points(self) -> Array:
        """Return the (N, 3) places that fit the poses best: means over the steps."""
        local = (self._seen - self._poses[:, None, :3, 3]) @ self._poses[:, :3, :3]
        weights = np.maximum(self._weights, 1e-9 * self._confidence)
        return (weights[..., None] * local).sum(axis=0) / weights.sum(axis=0)[:, None]

    def _reweigh(self, width: float) -> None:
        """Measure the noise and lower the weight of what is far outside of it."""
        moved, _ = self._moved()
        distance = np.linalg.norm(moved - self._seen, axis=-1)
        used = self._confidence > 0
        # Points seen k times are fitted to themselves: k - 1 of k distances are free.
        count = used.sum(axis=0)
        free = np.sqrt(count / np.maximum(count - 1, 1))
        scaled = (distance * free)[used]
        # Median of the norm of three Gaussians is 1.538 of their deviation.
        # Halved at most, so that the smooth motion leads until the points agree.
        self._noise = max(float(np.median(scaled)) / 1.538, 0.5 * self._noise, MIN_NOISE)
        ratio = distance * free / (width * CAUCHY * 1.73 * self._noise)
        self._weights = self._confidence / (1.0 + ratio**2)

    def _travel(self) -> float:
        """Return how far the marks go in all, as a scale for accelerations [m]."""
        marks = self._marks @ self._poses[:, :3, :3].swapaxes(1, 2) + self._poses[:, None, :3, 3]
        low, high = marks.min(axis=0), marks.max(axis=0)
        return max(float(np.linalg.norm(high - low, axis=1).max()), MIN_TRAVEL)

    def _step(self) -> tuple[Array, Array]:
        """Return the (T, 6) Gauss-Newton step and the last pose's (6, 6) covariance."""
        num_steps = len(self._seen)
        matrix, gradient = self._data_terms()
        if self._bend is not None:
            jacobian, residual = self._smoothness()
            matrix += jacobian.T @ jacobian
            gradient += jacobian.T @ residual
        # The first pose is the frame of all others.
        matrix, gradient = matrix[6:, 6:], gradient[6:]
        matrix[np.diag_indices_from(matrix)] += 1e-9 * np.diagonal(matrix).mean() + 1e-9
        factor = cho_factor(matrix, lower=True, check_finite=False)
        step = np.zeros((num_steps, 6))
        step[1:] = -cho_solve(factor, gradient, check_finite=False).reshape(-1, 6)
        last = np.zeros((len(gradient), 6))
        last[-6:] = np.eye(6)
        covariance = cho_solve(factor, last, check_finite=False)[-6:]
        # From the pose's own origin to the body's middle.
        arm = self._poses[-1, :3, :3] @ self._marks[0]
        shift = np.eye(6)
        shift[:3, 3:] = cross(np.eye(3), np.broadcast_to(arm, (3, 3))).T
        return step, shift @ covariance @ shift.T

    def _data_terms(self) -> tuple[Array, Array]:
        """Return (6T, 6T) matrix and (6T,) gradient of the distances, points eliminated."""
        num_steps = len(self._seen)
        weights = self._weights / self._noise**2
        moved, turned = self._moved()
        root = np.sqrt(weights)[..., None]
        residual = (root * (moved - self._seen)).reshape(num_steps, -1)
        by_point = root[..., None] * _moved_by_steps(turned)
        jacobian = by_point.reshape(num_steps, -1, 6)
        blocks = jacobian.swapaxes(1, 2) @ jacobian
        gradient = (jacobian.swapaxes(1, 2) @ residual[..., None])[..., 0]
        # d moved / d point = R: the points' own matrix is a multiple of the identity.
        own = np.sqrt(np.maximum(weights.sum(axis=0), 1e-12))
        coupling = (by_point.swapaxes(2, 3) @ self._poses[:, None, :3, :3]) * root[..., None]
        coupling = (coupling / own[None, :, None, None]).transpose(0, 2, 1, 3)
        flat = coupling.reshape(6 * num_steps, -1)
        matrix = -flat @ flat.T
        for step in range(num_steps):
            at = slice(6 * step, 6 * step + 6)
            matrix[at, at] += blocks[step]
        # At the points' best places their own gradient is zero: nothing is left to subtract.
        return matrix, gradient.ravel()

    def _smoothness(self) -> tuple[Array, Array]:
        """Return the Jacobian and residuals of the marks' second differences."""
        assert self._bend is not None
        num_steps = len(self._seen)
        expected = AGILITY * self._travel() / (num_steps - 1) ** 2
        turned = self._marks @ self._poses[:, :3, :3].swapaxes(1, 2)
        marks = turned + self._poses[:, None, :3, 3]
        rows = _moved_by_steps(turned).reshape(num_steps, 12, 6) / expected
        jacobian = np.zeros((num_steps - 2, 12, num_steps, 6))
        inner = np.arange(num_steps - 2)
        for offset in range(3):
            factor = self._bend.stencils[:, offset, None, None]
            jacobian[inner, :, inner + offset] = factor * rows[inner + offset]
        residual = self._bend.apply(marks.reshape(num_steps, 12)) / expected
        return jacobian.reshape(-1, 6 * num_steps), residual.ravel()

    def _move(self, step: Array) -> None:
        """Shift and turn every pose by its (6,) step, by half a radian at most."""
        largest = np.abs(step[:, 3:]).max()
        step = step * min(1.0, 0.5 / max(float(largest), 1e-12))
        turns = Rotation.from_rotvec(step[:, 3:]).as_matrix()
        poses = self._poses.copy()
        poses[1:, :3, :3] = turns[1:] @ poses[1:, :3, :3]
        poses[1:, :3, 3] += step[1:, :3]
        self._poses = poses


def _moved_by_steps(turned: Array) -> Array:
    """Return the (..., 3, 6) derivatives of points by shift and turn of a pose: [1, -[turned]x].

    Args:
        turned: (..., 3) points in the body, turned by the pose's rotation but not shifted.
    """
    result = np.zeros((*turned.shape, 6))
    result[..., 0, 0] = result[..., 1, 1] = result[..., 2, 2] = 1.0
    x, y, z = turned[..., 0], turned[..., 1], turned[..., 2]
    result[..., 0, 4], result[..., 0, 5] = z, -y
    result[..., 1, 3], result[..., 1, 5] = -z, x
    result[..., 2, 3], result[..., 2, 4] = y, -x
    return result


def _chain_steps(seen: Array, confidence: Array) -> tuple[Array, Array]:
    """Return (T, 4, 4) first poses and (N, 3) first places, step after step.

    Every step is fitted to the places known so far, with a pull towards the step before, so that a
    single point still shifts the body and none leaves it where it is; points seen for the first
    time get their places from it.
    """
    num_steps, num_points = confidence.shape
    poses = np.tile(np.eye(4), (num_steps, 1, 1))
    sums, weight = np.zeros((num_points, 3)), np.zeros(num_points)
    for step in range(num_steps):
        trust = confidence[step].copy()
        if step:
            known = np.flatnonzero((weight > 0) & (trust > 0))
            places = sums[known] / weight[known, None]
            poses[step], trust[known] = _robust_pulled_fit(
                places, seen[step, known], trust[known], poses[step - 1]
            )
        local = (seen[step] - poses[step, :3, 3]) @ poses[step, :3, :3]
        sums += trust[:, None] * local
        weight += trust
    return poses, sums / weight[:, None]


def _robust_pulled_fit(
    places: Array, seen: Array, weights: Array, before: Array
) -> tuple[Array, Array]:
    """Fit a (4, 4) pose with Cauchy weights; return it with the (N,) weights."""
    pose, robust = before, weights
    for first in (True, False, False, False):
        distance = np.linalg.norm(places @ pose[:3, :3].T + pose[:3, 3] - seen, axis=1)
        if len(places) and first:
            # From one step to the next the body shifts: only what differs from that stands out.
            shift = seen - places @ before[:3, :3].T - before[:3, 3]
            distance = np.linalg.norm(shift - np.median(shift, axis=0), axis=1)
        scale = max(float(np.median(distance)), START_NOISE / 2) if len(places) else 1.0
        robust = weights / (1.0 + (distance / (CAUCHY * scale)) ** 2)
        pose = _pulled_fit(places, seen, robust, before)
    return pose, robust


def _pulled_fit(places: Array, seen: Array, weights: Array, before: Array) -> Array:
    """Fit a (4, 4) pose to points, pulled a little towards the one before."""
    if len(places) == 0:
        return before
    center = weights @ places / weights.sum()
    arms = center + 0.05 * np.concatenate([np.eye(3), -np.eye(3)])
    pulled = arms @ before[:3, :3].T + before[:3, 3]
    # The pull has no opinion on where to, only on how to turn.
    pulled += weights @ (seen - places @ before[:3, :3].T - before[:3, 3]) / weights.sum()
    source = np.concatenate([places, arms])
    target = np.concatenate([seen, pulled])
    pull = np.full(len(arms), 0.02)
    w = np.concatenate([weights, pull])
    w /= w.sum()
    a, b = w @ source, w @ target
    u, _, vt = np.linalg.svd((target - b).T @ (w[:, None] * (source - a)))
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    pose = np.eye(4)
    pose[:3, :3] = u @ vt
    pose[:3, 3] = b - pose[:3, :3] @ a
    return pose
