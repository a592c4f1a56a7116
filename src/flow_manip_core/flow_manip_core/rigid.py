# SPDX-License-Identifier: Apache-2.0
"""Rigid motion from corresponding points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.errors import DegenerateFlowError, InvalidInputError
from flow_manip_core.flow import ObjectFlow

# Second largest spread over the largest below which points count as one line.
COLLINEAR = 1e-6
# Spread below this share of the distance to the origin is rounding: all points are one.
COINCIDENT = 1e-13


@dataclass(frozen=True)
class RigidFits:
    """Rigid motions of T steps, fitted at once.

    Attributes:
        transforms: (T, 4, 4) T_target_source; identity where not determined.
        residuals: (T,) weighted root mean square distance after the motion [m]; infinite where not
            determined.
        num_points: (T,) points with weight.
        determined: (T,) True where the weighted points fix a rotation: three or more, not on one
            line, and not a mirror image that two rotations fit equally well.
    """

    transforms: NDArray[np.float64]
    residuals: NDArray[np.float64]
    num_points: NDArray[np.int64]
    determined: NDArray[np.bool_]


def fit_rigid_transform(
    source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Find the rigid motion that best carries `source` onto `target`.

    Weighted least squares (Kabsch 1976; Umeyama 1991 without scale).

    Args:
        source: (N, 3) points [m].
        target: (N, 3) the same points after the motion [m].
        weights: (N,) non-negative; 0 drops a point. All ones if left out.

    Returns:
        (4, 4) T_target_source.

    Raises:
        InvalidInputError: shapes disagree, or a value with weight is not finite.
        DegenerateFlowError: the weighted points are fewer than three, or on one line.
    """
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    w = np.ones(len(source)) if weights is None else np.asarray(weights, dtype=np.float64)
    if (
        source.shape != target.shape
        or source.ndim != 2
        or source.shape[1] != 3
        or w.shape != (len(source),)
    ):
        raise InvalidInputError(
            f'source {source.shape}, target {target.shape} and weights {w.shape} do not belong '
            'together'
        )
    used = w > 0
    source, target, w = source[used], target[used], w[used]
    if not (np.isfinite(source).all() and np.isfinite(target).all() and np.isfinite(w).all()):
        raise InvalidInputError('points with weight are not finite')
    if len(source) < 3:
        raise DegenerateFlowError(
            f'{len(source)} weighted points do not fix a rotation; three or more are needed'
        )

    w = w / w.sum()
    source_center, target_center = w @ source, w @ target
    covariance = (target - target_center).T @ (w[:, None] * (source - source_center))
    u, spread, vt = np.linalg.svd(covariance)
    if spread[1] <= COLLINEAR * spread[0] or spread[0] <= np.finfo(float).tiny:
        raise DegenerateFlowError(
            f'{len(source)} weighted points are on one line (spread {spread.tolist()})'
        )
    # A reflection fits mirrored noise best; flip the weakest axis to keep a rotation.
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))

    transform = np.eye(4)
    transform[:3, :3] = u @ vt
    transform[:3, 3] = target_center - transform[:3, :3] @ source_center
    return transform


def fit_rigid_transforms(
    source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None
) -> RigidFits:
    """Find for every step the rigid motion that best carries `source` onto `target`.

    The same least squares as `fit_rigid_transform`, for all steps in a few matrix products. A step
    that does not determine a motion is marked, not raised.

    Args:
        source: (N, 3) or (T, N, 3) points [m].
        target: (T, N, 3) the same points after the motions [m].
        weights: (T, N) non-negative; 0 drops a point, whose positions may then be anything. All
            ones if left out.

    Raises:
        InvalidInputError: shapes disagree, a weight is negative, or a value with weight is not
            finite.
    """
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    w = np.ones(target.shape[:2]) if weights is None else np.asarray(weights, dtype=np.float64)
    if (
        target.ndim != 3
        or target.shape[2] != 3
        or source.shape not in (target.shape, target.shape[1:])
        or w.shape != target.shape[:2]
    ):
        raise InvalidInputError(
            f'source {source.shape}, target {target.shape} and weights {w.shape} do not belong '
            'together'
        )
    if not (w >= 0).all():
        raise InvalidInputError('weights are negative or not a number')
    moments = _moments(source, target, w)
    if not all(np.isfinite(m).all() for m in moments):
        # A hidden point may hold anything; zero times that is not zero.
        used = w > 0
        moments = _moments(
            np.where(used[..., None], source, 0.0), np.where(used[..., None], target, 0.0), w
        )
        if not all(np.isfinite(m).all() for m in moments):
            raise InvalidInputError('points with weight are not finite')
    return _solve(*moments, np.count_nonzero(w, axis=1))


