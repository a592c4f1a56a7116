# SPDX-License-Identifier: Apache-2.0
"""Does the object stay what it is? Rigidity, size, and how much of it is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow_manip_world_model.selection.facts import Array, Facts
from flow_manip_world_model.selection.limits import falling, GeometricConfig, VetoError

NEIGHBOURS = 8
MIN_SPREAD = 0.006  # [m] of the start points along an axis, for its stretch to be measurable
MIN_POINTS = 12  # that measure a stretch


def visibility(facts: Facts, config: GeometricConfig) -> float:
    """How much of the object is seen on the way?"""
    share = facts.seen.mean(axis=1)
    worst = int(share.argmin())
    if share[worst] < config.min_visible:
        raise VetoError(
            f'{100 * share[worst]:.0f} % of its points are visible at step {worst}, '
            f'{100 * config.min_visible:.0f} % are needed'
        )
    return float(share.mean())


def rigidity(facts: Facts, config: GeometricConfig) -> float:
    """Does it stay one object: rigid, or for cloth and rope, as rigid as possible?"""
    deformable = config.shape == 'deformable'
    residuals = local_residuals(facts) if deformable else facts.residuals
    worst = int(residuals.argmax())
    if residuals[worst] > config.max_residual:
        raise VetoError(
            f'changes its shape by {1e3 * residuals[worst]:.0f} mm at step {worst}, '
            f'limit {1e3 * config.max_residual:.0f} mm'
        )
    # Noise is there from the second frame on; a morph grows. Both cost, the growth more.
    half = max(len(residuals) // 2, 1)
    grown = float(np.median(residuals[-half:]) - np.median(residuals[1 : half + 1]))
    value = falling(float(np.median(residuals)), config.max_residual)
    return value * falling(grown, config.max_residual)


def local_residuals(facts: Facts) -> Array:
    """Return (T,) RMS distance of neighbours from moving rigidly with each point [m].

    The as-rigid-as-possible energy (Sorkine and Alexa, 2007): a rotation per point carries its
    edges to its nearest neighbours of the first step; bending is free, stretching is not.
    """
    start = facts.points[0]
    known = np.flatnonzero(facts.seen[0] & facts.body)
    count = min(NEIGHBOURS, len(known) - 1)
    if count < 3:
        raise VetoError(f'{len(known)} points at the start show no shape')
    indices = np.asarray(cKDTree(start[known]).query(start[known], k=count + 1)[1])
    near = known[indices[:, 1:]]
    edges = start[near] - start[known][:, None]
    result = np.zeros(len(facts.points))
    for step in range(1, len(facts.points)):
        both = facts.seen[step][known][:, None] & facts.seen[step][near]
        moved = facts.points[step][near] - facts.points[step][known][:, None]
        covariance = np.einsum('nk,nki,nkj->nij', both.astype(float), moved, edges)
        u, _, vt = np.linalg.svd(covariance)
        u[..., 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
        off = ((moved - edges @ (u @ vt).swapaxes(1, 2)) ** 2).sum(axis=-1)
        off = np.sqrt(np.where(both, off, 0.0).sum(axis=1) / np.maximum(both.sum(axis=1), 1))
        usable = both.sum(axis=1) >= 3
        result[step] = np.sqrt(np.mean(off[usable] ** 2)) if usable.any() else 0.0
    return result


def size(facts: Facts, config: GeometricConfig) -> float:
    """Does it keep its size along every axis?

    The best affine motion's stretches average the noise of all points away; a rigid fit's
    residual does not.
    """
    if config.shape == 'deformable':
        return 1.0
    stretch, error = stretches(facts.points, facts.seen & facts.seen[:1], facts.body)
    beyond = np.maximum(np.abs(stretch) - 2.0 * error, 0.0)
    worst = int(beyond.argmax())
    if beyond[worst] > config.max_stretch:
        raise VetoError(
            f'changes its size by {100 * stretch[worst]:+.0f} % at step {worst}, '
            f'limit {100 * config.max_stretch:.0f} %'
        )
    return falling(float(np.percentile(beyond, 90)), config.max_stretch)


def stretches(
    points: Array, seen: NDArray[np.bool_], body: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Return (T,) largest relative change of size along an axis since step 0, and its error.

    Axes along which the start points hardly spread measure nothing and are left out.

    Args:
        points: (T, N, 3) [m].
        seen: (T, N) True where a point is known, at the step and at the start.
        body: (N,) points to look at.
    """
    result, error = np.zeros(len(points)), np.zeros(len(points))
    for step in range(1, len(points)):
        used = seen[step] & body
        if used.sum() < MIN_POINTS:
            continue
        start = points[0][used] - points[0][used].mean(axis=0)
        moved = points[step][used] - points[step][used].mean(axis=0)
        _, spread, axes = np.linalg.svd(start, full_matrices=False)
        rms = spread / np.sqrt(len(start))
        wide = rms > MIN_SPREAD
        if not wide.any():
            continue
        flat = start @ axes[wide].T
        affine, *_ = np.linalg.lstsq(flat, moved, rcond=None)
        noise = np.sqrt(((moved - flat @ affine) ** 2).mean() * 3)
        values = np.linalg.svd(affine, compute_uv=False) - 1.0
        result[step] = values[np.abs(values).argmax()]
        error[step] = noise / (rms[wide].min() * np.sqrt(len(start)))
    return result, error
