# SPDX-License-Identifier: Apache-2.0
"""Normal equations of a trajectory: blocks per step, neighbours coupled by second differences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dpbsv

from flow_manip_planning.kinematics import Array


@dataclass(frozen=True)
class Bend:
    """Second differences of K steps between two fixed ends, of times that need not be even.

    Attributes:
        stencils: (K-2, 3) factors of the step before, the step and the step after.
    """

    stencils: Array

    @classmethod
    def of_steps(cls, num_steps: int, times: Array | None = None) -> Bend:
        """Build the stencils of `num_steps` steps, even ones if `times` (K,) is left out."""
        if times is None:
            return cls(np.tile([1.0, -2.0, 1.0], (num_steps - 2, 1)))
        gaps = np.diff(times) / np.mean(np.diff(times))
        before, after = 1.0 / gaps[:-1], 1.0 / gaps[1:]
        return cls(np.stack([before, -before - after, after], axis=1))

    def apply(self, values: Array) -> Array:
        """Return the (K-2, J) second differences of (K, J) values."""
        s = self.stencils
        return s[:, :1] * values[:-2] + s[:, 1:2] * values[1:-1] + s[:, 2:] * values[2:]

    def transpose(self, bends: Array) -> Array:
        """Return the (K-2, J) inner part of the transpose times (K-2, J) values."""
        s = self.stencils
        result = s[:, 1:2] * bends
        result[:-1] += s[1:, :1] * bends[1:]
        result[1:] += s[:-1, 2:] * bends[:-1]
        return result

    @cached_property
    def gram(self) -> tuple[Array, Array, Array]:
        """Diagonals 0, 1 and 2 of the inner steps' own normal equations."""
        s = self.stencils
        main = s[:, 1] ** 2
        main[:-1] += s[1:, 0] ** 2
        main[1:] += s[:-1, 2] ** 2
        first = s[:-1, 1] * s[:-1, 2] + s[1:, 0] * s[1:, 1]
        second = s[1:-1, 0] * s[1:-1, 2]
        return main, first, second


def band_of(blocks: Array, bend: Bend, weight: float) -> Array:
    """Lay (M, J, J) symmetric blocks and the coupling of bends into LAPACK's lower band form.

    Returns:
        (2 J + 1, M J).
    """
    num_steps, num_joints, _ = blocks.shape
    band = np.zeros((2 * num_joints + 1, num_steps * num_joints))
    for offset in range(num_joints):
        rows = np.diagonal(blocks, -offset, axis1=1, axis2=2)
        band[offset].reshape(num_steps, num_joints)[:, : num_joints - offset] = rows
    for apart, values in enumerate(bend.gram):
        row = band[apart * num_joints].reshape(num_steps, num_joints)
        row[: len(values)] += weight * values[:, None]
    return band


def solve_damped(band: Array, gradient: Array, damping: float) -> Array:
    """Solve the banded system with Levenberg and Marquardt's damping on its diagonal.

    Args:
        band: (B, M J) lower band form.
        gradient: (M, J).
        damping: relative to 1 + diagonal.

    Returns:
        (M, J).
    """
    damped = band.copy()
    damped[0] += damping * (1.0 + band[0])
    _, step, info = dpbsv(damped, gradient.ravel(), lower=1, overwrite_ab=1)
    if info:
        raise LinAlgError(f'the band matrix is not positive definite at {info}')
    return step.reshape(gradient.shape)