def _moments(
    source: NDArray[np.float64], target: NDArray[np.float64], w: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (T, 4, 4) weighted sums of target and source products, each point extended by 1.

    Also (T, 2) weighted sums of squared lengths of source and target.
    """
    num_steps, num_points, _ = target.shape
    # Coordinates come before points: one contiguous matrix product instead of T strided ones.
    left = np.empty((num_steps, 4, num_points))
    with np.errstate(invalid='ignore', over='ignore'):
        np.multiply(target.swapaxes(1, 2), w[:, None], out=left[:, :3])
        left[:, 3] = w
        right = np.ones((*source.shape[:-2], 4, num_points))
        right[..., :3, :] = source.swapaxes(-1, -2)
        lengths = np.einsum('...cn,...cn->...n', right[..., :3, :], right[..., :3, :])
        if source.ndim == 2:
            sums = (left.reshape(-1, num_points) @ right.T).reshape(num_steps, 4, 4)
            source_squares = w @ lengths
        else:
            sums = left @ right.swapaxes(-1, -2)
            source_squares = np.einsum('tn,tn->t', w, lengths)
        target_squares = np.einsum('tcn,tnc->t', left[:, :3], target)
    return sums, np.stack([source_squares, target_squares], axis=1)


def _solve(
    sums: NDArray[np.float64], squares: NDArray[np.float64], num_points: NDArray[np.int64]
) -> RigidFits:
    """Turn weighted sums into rotations, translations and residuals."""
    total = np.maximum(sums[:, 3, 3], np.finfo(float).tiny)
    source_center, target_center = sums[:, 3, :3] / total[:, None], sums[:, :3, 3] / total[:, None]
    covariance = sums[:, :3, :3] / total[:, None, None]
    covariance -= target_center[:, :, None] * source_center[:, None]
    u, spread, vt = np.linalg.svd(covariance)
    mirrored = np.linalg.det(u) * np.linalg.det(vt) < 0
    # A reflection fits mirrored noise best; flip the weakest axis to keep a rotation.
    u[mirrored, :, 2] *= -1
    rounding = COINCIDENT * squares.sum(axis=1) / total
    limit = np.maximum(COLLINEAR * spread[:, 0], rounding)
    determined = (num_points >= 3) & (spread[:, 1] > limit)
    # Two equally weak axes of a mirror image: which one is flipped is chance.
    determined &= ~mirrored | (spread[:, 1] - spread[:, 2] > limit)

    transforms = np.tile(np.eye(4), (len(sums), 1, 1))
    rotations = u[determined] @ vt[determined]
    transforms[determined, :3, :3] = rotations
    transforms[determined, :3, 3] = (
        target_center[determined] - (rotations @ source_center[determined, :, None])[..., 0]
    )
    scatter = squares / total[:, None]
    scatter[:, 0] -= (source_center**2).sum(axis=1)
    scatter[:, 1] -= (target_center**2).sum(axis=1)
    overlap = spread.sum(axis=1) - 2 * np.where(mirrored, spread[:, 2], 0.0)
    residuals = np.sqrt(np.maximum(scatter.sum(axis=1) - 2 * overlap, 0.0))
    return RigidFits(transforms, np.where(determined, residuals, np.inf), num_points, determined)


def flow_weights(flow: ObjectFlow, reference: int = 0) -> NDArray[np.float64]:
    """Return (T, N) weights of fits since a step: confidence at both ends, 0 where hidden."""
    visible, confidence = flow.visible, flow.confidence.astype(np.float64)
    return np.where(visible & visible[reference], confidence * confidence[reference], 0.0)


def fit_flow_transforms(flow: ObjectFlow) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the object's rigid motion since the first step, weighted by confidence at both ends.

    First-frame mode: every step against step 0, so errors do not add up.

    Returns:
        (T, 4, 4) T_world_start, the first exactly identity, and (T,) root mean square residuals
        [m].

    Raises:
        DegenerateFlowError: a step has too few visible points; the message names the step.
    """
    points = flow.points.astype(np.float64)
    fits = fit_rigid_transforms(points[0], points[1:], flow_weights(flow)[1:])
    if not fits.determined.all():
        step = int((~fits.determined).argmax())
        problem = 'do not fix a rotation; three or more are needed'
        if fits.num_points[step] >= 3:
            problem = 'are on one line, or mirrored'
        raise DegenerateFlowError(
            f'flow step {step + 1} of {flow.num_steps}: {fits.num_points[step]} weighted points '
            f'{problem}'
        )
    transforms, residuals = np.tile(np.eye(4), (flow.num_steps, 1, 1)), np.zeros(flow.num_steps)
    transforms[1:], residuals[1:] = fits.transforms, fits.residuals
    return transforms, residuals
