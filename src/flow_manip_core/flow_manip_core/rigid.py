# SPDX-License-Identifier: Apache-2.0
"""Rigid motion from corresponding points."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.errors import DegenerateFlowError, InvalidInputError
from flow_manip_core.flow import ObjectFlow

# Second largest spread over the largest below which points count as one line.
COLLINEAR = 1e-6


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


def fit_flow_transforms(flow: ObjectFlow) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the object's rigid motion since the first step, weighted by confidence at both ends.

    First-frame mode: every step against step 0, so errors do not add up.

    Returns:
        (T, 4, 4) T_world_start, the first exactly identity, and (T,) root mean square residuals
        [m].

    Raises:
        DegenerateFlowError: a step has too few visible points; the message names the step.
    """
    transforms = np.tile(np.eye(4), (flow.num_steps, 1, 1))
    residuals = np.zeros(flow.num_steps)
    points = flow.points.astype(np.float64)
    visible = flow.visible
    for step in range(1, flow.num_steps):
        weights = np.where(
            visible[0] & visible[step], flow.confidence[0] * flow.confidence[step], 0.0
        )
        try:
            transforms[step] = fit_rigid_transform(points[0], points[step], weights)
        except DegenerateFlowError as error:
            raise DegenerateFlowError(f'flow step {step} of {flow.num_steps}: {error}') from error
        used = weights > 0
        moved = points[0][used] @ transforms[step, :3, :3].T + transforms[step, :3, 3]
        squared = ((moved - points[step][used]) ** 2).sum(axis=1)
        residuals[step] = np.sqrt(np.average(squared, weights=weights[used]))
    return transforms, residuals
