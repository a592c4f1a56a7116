# SPDX-License-Identifier: Apache-2.0
"""How an object moves: poses over time, the joint that guides it, and how well that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.errors import InvalidInputError

Array = NDArray[np.float64]
REVOLUTE, PRISMATIC, FREE = 'revolute', 'prismatic', 'free'


@dataclass(frozen=True)
class Joint:
    """A hinge or a slide that guides a part of a fixture.

    Attributes:
        kind: 'revolute' or 'prismatic'.
        axis: (3,) unit direction in the world: turned about right-handed, or moved along; the
            motion goes towards larger values.
        point: (3,) on the axis, nearest to the middle of the part's points at the start [m].
        range: (2,) smallest and largest value since the start [rad or m].
        residual: root mean square distance between the part moved by the joint and as fitted
            freely [m].
    """

    kind: str
    axis: Array
    point: Array
    range: tuple[float, float]
    residual: float

    def __post_init__(self) -> None:
        """Refuse other kinds and axes that are not of unit length."""
        if self.kind not in (REVOLUTE, PRISMATIC):
            raise InvalidInputError(f"joint kind '{self.kind}', known: {REVOLUTE}, {PRISMATIC}")
        if abs(np.linalg.norm(self.axis) - 1.0) > 1e-6:
            raise InvalidInputError(f'joint axis {np.asarray(self.axis).tolist()} is not a unit')

    def poses(self, values: ArrayLike) -> Array:
        """Return the (K, 4, 4) T_world_start of the part at (K,) values."""
        return joint_poses(self.kind, self.axis, self.point, np.asarray(values, dtype=float))

    def values(self, poses: Array) -> Array:
        """Return the (K,) values of (K, 4, 4) poses on the joint; turns are unwrapped."""
        if self.kind == PRISMATIC:
            return (poses[:, :3, 3] - (self.point - poses[:, :3, :3] @ self.point)) @ self.axis
        rotations = poses[:, :3, :3]
        sine = 0.5 * np.einsum('kij,ijl,l->k', rotations, -_LEVI_CIVITA, self.axis)
        cosine = 0.5 * (np.trace(rotations, axis1=1, axis2=2) - 1.0)
        return np.unwrap(np.arctan2(sine, cosine))


_LEVI_CIVITA = np.zeros((3, 3, 3))
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _LEVI_CIVITA[_i, _j, _k], _LEVI_CIVITA[_j, _i, _k] = 1.0, -1.0


def joint_poses(kind: str, axis: Array, point: Array, values: Array) -> Array:
    """Return (K, 4, 4) T_world_start at (K,) values [rad or m] of a joint."""
    poses = np.tile(np.eye(4), (len(values), 1, 1))
    if kind == PRISMATIC:
        poses[:, :3, 3] = values[:, None] * axis
        return poses
    cross = np.einsum('ijk,k->ij', -_LEVI_CIVITA, axis)
    sine, versine = np.sin(values)[:, None, None], 1.0 - np.cos(values)[:, None, None]
    poses[:, :3, :3] += sine * cross + versine * (cross @ cross)
    poses[:, :3, 3] = point - poses[:, :3, :3] @ point
    return poses


@dataclass(frozen=True)
class FitReport:
    """How a motion was fitted.

    Attributes:
        inliers: (T,) points that agree with the pose of a step; 0 where it failed.
        residuals: (T,) their root mean square distance from it [m]; infinite where it failed.
        failed_steps: steps whose pose is interpolated between its neighbours.
        mode: 'first' or 'adjacent'.
        evidence: Bayesian information criterion of 'free', 'revolute' and 'prismatic' motion,
            smaller is better; empty where nothing was compared.
        reasons: why each failed step failed.
        noise: standard deviation of a point's coordinate over the inliers [m].
        num_points: points that took part, after trimming.
        undetermined: (3,) unit axis at the start about which the points tell no turn, so that the
            motion has none; None where they tell everything.
        slowed: seconds by which the motion was stretched to keep to its speed limits.
    """

    inliers: NDArray[np.int64]
    residuals: Array
    failed_steps: tuple[int, ...] = ()
    mode: str = 'first'
    evidence: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[int, str] = field(default_factory=dict)
    noise: float = 0.0
    num_points: int = 0
    slowed: float = 0.0
    undetermined: Array | None = None


@dataclass(frozen=True)
class ObjectMotion:
    """Motion of an object since its start, in the frame of its flow.

    Attributes:
        times: (T,) seconds, first 0.
        poses: (T, 4, 4) T_world_start, the first identity; on the joint if there is one.
        joint: what guides the object, None for free rigid motion.
        report: how well it is known.
    """

    times: Array
    poses: Array
    joint: Joint | None
    report: FitReport
