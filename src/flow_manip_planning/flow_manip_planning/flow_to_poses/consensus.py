# SPDX-License-Identifier: Apache-2.0
"""RANSAC for the rigid motions of all steps at once.

Fischler and Bolles 1981, three-point samples. Triples whose side lengths the motion does not keep
cannot be rigid and are dropped before they cost anything (Buch et al. 2013). The others are scored
by Geman and McClure's bounded distance (1987) on some random points, with a scale that the side
lengths tell. The best few of each step are refined on these points and scored again, the best of
them on all points, last with those in a band that follows the noise (after Chum et al. 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.rigid import fit_rigid_transforms, RigidFits
from flow_manip_planning.flow_to_poses.motion import Array
from flow_manip_planning.flow_to_poses.settings import FitConfig

HYPOTHESES = 24  # scored per step
SCORED_POINTS = 192
FINALISTS = 3  # refined before the best is chosen
SOFT_FITS, HARD_FITS = 1, 2  # on all points, with bounded weights, then within the band
WIDEST_BAND = 2.5  # inlier distances
NARROWEST = 0.4  # of scale and band, inlier distances
# Quantile of the changes of side lengths, and what it is of a normal distribution's deviation.
STILL_SIDES, STILL_DEVIATION = 0.15, 0.189
BAND = 3.0  # standard deviations of a coordinate that an inlier may be away
# Share of a coordinate's variance that is left inside that band: P(chi2_5 < 9) / P(chi2_3 < 9).
INSIDE_BAND = 0.918


@dataclass(frozen=True)
class Consensus:
    """Rigid motions and the points that agree with them.

    Attributes:
        fits: of the agreeing points.
        inliers: (T, N) True where a point agrees.
        noise: (T,) standard deviation of an agreeing point's coordinate [m].
    """

    fits: RigidFits
    inliers: NDArray[np.bool_]
    noise: Array


def find_consensus(
    source: Array, target: Array, weights: Array, config: FitConfig, rng: np.random.Generator
) -> Consensus:
    """Fit every step to the largest set of points that move as one rigid body.

    Args:
        source: (N, 3) or (T, N, 3) points before [m].
        target: (T, N, 3) after [m]; finite.
        weights: (T, N) non-negative, 0 where hidden.
        config: distances and how many triples to draw.
        rng: draws them.
    """
    drawn = _Visible(weights, rng)
    triples = drawn.triples(config.samples)
    before, after = _take(source, triples), _take(target, triples)
    chosen, change = _plausible(before, after, 2.0 * config.inlier_distance)
    distance = config.inlier_distance
    scale = np.clip(BAND * change / np.sqrt(2.0), NARROWEST * distance, distance)
    before, after = _select(before, chosen), _select(after, chosen)
    rotations, translations = _from_triples(before, after)
    tested = drawn.some(SCORED_POINTS)
    before, after = _take(source, tested), _take(target, tested)
    scores = _scores(rotations, translations, before, after, scale)
    best = np.argpartition(scores, FINALISTS, axis=1)[:, :FINALISTS]
    steps = np.arange(len(target))[:, None]
    transforms = np.tile(np.eye(4), (*best.shape, 1, 1))
    transforms[..., :3, :3] = rotations[steps, best]
    transforms[..., :3, 3] = translations[steps, best]
    winners = _best_polished(transforms, before, after, scale)
    return _refine(source, target, weights, winners, scale, distance)


class _Visible:
    """Draws visible points of every step."""

    def __init__(self, weights: Array, rng: np.random.Generator) -> None:
        """List the points with weight; steps without any draw from all."""
        seen = weights > 0
        seen[~seen.any(axis=1)] = True
        self._rng = rng
        self._counts = np.count_nonzero(seen, axis=1)
        self._first = np.cumsum(self._counts) - self._counts
        self._points = np.nonzero(seen)[1]

    def some(self, count: int) -> NDArray[np.intp]:
        """Draw (T, count) points of each step, with replacement."""
        drawn = self._rng.random((len(self._counts), count)) * self._counts[:, None]
        return self._points[self._first[:, None] + drawn.astype(np.intp)]

    def triples(self, count: int) -> NDArray[np.intp]:
        """Draw (T, count, 3) triples of different points of each step, where it has three."""
        n = self._counts[:, None]
        drawn = self._rng.random((3, len(self._counts), count))
        a, b, c = (
            (share * np.maximum(n - used, 1)).astype(np.intp) for used, share in enumerate(drawn)
        )
        # Each is counted among the points that those before it left over.
        b += b >= a
        low, high = np.minimum(a, b), np.maximum(a, b)
        c += c >= low
        c += c >= high
        ranks = np.minimum(np.stack([a, b, c], axis=-1), n[..., None] - 1)
        return self._points[self._first[:, None, None] + ranks]


def _take(points: Array, index: NDArray[np.intp]) -> Array:
    """Return points (N, 3) or (T, N, 3) at a (T, ...) index, (T, ..., 3)."""
    if points.ndim == 2:
        return points.take(index, axis=0)
    steps = np.arange(len(points)).reshape(-1, *(1,) * (index.ndim - 1))
    return points.reshape(-1, 3).take(index + steps * points.shape[1], axis=0)


def _select(triples: Array, chosen: NDArray[np.intp]) -> Array:
    """Return the chosen (T, H) of (T, S, 3, 3) triples."""
    return np.take_along_axis(triples, chosen[..., None, None], axis=1)


def _plausible(before: Array, after: Array, tolerance: float) -> tuple[NDArray[np.intp], Array]:
    """Return for each step the (T, H) triples to try, those that could be rigid first.

    A triple could be if its sides keep their lengths within `tolerance`. Of those, narrow ones
    (below a third of the median area) come last: they tell little about rotation.

    Returns:
        the triples, and (T,) standard deviation of how much sides change their lengths. It is read
        off the sides that change least: right without outliers, up to three times too large with
        40 % of them [m].
    """
    changes = []
    for i, j in ((0, 1), (1, 2), (2, 0)):
        was, now = before[..., j, :] - before[..., i, :], after[..., j, :] - after[..., i, :]
        was, now = np.einsum('tsc,tsc->ts', was, was), np.einsum('tsc,tsc->ts', now, now)
        changes.append(np.abs(np.sqrt(was) - np.sqrt(now)))
    change = np.concatenate(changes, axis=1)
    still = int(STILL_SIDES * change.shape[1])
    deviation = np.partition(change, still, axis=1)[:, still] / STILL_DEVIATION
    kept = np.max(changes, axis=0) < tolerance
    normal = _cross(before[..., 1, :] - before[..., 0, :], before[..., 2, :] - before[..., 0, :])
    area = np.einsum('tsc,tsc->ts', normal, normal)
    wide = area > np.median(area, axis=1, keepdims=True) / 9.0
    order = np.argsort(np.where(kept, np.where(wide, 0, 1), 2), axis=1, kind='stable')
    return order[:, :HYPOTHESES], deviation


def _cross(a: Array, b: Array) -> Array:
    """Return the cross product of (..., 3) vectors; numpy's own takes four times as long."""
    result = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        result[..., i] = a[..., j] * b[..., k] - a[..., k] * b[..., j]
    return result


