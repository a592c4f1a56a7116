# SPDX-License-Identifier: Apache-2.0
"""Residuals of single steps: what each costs, with analytic Gauss-Newton blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_planning.kinematics import Array, Chain, ChainPoses
from flow_manip_planning.path_optimization.point_targets import PointTargets
from flow_manip_planning.path_optimization.weights import Weights

Indices = NDArray[np.signedinteger]


@dataclass(frozen=True)
class State:
    """M configurations and what follows from them.

    Attributes:
        q: (M, J) [rad].
        poses: of all frames.
        screws: (M, J, 6) axis and moment of every joint in the world: the velocity of a point c
            that the joint carries is axis x c + moment.
    """

    q: Array
    poses: ChainPoses
    screws: Array

    @classmethod
    def at(cls, chain: Chain, q: Array) -> State:
        """Move the chain to (M, J) configurations."""
        poses = chain.forward(q)
        moments = cross(poses.joints[..., :3, 3], poses.axes)
        return cls(q, poses, np.concatenate([poses.axes, moments], axis=-1))


@dataclass
class Normal:
    """Sum of the terms: half the squared residuals' Gauss-Newton form, the cost not halved.

    Attributes:
        blocks: (M, J, J).
        gradient: (M, J).
        cost: sum of squares.
    """

    blocks: Array
    gradient: Array
    cost: float = 0.0

    def add_rows(self, jacobian: Array, residual: Array) -> None:
        """Add (M, R, J) Jacobians with (M, R) residuals."""
        transposed = jacobian.swapaxes(1, 2)
        self.blocks += transposed @ jacobian
        self.gradient += (transposed @ residual[..., None])[..., 0]
        self.cost += float((residual**2).sum())

    def add_sparse_rows(self, step: Indices, jacobian: Array, residual: Array) -> None:
        """Add (A, J) rows with (A,) residuals that belong to ascending (A,) steps."""
        if len(step) == 0:
            return
        first = np.flatnonzero(np.diff(step, prepend=-1))
        outer = jacobian[:, :, None] * jacobian[:, None, :]
        self.blocks[step[first]] += np.add.reduceat(outer, first)
        self.gradient[step[first]] += np.add.reduceat(residual[:, None] * jacobian, first)
        self.cost += float(residual @ residual)


class Term(Protocol):
    """One kind of residual."""

    def add(self, state: State, normal: Normal) -> None:
        """Add its share."""


def cross(a: Array, b: Array) -> Array:
    """Return the cross product of (..., 3) vectors; three times as fast as numpy's."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


@dataclass(frozen=True)
class PointsTerm:
    """Points that the hand carries rigidly are to be where they were tracked."""

    targets: PointTargets

    def add(self, state: State, normal: Normal) -> None:
        """Add its share; the Jacobian is exact at every pose."""
        points, tip = self.targets.points, state.poses.tip[:, :3]
        moved = points @ tip.swapaxes(1, 2)
        residual = moved - self.targets.targets
        # d moved / d q = axis x moved + mass * moment = [-[moved]x, mass 1] screw.
        twist = np.zeros((*moved.shape, 6))
        x, y, z = moved[..., 0], moved[..., 1], moved[..., 2]
        twist[..., 0, 1], twist[..., 0, 2] = z, -y
        twist[..., 1, 0], twist[..., 1, 2] = -z, x
        twist[..., 2, 0], twist[..., 2, 1] = y, -x
        mass = points[..., 3]
        for axis in range(3):
            twist[..., axis, 3 + axis] = mass
        num_steps = len(points)
        jacobian = twist.reshape(num_steps, 12, 6) @ state.screws.swapaxes(1, 2)
        normal.add_rows(jacobian, residual.reshape(num_steps, 12))
        normal.cost += float(self.targets.rest.sum())


@dataclass(frozen=True)
class JointsTerm:
    """Room at the joint limits, and a posture to rest in."""

    lower: Array
    upper: Array
    home: Array
    weights: Weights

    def add(self, state: State, normal: Normal) -> None:
        """Add its share."""
        w = self.weights
        over = np.maximum(state.q - (self.upper - w.limit_margin), 0.0)
        under = np.minimum(state.q - (self.lower + w.limit_margin), 0.0)
        rest = state.q - self.home
        diagonal = w.limits**2 * ((over > 0) | (under < 0)) + w.rest**2
        index = np.arange(state.q.shape[1])
        normal.blocks[:, index, index] += diagonal
        outside = over + under
        normal.gradient += w.limits**2 * outside + w.rest**2 * rest
        normal.cost += float(w.limits**2 * (outside**2).sum() + w.rest**2 * (rest**2).sum())


@dataclass(frozen=True)
class SingularityTerm:
    """The arm stays where it can move the hand in every direction.

    Residual weight * (1/m - 1/floor) where Yoshikawa's (1985) measure m is below the floor; its
    gradient is that of the chain's analytic Hessian: dm/dq_k = m tr(J^+ dJ/dq_k).
    """

    chain: Chain
    weight: float
    floor: float

    def add(self, state: State, normal: Normal) -> None:
        """Add its share."""
        jacobian = self.chain.jacobian(state.poses)
        gram = jacobian @ jacobian.swapaxes(1, 2)
        measure = np.sqrt(np.maximum(np.linalg.det(gram), 1e-12))
        low = np.flatnonzero(measure < self.floor)
        if len(low) == 0 or self.weight == 0:
            return
        m = measure[low]
        slope = m[:, None] * _relative_slope(jacobian[low], gram[low])
        residual = self.weight * (1.0 / m - 1.0 / self.floor)
        normal.add_sparse_rows(low, -self.weight * slope / m[:, None] ** 2, residual)


def _relative_slope(jacobian: Array, gram: Array) -> Array:
    """Return the (B, J) derivatives of the logarithm of the manipulability."""
    linear, angular = jacobian[:, :3].swapaxes(1, 2), jacobian[:, 3:].swapaxes(1, 2)
    regular = gram + 1e-12 * np.eye(6)
    inverse = np.linalg.solve(regular, jacobian).swapaxes(1, 2)
    num_joints = jacobian.shape[2]
    # Rows: column j of the Jacobian; columns: the joint k that turns.
    j, k = np.meshgrid(np.arange(num_joints), np.arange(num_joints), indexing='ij')
    earlier = (k <= j)[..., None]
    before, after = np.minimum(j, k), np.maximum(j, k)
    d_linear = cross(angular[:, before], linear[:, after])
    d_angular = cross(angular[:, k], angular[:, j]) * earlier
    derivative = np.concatenate([d_linear, d_angular], axis=-1)
    return (inverse[:, :, None] * derivative).sum(axis=(1, 3))
