# SPDX-License-Identifier: Apache-2.0
"""Reading depth at points between pixels, without mixing what is in front with what is behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMEARED = 3  # [px] over which an estimate may spread a step
LEAST = 0.25  # of the bilinear weights must lie on pixels with depth
OUT_OF_NOISE = 4.0  # medians of the second difference
RADIUS = 8  # [px] around a point, within which edges are looked for
Array = NDArray[np.float64]


@dataclass(frozen=True)
class DepthSamples:
    """Depth at N points of one image.

    Attributes:
        depth: (N,) [m], NaN where the point is outside or has no depth.
        edge_distance: (N,) to the nearest depth discontinuity [px].
        mixed: (N,) True where the four pixels around the point are not one surface.
        corners: (N, 4) depth of those pixels, nearest first, NaN where unknown [m].
    """

    depth: Array
    edge_distance: Array
    mixed: NDArray[np.bool_]
    corners: Array


def depth_edges(depth: NDArray, step: float) -> NDArray[np.bool_]:
    """Find the pixels on either side of a discontinuity.

    Inverse depth is linear in the image on every plane, however it leans, so a step is where it
    leaves the lines of both sides; at a crease it leaves only one.

    Args:
        depth: (..., H, W) images [m], NaN where unknown.
        step: relative to the depth.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        inverse = np.where(depth > 0, 1.0 / depth, np.nan).astype(np.float32)
    edges = np.zeros(depth.shape, dtype=bool)
    for values, marks in ((inverse, edges), (inverse.swapaxes(-1, -2), edges.swapaxes(-1, -2))):
        rows = values.shape[-2]
        sharp = _steps(values, 1, step)
        for offset in range(2):
            marks[..., offset : rows - 1 + offset, :] |= sharp
        if rows <= SMEARED:
            continue
        smeared = _steps(values, SMEARED, step)
        # A sharp step shows at every stride; only its own two pixels are marked.
        for offset in range(SMEARED):
            smeared &= ~sharp[..., offset : rows - SMEARED + offset, :]
        for offset in range(SMEARED + 1):
            marks[..., offset : rows - SMEARED + offset, :] |= smeared
    return edges


def _steps(inverse: NDArray, stride: int, step: float) -> NDArray[np.bool_]:
    """Say of (..., H, W) inverse depths between which rows `stride` apart a step lies."""
    with np.errstate(invalid='ignore'):
        rise = inverse[..., stride:, :] - inverse[..., :-stride, :]
        before, after = np.full_like(rise, np.nan), np.full_like(rise, np.nan)
        before[..., stride:, :] = rise[..., :-stride, :]
        after[..., :-stride, :] = rise[..., stride:, :]
        # How far the step leaves the slope of either side, counted in the step's own direction.
        sign = np.sign(rise)
        bend = np.fmin((rise - before) * sign, (rise - after) * sign)
        bend = np.where(np.isnan(bend), np.abs(rise), bend)
        larger = np.fmax(inverse[..., stride:, :], inverse[..., :-stride, :])
        # Planes leave only noise in the second differences; a step has to stand out of it.
        waves = np.abs(rise - before) / larger
        waves = waves[np.isfinite(waves)]
        noise = float(np.median(waves)) if len(waves) else 0.0
        return bend > max(step, OUT_OF_NOISE * noise) * larger


def sample_depth(depth: NDArray, pixels: NDArray, step: float) -> DepthSamples:
    """Read depth at points: bilinear within a surface, the nearest pixel's where two meet.

    Args:
        depth: (H, W) [m], NaN where unknown.
        pixels: (N, 2) (u, v), finite or not.
        step: relative depth step that parts surfaces.
    """
    height, width = depth.shape
    count = len(pixels)
    usable = np.isfinite(pixels).all(axis=1)
    points = np.where(usable[:, None], pixels, 0.0).astype(np.float64)
    usable &= (points >= -0.5).all(axis=1)
    usable &= (points <= np.array([width, height]) - 0.5).all(axis=1)
    found = DepthSamples(
        np.full(count, np.nan), np.zeros(count), np.zeros(count, bool), np.full((count, 4), np.nan)
    )
    if not usable.any() or min(height, width) < 2:
        return found
    inside = np.clip(points[usable], 0, [width - 1, height - 1])
    values = _sample(depth, inside, step)
    for whole, piece in zip(
        (found.depth, found.edge_distance, found.mixed, found.corners), values, strict=True
    ):
        whole[usable] = piece
    return found


def _sample(
    depth: NDArray, points: Array, step: float
) -> tuple[Array, Array, NDArray[np.bool_], Array]:
    """Return the fields of `DepthSamples` for (N, 2) points that all lie in the image."""
    height, width = depth.shape
    corner = np.minimum(points.astype(int), [width - 2, height - 2])
    reach = np.arange(-RADIUS, RADIUS + 2)
    rows, columns = corner[:, 1, None] + reach, corner[:, 0, None] + reach
    outside = ((rows < 0) | (rows >= height))[:, :, None]
    outside = outside | ((columns < 0) | (columns >= width))[:, None, :]
    # One patch per point: points are few, pixels many.
    patches = depth[
        np.clip(rows, 0, height - 1)[:, :, None], np.clip(columns, 0, width - 1)[:, None, :]
    ]
    patches = np.where(outside, np.nan, patches).astype(np.float32)
    edges = depth_edges(patches, step)
    away = np.hypot(
        (rows - points[:, 1, None])[:, :, None], (columns - points[:, 0, None])[:, None, :]
    )
    distance = np.where(edges, away, RADIUS).min(axis=(1, 2))
    middle = slice(RADIUS, RADIUS + 2)
    around = patches[:, middle, middle].reshape(-1, 4).astype(np.float64)
    near_edge = edges[:, middle, middle].any(axis=(1, 2))
    a, b = (points - corner).T
    weights = np.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b], axis=1)
    order = np.argsort(-weights, axis=1, kind='stable')
    corners = np.take_along_axis(around, order, axis=1)
    spread = np.nanmax(corners, axis=1, initial=0.0) - np.nanmin(corners, axis=1, initial=np.inf)
    # A pixel of no weight has no say: points on whole pixels need no neighbours.
    needed = np.take_along_axis(weights, order, axis=1) > 1e-6
    mixed = near_edge & needed[:, 1] & (spread > 1e-4)
    # Beside a hole those of the four count that have depth, if one of them is near.
    shares = np.where(np.isfinite(around), weights, 0.0)
    total = shares.sum(axis=1)
    with np.errstate(divide='ignore', invalid='ignore'):
        smooth = total / np.where(shares > 1e-6, shares / around, 0.0).sum(axis=1)
    value = np.where(mixed, corners[:, 0], np.where(total >= LEAST, smooth, np.nan))
    return value, np.maximum(distance - 0.5, 0.0), mixed, corners