def _from_triples(before: Array, after: Array) -> tuple[Array, Array]:
    """Return the (T, H, 3, 3) rotations and (T, H, 3) translations that carry triples over.

    By the frames that they span: exact for rigid ones, near enough to be refined for others.
    """
    frames = []
    for triple in (before, after):
        x = triple[..., 1, :] - triple[..., 0, :]
        z = _cross(x, triple[..., 2, :] - triple[..., 0, :])
        x, z = (v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12) for v in (x, z))
        frames.append(np.stack([x, _cross(z, x), z], axis=-1))
    rotations = frames[1] @ frames[0].swapaxes(-1, -2)
    center = before.mean(axis=-2)
    return rotations, after.mean(axis=-2) - (rotations @ center[..., None])[..., 0]


def _scores(
    rotations: Array, translations: Array, before: Array, after: Array, scale: Array
) -> Array:
    """Return (T, H) sums of bounded distances r^2 / (r^2 + s^2) for (T,) scales s.

    |R p + t - q|^2 is linear in the products of p and q, so that one matrix product gives all
    distances of a step. Everything is centred first, so that single precision is enough.
    """
    origin, goal = before.mean(axis=1), after.mean(axis=1)
    t = translations + (rotations @ origin[:, None, :, None])[..., 0] - goal[:, None]
    p, q = (
        np.ascontiguousarray((x - middle[:, None]).swapaxes(1, 2), dtype=np.float32)
        for x, middle in ((before, origin), (after, goal))
    )
    num_steps, num_hypotheses = rotations.shape[:2]
    features = np.empty((num_steps, 17, p.shape[2]), dtype=np.float32)
    np.multiply(q[:, :, None], p[:, None], out=features[:, :9].reshape(num_steps, 3, 3, -1))
    features[:, 9:12], features[:, 12:15], features[:, 16] = p, q, 1.0
    features[:, 15] = np.einsum('tcn,tcn->tn', p, p) + np.einsum('tcn,tcn->tn', q, q)
    factors = np.empty((num_steps, num_hypotheses, 17), dtype=np.float32)
    factors[..., :9] = -2.0 * rotations.reshape(num_steps, num_hypotheses, 9)
    factors[..., 9:12] = 2.0 * (t[..., None, :] @ rotations)[..., 0, :]
    factors[..., 12:15], factors[..., 15] = -2.0 * t, 1.0
    factors[..., 16] = (t * t).sum(axis=-1)
    squared = factors @ features
    np.maximum(squared, 0.0, out=squared)
    soft = squared + (scale**2).astype(np.float32)[:, None, None]
    return np.divide(squared, soft, out=squared).sum(axis=-1)


