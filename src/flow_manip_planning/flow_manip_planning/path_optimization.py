# SPDX-License-Identifier: Apache-2.0
"""Least-squares polish of a joint path that already follows its hand poses.

NovaFlow's trajectory optimisation (smoothness 10, limits 100, collision 15, rest pose 0.1, both
ends exact, Levenberg-Marquardt) plus a stiff residual on the hand's pose at every step. All
Jacobians are analytic; the normal equations couple a step only to the next two, so they are solved
as a banded system in time linear in the number of steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.linalg import LinAlgError, solveh_banded

from flow_manip_planning.inverse_kinematics import solve_ik
from flow_manip_planning.kinematics import Array, ChainPoses, pose_errors
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import Surroundings

ROTATION_LEVER = 0.1  # [m] at which a radian counts like a metre


@dataclass(frozen=True)
class Weights:
    """Of the residuals; those of the paper and the pose's, per metre."""

    pose: float = 2000.0
    smoothness: float = 10.0
    limits: float = 100.0
    collision: float = 15.0
    rest: float = 0.1
    limit_margin: float = 0.1  # [rad]
    clearance: float = 0.03  # [m]


class DistanceField:
    """Distance to the nearest obstacle on a grid, and to the support plane."""

    def __init__(self, surroundings: Surroundings, cell: float = 0.016) -> None:
        """Measure all cells around the obstacles by a Euclidean distance transform."""
        self._scene = surroundings
        self._cell = cell
        self._field = None
        obstacles = surroundings.obstacles
        if len(obstacles) == 0:
            return
        self._low = obstacles.min(axis=0) - 0.15
        cells = np.floor((obstacles - self._low) / cell).astype(int)
        free = np.ones(cells.max(axis=0) + int(np.ceil(0.15 / cell)) + 1, dtype=bool)
        free[tuple(cells.T)] = False
        self._field = ndimage.distance_transform_edt(free).astype(np.float32) * cell
        self._slope = np.stack(np.gradient(self._field, cell), axis=-1)

    def query(self, points: Array) -> tuple[Array, Array]:
        """Return (...,) distances [m] and (..., 3) their gradients at (..., 3) points."""
        distance = points[..., 2] - self._scene.support_at(points)
        gradient = np.broadcast_to([0.0, 0.0, 1.0], points.shape).copy()
        if self._field is None:
            return distance, gradient
        cells = np.floor((points - self._low) / self._cell).astype(int)
        inside = ((cells >= 0) & (cells < self._field.shape)).all(axis=-1)
        found = self._field[tuple(cells[inside].T)]
        nearer = found < distance[inside]
        index = tuple(axis[nearer] for axis in np.nonzero(inside))
        distance[index] = found[nearer]
        gradient[index] = self._slope[tuple(cells[inside][nearer].T)]
        return distance, gradient


