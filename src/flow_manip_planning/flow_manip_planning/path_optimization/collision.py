# SPDX-License-Identifier: Apache-2.0
"""Residuals of coming too close: arm and held object to the scene, and to each other.

Everything that moves is spheres; a residual is the depth by which one enters the clearance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_planning.kinematics import Array, Chain
from flow_manip_planning.path_optimization.distance_field import DistanceField
from flow_manip_planning.path_optimization.terms import cross, Indices, Normal, State
from flow_manip_planning.robot_model import RobotModel

APART = 3  # joints between two links that can meet


@dataclass(frozen=True)
class Bodies:
    """Spheres fixed to joint frames, ordered by joint.

    Attributes:
        joints: (S,) index of the joint; -1: the base.
        centers: (S, 3) in its frame; in the world where the joint is -1 [m].
        radii: (S,) [m].
    """

    joints: NDArray[np.int64]
    centers: Array
    radii: Array

    def at(self, state: State) -> Array:
        """Return the (M, S, 3) centres in the world."""
        frames = state.poses.joints
        result = np.empty((len(frames), len(self.joints), 3))
        edges = np.flatnonzero(np.diff(self.joints, prepend=-2))
        for first, last in zip(edges, [*edges[1:], len(self.joints)]):
            joint, local = self.joints[first], self.centers[first:last]
            if joint < 0:
                result[:, first:last] = local
            else:
                frame = frames[:, joint]
                turned = local @ frame[:, :3, :3].swapaxes(1, 2)
                result[:, first:last] = turned + frame[:, None, :3, 3]
        return result

    def only(self, keep: NDArray[np.bool_]) -> Bodies:
        """Return some of the spheres."""
        return Bodies(self.joints[keep], self.centers[keep], self.radii[keep])

    def and_also(self, others: Bodies) -> Bodies:
        """Return these and others, whose joints are not earlier ones."""
        return Bodies(
            np.concatenate([self.joints, others.joints]),
            np.concatenate([self.centers, others.centers]),
            np.concatenate([self.radii, others.radii]),
        )


def arm_bodies(robot: RobotModel) -> Bodies:
    """Return the robot's spheres."""
    spheres = robot.spheres
    order = np.argsort(spheres.joints, kind='stable')
    joints, centers = spheres.joints[order], spheres.centers[order].copy()
    base = joints < 0
    centers[base] = transform_points(robot.T_world_base, centers[base])
    return Bodies(joints, centers, spheres.radii[order])


def held_bodies(chain: Chain, grasp: Array, points: Array, radius: float, count: int) -> Bodies:
    """Return at most `count` spheres on a held object.

    Args:
        chain: the arm.
        grasp: (4, 4) hand pose that holds it, in the world.
        points: (N, 3) of the object, in the world when it is grasped [m].
        radius: of every sphere [m].
        count: the farthest points are kept.
    """
    local = transform_points(chain.T_last_tip @ invert_transform(grasp), points)
    local = local[farthest_points(local, count)]
    return Bodies(
        np.full(len(local), chain.num_joints - 1), local, np.full(len(local), float(radius))
    )


def farthest_points(points: Array, count: int) -> NDArray[np.int64]:
    """Return indices of `count` (N, 3) points, each the farthest from those before (Gonzalez)."""
    count = min(count, len(points))
    if count == 0:
        return np.empty(0, dtype=np.int64)
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = ((points - points.mean(axis=0)) ** 2).sum(axis=1).argmax()
    distance = np.full(len(points), np.inf)
    for i in range(1, count):
        distance = np.minimum(distance, ((points - points[chosen[i - 1]]) ** 2).sum(axis=1))
        chosen[i] = distance.argmax()
    return chosen


def _rows(
    state: State, step: Indices, centers: Array, joints: Indices, directions: Array
) -> Array:
    """Return (A, J) derivatives of points' positions along (A, 3) directions."""
    wrench = np.concatenate([cross(centers, directions), directions], axis=1)
    rows = (state.screws[step] @ wrench[:, :, None])[..., 0]
    return rows * (np.arange(rows.shape[1]) <= joints[:, None])


@dataclass(frozen=True)
class SceneTerm:
    """Bodies keep a clearance from what a distance field holds."""

    bodies: Bodies
    field: DistanceField
    clearance: float
    weight: float

    def add(self, state: State, normal: Normal) -> None:
        """Add its share."""
        centers = self.bodies.at(state)
        reach = self.bodies.radii + self.clearance
        step, body = np.nonzero(self.field.may_be_nearer(centers, reach))
        if len(step) == 0:
            return
        at = centers[step, body]
        distance, slope = self.field.query(at)
        depth = reach[body] - distance
        inside = depth > 0
        step, body, at, slope = step[inside], body[inside], at[inside], slope[inside]
        rows = _rows(state, step, at, self.bodies.joints[body], slope)
        normal.add_sparse_rows(step, -self.weight * rows, self.weight * depth[inside])

    def depth(self, state: State) -> float:
        """Return the deepest entry into the clearance [m]; 0 where there is none."""
        centers = self.bodies.at(state)
        distance, _ = self.field.query(centers)
        return float(np.maximum(self.bodies.radii + self.clearance - distance, 0.0).max())


class SelfTerm:
    """Parts of the arm that can meet, and the held object and the arm, keep a clearance."""

    def __init__(
        self, robot: RobotModel, held: Bodies | None, clearance: float, weight: float
    ) -> None:
        """Choose the pairs: links three joints apart that do not touch at home."""
        arm, last = arm_bodies(robot), robot.chain.num_joints - 1
        far = arm.only(arm.joints >= APART - 1)
        if held is not None:
            far = far.and_also(held)
        self._far, self._near = far, arm.only(arm.joints <= last - APART)
        self._clearance, self._weight = clearance, weight
        self._reach = far.radii[:, None] + self._near.radii + clearance
        home = State.at(robot.chain, robot.home[None])
        gap = _squared_distances(far.at(home), self._near.at(home))[0]
        allowed = far.joints[:, None] - self._near.joints >= APART
        self._limit = np.where(allowed & (gap > self._reach**2), self._reach**2, -1.0)

    def add(self, state: State, normal: Normal) -> None:
        """Add its share."""
        far, near = self._far.at(state), self._near.at(state)
        step, i, j = np.nonzero(_squared_distances(far, near) < self._limit)
        if len(step) == 0:
            return
        a, b = far[step, i], near[step, j]
        distance = np.linalg.norm(a - b, axis=1)
        direction = (a - b) / np.maximum(distance, 1e-9)[:, None]
        depth = np.maximum(self._reach[i, j] - distance, 0.0)
        rows = _rows(state, step, a, self._far.joints[i], direction)
        rows -= _rows(state, step, b, self._near.joints[j], direction)
        normal.add_sparse_rows(step, -self._weight * rows, self._weight * depth)


def _squared_distances(a: Array, b: Array) -> Array:
    """Return (M, A, B) squared distances of (M, A, 3) and (M, B, 3) points."""
    squares = (a**2).sum(axis=-1)[:, :, None] + (b**2).sum(axis=-1)[:, None]
    return squares - 2.0 * a @ b.swapaxes(1, 2)