def _best_polished(transforms: Array, before: Array, after: Array, scale: Array) -> Array:
    """Refit (T, H, 4, 4) motions to (T, M, 3) points by bounded weights; return the (T,) best."""
    num_steps, count = transforms.shape[:2]
    flat = transforms.reshape(-1, 4, 4)
    source, target = (
        np.repeat(points.swapaxes(1, 2), count, axis=0) for points in (before, after)
    )
    soft = np.repeat(scale**2, count)[:, None]
    weights = (soft / (_squared_distances(source, target, flat) + soft)) ** 2
    fits = fit_rigid_transforms(source.swapaxes(1, 2), target.swapaxes(1, 2), weights)
    flat = np.where(fits.determined[:, None, None], fits.transforms, flat)
    squared = _squared_distances(source, target, flat)
    best = (squared / (squared + soft)).sum(axis=1).reshape(num_steps, count).argmin(axis=1)
    return flat.reshape(num_steps, count, 4, 4)[np.arange(num_steps), best]


def _refine(
    source: Array,
    target: Array,
    weights: Array,
    transforms: Array,
    scale: Array,
    distance: float,
) -> Consensus:
    """Fit the points within the band again and again; the band follows their noise."""
    before = np.ascontiguousarray(source.swapaxes(-1, -2))
    after = np.ascontiguousarray(target.swapaxes(-1, -2))
    points = before.swapaxes(-1, -2), after.swapaxes(-1, -2)

    def refit(kept: Array) -> RigidFits:
        fits = fit_rigid_transforms(*points, kept)
        unknown = ~fits.determined
        fits.transforms[unknown] = transforms[unknown]
        return fits

    for _ in range(SOFT_FITS):
        squared = _squared_distances(before, after, transforms)
        soft = (scale**2)[:, None]
        transforms = refit(weights * (soft / (squared + soft)) ** 2).transforms
    band = WIDEST_BAND * scale
    for _ in range(HARD_FITS):
        squared = _squared_distances(before, after, transforms)
        variance = _variance(squared, weights, band)
        band = np.clip(BAND * np.sqrt(variance), NARROWEST * distance, WIDEST_BAND * distance)
        inliers = (squared < (band**2)[:, None]) & (weights > 0)
        fits = refit(np.where(inliers, weights, 0.0))
        transforms = fits.transforms
    noise = np.where(fits.determined, fits.residuals, np.inf) / np.sqrt(3.0 * INSIDE_BAND)
    return Consensus(fits, inliers, noise)


def _variance(squared: Array, weights: Array, band: Array) -> Array:
    """Return the (T,) variance of a coordinate of the points within (T,) bands [m^2]."""
    kept = np.where(squared < (band**2)[:, None], weights, 0.0)
    total = np.maximum(kept.sum(axis=1), 1e-12)
    return np.einsum('tn,tn->t', kept, squared) / total / (3.0 * INSIDE_BAND)


def _squared_distances(before: Array, after: Array, transforms: Array) -> Array:
    """Return (T, N) squared distances of moved (..., 3, N) points from (T, 3, N) ones."""
    away = transforms[:, :3, :3] @ before
    away += transforms[:, :3, 3:]
    away -= after
    return np.einsum('tcn,tcn->tn', away, away)
