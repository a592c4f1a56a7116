# SPDX-License-Identifier: Apache-2.0
"""What juts out over free space and does not stand on the support: pegs, hooks, rails, handles.

An image shows the top of things; below it they are taken to reach down to what they stand on.
That is wrong where the camera sees through below: nothing stands there, and what is hidden farther
down is as free as other hidden space. A thin thing that is seen through somewhere hangs in the air
along the whole of it, also where its own post or rail hides what is below.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flow_manip_planning.kinematics import Array

THIN_CELLS = 4  # voxels: what is narrower is thin
SPREAD = 8  # voxels along a thing from where it is seen to hang
SAME_TOP = 2  # voxels of height between neighbours that are one thing


def under_overhangs(
    centers: Array, points: Array, free: NDArray[np.bool_], floor: float, voxel: float
) -> NDArray[np.bool_]:
    """Say which of filled voxels only an overhang suggests.

    Args:
        centers: (V, 3) of columns filled down to `floor` [m].
        points: (M, 3) that were seen; what holds one stays [m].
        free: (V,) True where the camera sees through.
        floor: z of the support [m].
        voxel: edge [m].

    Returns:
        (V,) True where a voxel is neither seen nor stands on the support.
    """
    if len(centers) == 0:
        return np.zeros(0, dtype=bool)
    cells = _cells(centers, floor, voxel)
    low = np.array([*(cells[:, :2].min(axis=0) - THIN_CELLS), 0])
    shape = cells.max(axis=0) - low + [THIN_CELLS + 1, THIN_CELLS + 1, 1]
    at = tuple((cells - low).T)
    top, gap = np.zeros(shape[:2], dtype=int), np.full(shape[:2], -1)
    np.maximum.at(top, at[:2], at[2] + 1)
    np.maximum.at(gap, (at[0][free], at[1][free]), at[2][free])
    seen = np.zeros(shape, dtype=bool)
    seen[_inside(_cells(points, floor, voxel) - low, top)] = True
    thin = top - ndimage.grey_opening(top, size=(THIN_CELLS, THIN_CELLS)) >= 2
    gap = _spread(gap, top, thin)
    # A thin thing is about as thick as wide: of what is hidden it gets the next voxel only.
    kept = seen.copy()
    kept[:, :, :-1] |= seen[:, :, 1:] & (thin & (gap >= 0))[:, :, None]
    level = np.arange(shape[2])
    hanging = (level <= gap[:, :, None]) | (thin & (gap >= 0))[:, :, None]
    return np.asarray((hanging & ~kept)[at])


def _cells(points: Array, floor: float, voxel: float) -> NDArray[np.int64]:
    """Return (N, 3) whole numbers of voxels; heights count from the floor."""
    return np.floor((points - [0.0, 0.0, floor]) / voxel).astype(np.int64)


def _inside(
    cells: NDArray[np.int64], top: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the cells that are in filled columns; rounding up there belongs to the top one."""
    i, j, k = cells.T
    known = (i >= 0) & (i < top.shape[0]) & (j >= 0) & (j < top.shape[1])
    i, j, k = i[known], j[known], k[known]
    known = (k >= 0) & (top[i, j] > 0)
    i, j, k = i[known], j[known], k[known]
    return i, j, np.minimum(k, top[i, j] - 1)


def _spread(
    gap: NDArray[np.int64], top: NDArray[np.int64], thin: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Let thin neighbours of one height share the highest voxel that is seen through."""
    for _ in range(SPREAD):
        before = np.where(thin, gap, -1)
        for i, j in product((-1, 0, 1), repeat=2):
            # The margin around the grid keeps what is rolled over its edge empty.
            other, height = (np.roll(a, (i, j), axis=(0, 1)) for a in (before, top))
            alike = thin & (np.abs(height - top) <= SAME_TOP)
            gap = np.where(alike, np.maximum(gap, np.minimum(other, top - 1)), gap)
    return gap
