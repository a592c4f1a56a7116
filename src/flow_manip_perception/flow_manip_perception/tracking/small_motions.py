# SPDX-License-Identifier: Apache-2.0
"""Small motions of a rigid thing: least squares for one step, and turns without overhead."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def normal_equations(arms: Array, gaps: Array, metric: Array) -> tuple[Array, Array]:
    """Return (6, 6) and (6,) of least squares for a small turn and shift.

    Args:
        arms: (M, 3) points from the turn's centre.
        gaps: (M, 3) from the points to where they should be.
        metric: (M, 3, 3) weight of each gap's directions.
    """
    jacobian = np.zeros((len(arms), 3, 6))
    x, y, z = arms.T
    jacobian[:, 0, 1], jacobian[:, 0, 2] = z, -y
    jacobian[:, 1, 0], jacobian[:, 1, 2] = -z, x
    jacobian[:, 2, 0], jacobian[:, 2, 1] = y, -x
    jacobian[:, (0, 1, 2), (3, 4, 5)] = 1.0
    weighted = np.matmul(metric, jacobian).reshape(-1, 6)
    return weighted.T @ jacobian.reshape(-1, 6), weighted.T @ gaps.reshape(-1)


def exp_motion(step: Array) -> Array:
    """Return the (4, 4) motion that turns by `step[:3]` [rad], then shifts by `step[3:]` [m]."""
    motion = np.eye(4)
    motion[:3, :3] = turn_by(step[:3])
    motion[:3, 3] = step[3:]
    return motion


def turn_by(vector: Array) -> Array:
    """Return the (3, 3) rotation about a vector by its length [rad]: Rodrigues' formula.

    It is asked for thousands of times per video, and scipy's takes ten times as long.
    """
    x, y, z = vector.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    if angle < 1e-12:
        return np.array([[1.0, -z, y], [z, 1.0, -x], [-y, x, 1.0]])
    s, c = math.sin(angle) / angle, (1.0 - math.cos(angle)) / (angle * angle)
    return np.array(
        [
            [1.0 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y],
            [c * x * y + s * z, 1.0 - c * (x * x + z * z), c * y * z - s * x],
            [c * x * z - s * y, c * y * z + s * x, 1.0 - c * (x * x + y * y)],
        ]
    )


def log_motion(motion: Array) -> Array:
    """Undo `exp_motion`."""
    return np.concatenate([Rotation.from_matrix(motion[:3, :3]).as_rotvec(), motion[:3, 3]])