class PathOptimizer:
    """Polishes joint paths of one robot in one scene."""

    def __init__(
        self, robot: RobotModel, surroundings: Surroundings, weights: Weights | None = None
    ) -> None:
        """Prepare the distance field."""
        self._robot = robot
        self._chain = robot.chain
        self._field = DistanceField(surroundings)
        self._weights = weights or Weights()

    def polish(self, path: Array, targets: Array, iterations: int = 12) -> Array:
        """Smooth a (K, J) path whose tip is to be at (K, 4, 4) targets.

        Returns:
            (K, J); first and last row as given, every row within the limits and back on its
            target.
        """
        if len(path) < 5:
            return path
        q, damping = path.copy(), 1e-3
        cost, matrix, gradient = self._linearise(q, targets)
        for _ in range(iterations):
            trial = q.copy()
            trial[1:-1] -= self._solve(matrix, gradient, damping)
            trial = np.clip(trial, self._chain.lower, self._chain.upper)
            new_cost, new_matrix, new_gradient = self._linearise(trial, targets)
            if new_cost < cost:
                done = cost - new_cost < 1e-4 * cost
                q, cost, matrix, gradient = trial, new_cost, new_matrix, new_gradient
                damping = max(damping * 0.2, 1e-9)
                if done:
                    break
            else:
                damping *= 10.0
                if damping > 1e6:
                    break
        exact = solve_ik(self._chain, targets[1:-1], q[1:-1], iterations=5)
        q[1:-1] = exact.q
        return q if exact.solved.all() else path

    def _linearise(self, q: Array, targets: Array) -> tuple[float, Array, Array]:
        """Return cost, banded Gauss-Newton matrix and (K-2, J) gradient of the inner steps."""
        w, num_joints = self._weights, q.shape[1]
        inner = q[1:-1]
        poses = self._chain.forward(inner)
        blocks, gradient, cost = self._pose_terms(poses, targets[1:-1])
        over = np.maximum(inner - (self._chain.upper - w.limit_margin), 0.0)
        under = np.minimum(inner - (self._chain.lower + w.limit_margin), 0.0)
        rest = inner - self._robot.home
        diagonal = w.limits**2 * ((over > 0) | (under < 0)) + w.rest**2
        gradient += w.limits**2 * (over + under) + w.rest**2 * rest
        cost += w.limits**2 * float(((over + under) ** 2).sum()) + w.rest**2 * float(
            (rest**2).sum()
        )
        blocks += diagonal[:, :, None] * np.eye(num_joints)
        collision = self._collision_terms(poses)
        blocks, gradient, cost = (
            blocks + collision[0],
            gradient + collision[1],
            cost + collision[2],
        )
        bend = w.smoothness * np.diff(q, n=2, axis=0)
        cost += float((bend**2).sum())
        # d bend_i / d q_i-1, q_i, q_i+1 = 1, -2, 1: the transpose is the same stencil.
        padded = np.pad(bend, ((1, 1), (0, 0)))
        gradient += w.smoothness * np.diff(padded, n=2, axis=0)
        return cost, _banded(blocks, w.smoothness**2), gradient

    def _pose_terms(self, poses: ChainPoses, targets: Array) -> tuple[Array, Array, float]:
        """Return blocks, gradient and cost of the distance between tip and target."""
        scale = self._weights.pose * np.array([1.0] * 3 + [ROTATION_LEVER] * 3)
        residual = -pose_errors(targets, poses.tip) * scale
        jacobian = self._chain.jacobian(poses) * scale[:, None]
        transposed = jacobian.swapaxes(1, 2)
        return (
            transposed @ jacobian,
            (transposed @ residual[..., None])[..., 0],
            float((residual**2).sum()),
        )

    def _collision_terms(self, poses: ChainPoses) -> tuple[Array, Array, float]:
        """Return blocks, gradient and cost of spheres closer to obstacles than the clearance."""
        spheres, num_joints = self._robot.spheres, self._chain.num_joints
        moving = spheres.joints >= 1
        centers = self._robot.sphere_centers(poses.joints)[:, moving]
        distance, slope = self._field.query(centers)
        depth = np.maximum(self._weights.clearance + spheres.radii[moving] - distance, 0.0)
        blocks = np.zeros((len(centers), num_joints, num_joints))
        gradient = np.zeros((len(centers), num_joints))
        step, sphere = np.nonzero(depth > 0)
        if len(step) == 0:
            return blocks, gradient, 0.0
        lever = centers[step, sphere][:, None] - poses.joints[step, :, :3, 3]
        columns = np.cross(poses.axes[step], lever)
        moves = np.arange(num_joints) <= spheres.joints[moving][sphere][:, None]
        rows = -(columns * slope[step, sphere][:, None]).sum(axis=-1) * moves
        weight = self._weights.collision**2
        np.add.at(blocks, step, weight * rows[:, :, None] * rows[:, None, :])
        np.add.at(gradient, step, weight * depth[step, sphere][:, None] * rows)
        return blocks, gradient, weight * float((depth**2).sum())

    def _solve(self, matrix: Array, gradient: Array, damping: float) -> Array:
        """Solve the damped normal equations for the inner steps."""
        damped = matrix.copy()
        damped[0] += damping * (1.0 + matrix[0])
        try:
            return solveh_banded(damped, gradient.ravel(), lower=True).reshape(gradient.shape)
        except LinAlgError:
            return self._solve(matrix, gradient, 100.0 * damping)


def _banded(blocks: Array, smoothness: float) -> Array:
    """Lay (M, J, J) blocks and the coupling of neighbours into LAPACK's lower band form."""
    num_steps, num_joints, _ = blocks.shape
    band = np.zeros((2 * num_joints + 1, num_steps * num_joints))
    for offset in range(num_joints):
        for column in range(num_joints - offset):
            band[offset, column::num_joints] = blocks[:, column + offset, column]
    # D^T D of second differences over M inner steps between two fixed ends.
    pattern = np.zeros((num_steps, num_steps + 2))
    for shift, factor in ((0, 1.0), (1, -2.0), (2, 1.0)):
        pattern[np.arange(num_steps), np.arange(num_steps) + shift] = factor
    pattern = pattern[:, 1:-1]
    coupling = smoothness * (pattern.T @ pattern)
    for apart in range(3):
        values = np.repeat(np.diagonal(coupling, -apart), num_joints)
        band[apart * num_joints, : len(values)] += values
    return band
