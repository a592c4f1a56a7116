# SPDX-License-Identifier: Apache-2.0
"""A horizontal grid over the workspace, and shapes drawn on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.robot import WorkspaceConfig

SUBPIXEL_BITS = 6


@dataclass(frozen=True)
class Grid:
    """Square cells in the xy plane of the world; arrays over it are indexed [x, y].

    Attributes:
        origin: (2,) xy of the lower corner [m].
        cell: side of a cell [m].
        shape: number of cells along x and y.
    """

    origin: tuple[float, float]
    cell: float
    shape: tuple[int, int]

    @classmethod
    def covering(cls, workspace: WorkspaceConfig, cell: float, margin: float) -> Grid:
        """Cover the workspace and `margin` metres around it."""
        lower = np.asarray(workspace.lower[:2]) - margin
        extent = np.asarray(workspace.upper[:2]) + margin - lower
        nx, ny = np.ceil(extent / cell).astype(int)
        return cls((float(lower[0]), float(lower[1])), cell, (int(nx), int(ny)))

    def cells(self, xy: ArrayLike) -> NDArray[np.int64]:
        """Return the (..., 2) cells of (..., 2) positions; they may lie outside the grid."""
        return np.floor((np.asarray(xy) - self.origin) / self.cell).astype(np.int64)

    def contains(self, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which (..., 2) cells belong to the grid."""
        return ((cells >= 0) & (cells < self.shape)).all(axis=-1)

    @property
    def centers(self) -> NDArray[np.float64]:
        """(nx, ny, 2) xy of every cell's centre [m]."""
        axes = [self.origin[i] + (np.arange(self.shape[i]) + 0.5) * self.cell for i in range(2)]
        return np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1)

    def height_map(self, points: NDArray[np.float64], share: float) -> NDArray[np.float64]:
        """Return per cell the height below which `share` of its points lie.

        Args:
            points: (N, 3) world points.
            share: 0..1; 0.5 is the median, 1 the highest.

        Returns:
            (nx, ny) [m], NaN where no point fell.
        """
        heights = np.full(self.shape, np.nan)
        cells = self.cells(points[:, :2])
        inside = self.contains(cells)
        flat, z = cells[inside] @ (self.shape[1], 1), points[inside, 2]
        if not len(flat):
            return heights
        order = np.lexsort((z, flat))
        flat, z = flat[order], z[order]
        first = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]])
        count = np.diff(np.r_[first, len(flat)])
        heights.flat[flat[first]] = z[first + np.rint((count - 1) * share).astype(int)]
        return heights

    def sample(
        self, values: NDArray[np.float64], xy: ArrayLike, outside: float
    ) -> NDArray[np.float64]:
        """Read (nx, ny) values at (..., 2) positions; `outside` where the grid ends."""
        cells = self.cells(xy)
        inside = self.contains(cells)
        cells = np.where(inside[..., None], cells, 0)
        return np.where(inside, values[cells[..., 0], cells[..., 1]], outside)

    def fill(self, polygon: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Mark the (nx, ny) cells that a convex (K, 2) polygon, grown by `margin`, touches."""
        mask = _draw(self.shape, (polygon - self.origin) / self.cell - 0.5)
        return _grow(mask.astype(np.uint8), margin / self.cell).astype(bool)

    def kernel(self, polygon: NDArray[np.float64], margin: float) -> NDArray[np.uint8]:
        """Draw a (K, 2) polygon around (0, 0), grown by `margin` metres, as an odd-sized mask.

        Used with `highest_under` and `lowest_under` it stands for an object's footprint.
        """
        reach = float(np.abs(polygon).max()) + margin
        half = int(np.ceil(reach / self.cell)) + 1
        mask = _draw((2 * half + 1, 2 * half + 1), polygon / self.cell + half).astype(np.uint8)
        return _grow(mask, margin / self.cell)


def _draw(shape: tuple[int, int], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Fill a (K, 2) polygon in cell units, cell centres at whole numbers, on an [x, y] array."""
    image = np.zeros(shape, dtype=np.uint8)
    # OpenCV counts (column, row): the array's second index is its x.
    corners = np.rint(polygon[:, ::-1] * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.fillConvexPoly(image, corners, 1, shift=SUBPIXEL_BITS)
    return image.astype(bool)


def _grow(mask: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """Dilate a mask by a radius in cells, rounded."""
    size = 2 * round(radius) + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


def highest_under(values: NDArray[np.float64], kernel: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return for every cell the largest of `values` under the kernel placed there."""
    return cv2.dilate(values.astype(np.float32), kernel).astype(np.float64)


def lowest_under(
    values: NDArray[np.float64], kernel: NDArray[np.uint8], outside: float
) -> NDArray[np.float64]:
    """Return for every cell the smallest value under the kernel; `outside` past the border."""
    border = {'borderType': cv2.BORDER_CONSTANT, 'borderValue': outside}
    return cv2.erode(values.astype(np.float32), kernel, **border).astype(np.float64)


def share_under(values: NDArray[np.bool_], kernel: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return for every cell the share 0..1 of the kernel's cells, placed there, that are True."""
    weights = kernel.astype(np.float32) / max(int(kernel.sum()), 1)
    border = cv2.BORDER_CONSTANT
    return cv2.filter2D(values.astype(np.float32), -1, weights, borderType=border).astype(float)


def rotated(polygon: NDArray[np.float64], yaw: float) -> NDArray[np.float64]:
    """Turn (K, 2) points about (0, 0) by `yaw` radians."""
    c, s = np.cos(yaw), np.sin(yaw)
    return polygon @ np.array([[c, s], [-s, c]])
