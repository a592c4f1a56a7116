# SPDX-License-Identifier: Apache-2.0
"""Many points on one rigid body, reduced to four per step without loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow_manip_planning.kinematics import Array

ROTATION_LEVER = 0.1  # [m] at which a radian counts like a metre


@dataclass(frozen=True)
class PointTargets:
    """Where a carried body's points are to be at each step, K steps.

    With the pose's upper rows A = [R t] and homogeneous points h_i in the carrier's frame,
    sum_i w_i |A h_i - y_i|^2 is quadratic in A: with S = sum w h h^T = L L^T it equals
    |A L - B|^2 + rest, B = (sum w y h^T) L^-T. So L's four columns are points that stand for all
    N, at every pose and not only near the answer; a point's mass is its last entry.

    Attributes:
        points: (K, 4, 4) L transposed: four weighted homogeneous points per step.
        targets: (K, 4, 3) B transposed.
        rest: (K,) squared distance that no pose can remove.
    """

    points: Array
    targets: Array
    rest: Array

    def residuals(self, poses: Array) -> Array:
        """Return the (K, 4, 3) weighted residuals of (K, 4, 4) carrier poses."""
        return self.points @ poses[:, :3].swapaxes(1, 2) - self.targets

    def scaled(self, weight: float) -> PointTargets:
        """Return the same with all residuals times `weight`."""
        return PointTargets(self.points * weight, self.targets * weight, self.rest * weight**2)

    def __getitem__(self, steps: slice) -> PointTargets:
        """Return some of the steps."""
        return PointTargets(self.points[steps], self.targets[steps], self.rest[steps])


def reduce_points(carried: Array, targets: Array, weights: Array) -> PointTargets:
    """Reduce (N, 3) points in the carrier's frame that are to be at (K, N, 3) targets.

    Args:
        carried: (N, 3) [m].
        targets: (K, N, 3) [m]; not looked at where the weight is 0.
        weights: (K, N) of the squared distances, not negative. Steps without any are free.
    """
    h = np.concatenate([carried, np.ones((len(carried), 1))], axis=1)
    y = np.where(weights[..., None] > 0, targets, 0.0)
    weighted = weights[..., None] * h
    gram = weighted.swapaxes(1, 2) @ h
    cross = weighted.swapaxes(1, 2) @ y
    size, vectors = np.linalg.eigh(gram)
    # Fewer than four points in general position leave directions without any weight.
    root = np.sqrt(np.where(size > 1e-12 * size[:, -1:], size, 0.0))
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    columns = vectors.swapaxes(1, 2)
    points = root[..., None] * columns
    reduced = inverse[..., None] * (columns @ cross)
    total = (weights * (y**2).sum(axis=-1)).sum(axis=-1)
    rest = np.maximum(total - (reduced**2).sum(axis=(1, 2)), 0.0)
    return PointTargets(points, reduced, rest)


def pose_targets(targets: Array, weight: float, lever: float = ROTATION_LEVER) -> PointTargets:
    """Express (K, 4, 4) poses as the targets of a point and three arms of length `lever`.

    A turn by an angle a costs as much as a shift by about `lever` * a. It is the chordal
    distance, smooth everywhere.
    """
    # Every axis of rotation moves two of the three arms.
    arm = lever / np.sqrt(2.0)
    points = np.tile(weight * np.diag([arm, arm, arm, 1.0]), (len(targets), 1, 1))
    wanted = points @ targets[:, :3].swapaxes(1, 2)
    return PointTargets(points, wanted, np.zeros(len(targets)))
