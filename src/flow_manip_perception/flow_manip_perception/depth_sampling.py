# SPDX-License-Identifier: Apache-2.0
"""Reading depth at points between pixels, without mixing what is in front with what is behind."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SMEARED = 3  # [px] over which an estimate may spread a step
OUT_OF_NOISE = 4.0  # medians of the second difference
MARGIN = 16  # [px] around the points, in which edges are looked for
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
        depth: (H, W) [m], NaN where unknown.
        step: relative to the depth.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        inverse = np.where(depth > 0, 1.0 / depth, np.nan).astype(np.float32)
    edges = np.zeros(depth.shape, dtype=bool)
    for values, marks in ((inverse, edges), (inverse.T, edges.T)):
        rows = len(values)
        sharp = _steps(values, 1, step)
        for offset in range(2):
            marks[offset : rows - 1 + offset] |= sharp
        if rows <= SMEARED:
            continue
        smeared = _steps(values, SMEARED, step)
        # A sharp step shows at every stride; only its own two pixels are marked.
        for offset in range(SMEARED):
            smeared &= ~sharp[offset : rows - SMEARED + offset]
        for offset in range(SMEARED + 1):
            marks[offset : rows - SMEARED + offset] |= smeared
    return edges


def _steps(inverse: NDArray, stride: int, step: float) -> NDArray[np.bool_]:
    """Say of (H, W) inverse depths between which rows `stride` apart a step lies, (H - s, W)."""
    with np.errstate(invalid='ignore'):
        rise = inverse[stride:] - inverse[:-stride]
        before, after = np.full_like(rise, np.nan), np.full_like(rise, np.nan)
        before[stride:], after[:-stride] = rise[:-stride], rise[stride:]
        # How far the step leaves the slope of either side, counted in the step's own direction.
        sign = np.sign(rise)
        bend = np.fmin((rise - before) * sign, (rise - after) * sign)
        bend = np.where(np.isnan(bend), np.abs(rise), bend)
        larger = np.fmax(inverse[stride:], inverse[:-stride])
        # Planes leave only noise in the second differences; a step has to stand out of it.
        waves = np.abs(np.diff(inverse[::stride], n=2, axis=0) / inverse[::stride][1:-1])
        noise = np.nanmedian(waves) if np.isfinite(waves).any() else 0.0
        return bend > max(step, OUT_OF_NOISE * float(noise)) * larger


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
    low = np.maximum(inside.min(axis=0).astype(int) - MARGIN, 0)
    high = np.minimum(inside.max(axis=0).astype(int) + MARGIN + 1, [width, height])
    part = depth[low[1] : high[1], low[0] : high[0]]
    values = _sample(part, depth_edges(part, step), inside - low)
    for whole, piece in zip(
        (found.depth, found.edge_distance, found.mixed, found.corners), values, strict=True
    ):
        whole[usable] = piece
    return found


def _sample(
    depth: NDArray, edges: NDArray, points: Array
) -> tuple[Array, NDArray, NDArray[np.bool_], Array]:
    """Return the fields of `DepthSamples` for points that all lie in the image."""
    height, width = depth.shape
    distance = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, 3)
    corner = np.minimum(points.astype(int), [width - 2, height - 2])
    u, v = corner.T
    a, b = (points - corner).T
    weights = np.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b], axis=1)
    around = np.stack([depth[v, u], depth[v, u + 1], depth[v + 1, u], depth[v + 1, u + 1]], axis=1)
    around = around.astype(np.float64)
    near_edge = edges[v, u] | edges[v, u + 1] | edges[v + 1, u] | edges[v + 1, u + 1]
    order = np.argsort(-weights, axis=1, kind='stable')
    corners = np.take_along_axis(around, order, axis=1)
    spread = np.nanmax(corners, axis=1, initial=0.0) - np.nanmin(corners, axis=1, initial=np.inf)
    known = np.isfinite(corners)
    # A pixel of no weight has no say: points on whole pixels need no neighbours.
    needed = np.take_along_axis(weights, order, axis=1) > 1e-6
    complete = (known | ~needed).all(axis=1)
    mixed = near_edge & needed[:, 1] & (spread > 1e-4)
    with np.errstate(divide='ignore', invalid='ignore'):
        smooth = 1.0 / np.where(weights > 1e-6, weights / around, 0.0).sum(axis=1)
    # Beside a hole: its nearest pixel, if that has depth.
    value = np.where(complete & ~mixed, smooth, corners[:, 0])
    rows, columns = np.rint(points[:, 1]).astype(int), np.rint(points[:, 0]).astype(int)
    return value, distance[rows, columns], mixed, corners
