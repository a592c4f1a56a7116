# SPDX-License-Identifier: Apache-2.0
"""Signed distance to a seen scene: a grid around the obstacles, and the support plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flow_manip_planning.kinematics import Array
from flow_manip_planning.surroundings import Surroundings

REACH = 0.12  # [m] beyond the obstacles; farther is far enough for every clearance
FAR = 1e3  # [m] said outside the grid
CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])


class DistanceField:
    """Distance to the nearest obstacle or to the support, negative inside, with its gradient.

    Euclidean distance transforms (Felzenszwalb and Huttenlocher 2012) of the free and of the
    occupied cells, interpolated trilinearly: continuous, and the gradient is exactly that of what
    is returned.
    """

    def __init__(
        self, surroundings: Surroundings, cell: float = 0.016, *, floor: float = 0.0
    ) -> None:
        """Measure all cells around the obstacles.

        Args:
            surroundings: support and obstacles.
            cell: edge of a cell [m].
            floor: how far above the support the plane counts [m]; negative: it may be entered.
        """
        self._scene = surroundings
        self._floor = floor
        self._cell = cell
        self._field: NDArray[np.float32] | None = None
        normal = np.array([-surroundings.slope[0], -surroundings.slope[1], 1.0])
        self._upright = 1.0 / np.linalg.norm(normal)
        self._normal = normal * self._upright
        if len(surroundings.obstacles):
            self._measure(surroundings.obstacles)

    def _measure(self, obstacles: Array) -> None:
        """Fill the grid."""
        margin = int(np.ceil(REACH / self._cell)) + 1
        self._low = obstacles.min(axis=0) - margin * self._cell
        cells = np.floor((obstacles - self._low) / self._cell).astype(int)
        shape = cells.max(axis=0) + margin + 1
        free = np.ones(shape, dtype=bool)
        free[tuple(cells.T)] = False
        field = ndimage.distance_transform_edt(free).astype(np.float32)
        core = tuple(slice(margin - 1, n - margin + 1) for n in shape)
        inside = ndimage.distance_transform_edt(~free[core]).astype(np.float32)
        field[core] -= np.maximum(inside - 1.0, 0.0)
        # Distances are between centres of cells; the surface is half a voxel from its centre.
        self._field = field * np.float32(self._cell) - np.float32(0.5 * self._scene.voxel)
        self._strides = np.array([shape[1] * shape[2], shape[2], 1])
        self._offsets = CORNERS @ self._strides
        self._shape = shape

    def query(self, points: Array) -> tuple[Array, Array]:
        """Return (...,) distances [m] and (..., 3) their gradients at (..., 3) points."""
        flat = points.reshape(-1, 3)
        distance, gradient = self._plane(flat)
        if self._field is not None:
            found, slope = self._grid(flat)
            nearer = found < distance
            distance = np.where(nearer, found, distance)
            gradient = np.where(nearer[:, None], slope, gradient)
        return distance.reshape(points.shape[:-1]), gradient.reshape(points.shape)

    def may_be_nearer(self, points: Array, than: Array) -> NDArray[np.bool_]:
        """Say quickly for (..., 3) points which may be nearer to something than (...,) `than`."""
        scene = self._scene
        height = points[..., 2] - (scene.support_height + self._floor)
        if any(scene.slope):
            height = points[..., 2] - self._floor - scene.support_at(points)
        near = height * self._upright < than
        if self._field is None:
            return near
        cells = np.floor((points - self._low) * (1.0 / self._cell)).astype(np.intp)
        inside = ((cells >= 0) & (cells < self._shape)).all(axis=-1)
        flat = (cells * self._strides).sum(axis=-1)
        found = self._field.ravel()[np.where(inside, flat, 0)]
        # Within a cell the interpolant differs from the value at its centre by its diagonal.
        return near | (inside & (found < than + 0.87 * self._cell))

    def _plane(self, points: Array) -> tuple[Array, Array]:
        """Return distance to the support and its gradient."""
        height = points[:, 2] - self._scene.support_at(points) - self._floor
        return height * self._upright, np.broadcast_to(self._normal, points.shape)

    def _grid(self, points: Array) -> tuple[Array, Array]:
        """Interpolate the grid; far away outside."""
        assert self._field is not None
        at = (points - self._low) / self._cell - 0.5
        base = np.floor(at).astype(np.intp)
        inside = ((base >= 0) & (base < self._shape - 1)).all(axis=1)
        base[~inside] = 0
        part = at - base
        values = self._field.ravel()[(base @ self._strides)[:, None] + self._offsets]
        values = values.reshape(-1, 2, 2, 2).astype(np.float64)
        x, y, z = (part[:, axis][:, None] for axis in range(3))
        along_z, step_z = (
            values[..., 0] + z[..., None] * (values[..., 1] - values[..., 0]),
            (values[..., 1] - values[..., 0]),
        )
        along_y, step_y = (
            along_z[..., 0] + y * (along_z[..., 1] - along_z[..., 0]),
            (along_z[..., 1] - along_z[..., 0]),
        )
        slope_z = step_z[..., 0] + y * (step_z[..., 1] - step_z[..., 0])
        x = x[:, 0]
        value = along_y[:, 0] + x * (along_y[:, 1] - along_y[:, 0])
        gradient = np.stack(
            [
                along_y[:, 1] - along_y[:, 0],
                step_y[:, 0] + x * (step_y[:, 1] - step_y[:, 0]),
                slope_z[:, 0] + x * (slope_z[:, 1] - slope_z[:, 0]),
            ],
            axis=1,
        )
        return np.where(inside, value, FAR), gradient / self._cell
