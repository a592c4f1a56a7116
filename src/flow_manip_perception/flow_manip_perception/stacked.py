# SPDX-License-Identifier: Apache-2.0
"""Parting what stands on or in a dish of its own paint from the dish.

Paint says nothing there, and noise hides creases, but seen from above the thing is an island:
cut at some height, its cells are apart from the dish's outline, while a rim, a wall and whatever
belongs to the dish reaches the outline. The lowest cut that shows an island gives it; only what
is wide and low below the island counts as a dish, so that the neck of a bottle stays with its
bottle.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_perception.foreground import View

CELL = 0.004  # of the map from above [m]
DISH_LENGTH = 0.11  # smaller things carry nothing [m]
DISH_HEIGHT = 0.08  # higher things carry nothing in sight [m]
MARGIN = 0.010  # of an island from the outline [m]
ISLAND_SIZE = 0.018  # smallest side of an island [m]
ISLAND_RISE = 0.015  # an island is higher than its cut by this [m]


def part_stacked(view: View, label: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return `label` with islands on dishes of the same paint numbered as objects of their own."""
    out = label.copy()
    number = int(label.max())
    for dish in range(1, number + 1):
        mask = (label == dish) & np.isfinite(view.heights)
        if mask.sum() < 200:
            continue
        for island in _islands(view.points[mask][:, :2], view.heights[mask]):
            number += 1
            rows, columns = (axis[island] for axis in np.nonzero(mask))
            out[rows, columns] = number
    return out


def _islands(flat: NDArray, heights: NDArray) -> list[NDArray[np.bool_]]:
    """Return for (N, 2) points of one region with their heights which belong to each island."""
    hull = cv2.convexHull(flat.astype(np.float32))
    if max(cv2.minAreaRect(hull)[1]) < DISH_LENGTH:
        return []
    origin = flat.min(axis=0) - 2 * CELL
    cells = np.floor((flat - origin) / CELL).astype(np.int64)
    shape = cells.max(axis=0) + 3
    top = np.zeros(shape, dtype=np.float32)
    np.maximum.at(top, (cells[:, 0], cells[:, 1]), heights)
    inner = _inner_cells(hull, origin, shape)
    for cut in np.arange(0.012, DISH_HEIGHT, 0.004):
        found = _islands_at(top, inner, float(cut))
        picked = [_pick(flat, heights, cells, island) for island in found]
        picked = [p for p in picked if p is not None and _is_dish(heights[~p], flat[~p])]
        if picked:
            return picked
    return []


def _inner_cells(hull: NDArray, origin: NDArray, shape: NDArray) -> NDArray[np.bool_]:
    """Return the cells that lie farther than `MARGIN` within the outline."""
    inside = np.zeros(shape, dtype=np.uint8)
    corners = np.round((hull[:, 0] - origin) / CELL).astype(np.int32)[:, ::-1]
    cv2.fillConvexPoly(inside, np.ascontiguousarray(corners), 1)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 3) * CELL > MARGIN


def _islands_at(top: NDArray, inner: NDArray, cut: float) -> list[NDArray[np.bool_]]:
    """Return the cells of each island that a cut at one height shows."""
    above = cv2.morphologyEx(
        (top > cut).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)
    )
    count, numbers = cv2.connectedComponents(above, connectivity=8)
    found = []
    for n in range(1, count):
        island = numbers == n
        if (island & ~inner).any() or top[island].max() < cut + ISLAND_RISE:
            continue
        rows, columns = np.nonzero(island)
        box = cv2.minAreaRect(np.stack([rows, columns], axis=1).astype(np.float32))
        if (min(box[1]) + 1) * CELL >= ISLAND_SIZE:
            found.append(island)
    return found


def _pick(
    flat: NDArray, heights: NDArray, cells: NDArray, island: NDArray
) -> NDArray[np.bool_] | None:
    """Return the points over an island that rise from the floor around it, None without floor."""
    rows, columns = np.nonzero(island)
    hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))
    filled = np.zeros(island.shape, dtype=np.uint8)
    cv2.fillConvexPoly(filled, hull, 1)
    over = cv2.dilate(filled, np.ones((3, 3), np.uint8)) > 0
    around = cv2.dilate(filled, np.ones((9, 9), np.uint8)) > 0
    on, near = over[cells[:, 0], cells[:, 1]], around[cells[:, 0], cells[:, 1]]
    ring = heights[near & ~on]
    if len(ring) < 20:
        return None
    return on & (heights > np.median(ring) + 0.004)


def _is_dish(heights: NDArray, flat: NDArray) -> bool:
    """Say whether what is left without the island is wide and low."""
    if len(heights) < 100:
        return False
    sides = cv2.minAreaRect(cv2.convexHull(flat.astype(np.float32)))[1]
    wide = max(sides) >= DISH_LENGTH and min(sides) >= 0.5 * max(sides)
    return wide and float(np.percentile(heights, 97)) < DISH_HEIGHT
