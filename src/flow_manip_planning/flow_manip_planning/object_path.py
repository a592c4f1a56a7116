# SPDX-License-Identifier: Apache-2.0
"""From object flow to the path of the object and of the hand that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from flow_manip_core.transforms import interpolate_transforms, transform_points
from flow_manip_planning.flow_to_poses import Joint, ObjectMotion
from flow_manip_planning.flow_to_poses.smoothing import about, from_about
from flow_manip_planning.kinematics import Array, pose_errors
from flow_manip_planning.surroundings import Surroundings

MAX_STEPS = 400
AS_IT_WAS = 0.01  # [m] from where it was when nothing held it
RESAMPLINGS = 5  # rounds of splitting until every step is short enough
MAX_BETWEEN = 0.3  # [rad] between two steps that are interpolated as quaternions


@dataclass(frozen=True)
class ObjectPath:
    """Motion of a rigid object since its start.

    Attributes:
        times: (K,) seconds.
        poses: (K, 4, 4) T_world_start, the first identity.
        joint: what the motion looks like; None where it is free.
    """

    times: Array
    poses: Array
    joint: Joint | None = None

    @classmethod
    def of(cls, motion: ObjectMotion) -> ObjectPath:
        """Take the path of a fitted motion."""
        return cls(motion.times, motion.poses, motion.joint)

    def at(self, times: Array, center: Array) -> Array:
        """Return (M, 4, 4) poses at (M,) times: on the joint, or (3,) `center` going smoothly.

        Between the flow's steps the speed changes without jumps, which would be endless
        accelerations of the joints, and without overshoot: what rests at two steps rests between.
        """
        if self.joint is not None:
            return self.joint.poses(
                _monotone(self.times, self.joint.values(self.poses)[:, None], times)[:, 0]
            )
        return from_about(smooth_between(self.times, about(self.poses, center), times), center)


def smooth_between(times: Array, poses: Array, at: Array) -> Array:
    """Interpolate (K, 4, 4) poses at (M,) times by monotone cubics (Fritsch and Carlson 1980).

    Rotations go as unit quaternions, component by component: for steps of a few degrees that is
    the shortest turn. Longer steps are split by great arcs first.
    """
    turned = np.linalg.norm(pose_errors(poses[1:], poses[:-1])[:, 3:], axis=1)
    pieces = np.maximum(np.ceil(turned / MAX_BETWEEN).astype(int), 1)
    knots = _split(times, pieces)
    arcs = interpolate_transforms(times, poses, knots)
    turns = Rotation.from_matrix(arcs[:, :3, :3]).as_quat()
    # q and -q are the same turn: take the one that is near the step before.
    flips = np.cumprod(np.where((turns[1:] * turns[:-1]).sum(axis=1) < 0, -1.0, 1.0))
    turns[1:] *= flips[:, None]
    result = np.tile(np.eye(4), (len(at), 1, 1))
    result[:, :3, :3] = Rotation.from_quat(_monotone(knots, turns, at)).as_matrix()
    result[:, :3, 3] = _monotone(times, poses[:, :3, 3], at)
    return result


def _monotone(times: Array, values: Array, at: Array) -> Array:
    """Return (M, D) between (K, D) values, held at the ends."""
    return PchipInterpolator(times, values)(np.clip(at, times[0], times[-1]))


def resample_path(
    path: ObjectPath, at: Array, max_translation: float, max_rotation: float
) -> ObjectPath:
    """Split a path so that neither a hand at (3,) `at` nor the object moves far between two steps.

    Args:
        path: the object's.
        at: a point that is carried along, in the world at the start [m].
        max_translation: [m] per step.
        max_rotation: [rad] per step.
    """
    pieces = np.ones(len(path.times) - 1, dtype=int)
    for _ in range(RESAMPLINGS):
        times = _split(path.times, pieces)
        poses = path.at(times, at)
        carried = poses[:, :3, :3] @ at + poses[:, :3, 3]
        moved = np.linalg.norm(np.diff(carried, axis=0), axis=1) / max_translation
        turned = np.linalg.norm(pose_errors(poses[1:], poses[:-1])[:, 3:], axis=1) / max_rotation
        # Speed changes within a step of the flow: its largest piece counts.
        first = np.cumsum(pieces) - pieces
        largest = np.maximum.reduceat(np.maximum(moved, turned), first)
        if (largest <= 1.0).all() or pieces.sum() >= MAX_STEPS:
            break
        pieces = np.maximum(np.ceil(pieces * largest), pieces).astype(int)
        if pieces.sum() > MAX_STEPS:
            pieces = np.maximum(np.ceil(pieces * MAX_STEPS / pieces.sum()), 1).astype(int)
    return ObjectPath(times, poses, path.joint)


def _split(times: Array, pieces: Array) -> Array:
    """Return times with the steps between (K,) times in (K-1,) equal pieces each."""
    parts = [np.linspace(t0, t1, n, endpoint=False) for t0, t1, n in zip(times, times[1:], pieces)]
    return np.concatenate([*parts, times[-1:]])


def rests_at_end(
    path: ObjectPath, shape: Array, surroundings: Surroundings, max_height: float
) -> bool:
    """Say whether the object ends at most `max_height` above what carries it.

    That is the surface below it, or something thin that it is threaded onto, as a handle onto a
    peg, or whatever carried it before, where it ends as it was.

    Args:
        path: the object's.
        shape: (N, 3) its points at the start [m].
        surroundings: support and obstacles without the object.
        max_height: [m].
    """
    end = transform_points(path.poses[-1], shape)
    if np.linalg.norm(end - shape, axis=1).max() <= AS_IT_WAS:
        return True
    lowest = end[:, 2].min()
    surface = float(surroundings.support_at(end[end[:, 2].argmin()]))
    obstacles = surroundings.obstacles
    if len(obstacles):
        distance, _ = cKDTree(end[:, :2]).query(
            obstacles[:, :2], distance_upper_bound=surroundings.voxel
        )
        below = obstacles[np.isfinite(distance)]
        # A wall beside the object is not what it stands on: count what lies under its lowest
        # third.
        below = below[below[:, 2] < lowest + 0.34 * np.ptp(end[:, 2])]
        if len(below):
            surface = max(surface, float(below[:, 2].max()) + 0.5 * surroundings.voxel)
    return bool(lowest - surface <= max_height) or _is_threaded(end, surroundings, max_height)


def _is_threaded(end: Array, surroundings: Surroundings, max_height: float) -> bool:
    """Say whether (N, 3) points of the object are around something with free space below it.

    Around means: straight above it by at most `max_height`, and straight below it as well.
    """
    obstacles, voxel = surroundings.obstacles, surroundings.voxel
    if len(obstacles) == 0:
        return False
    tree = cKDTree(obstacles)
    below = [tree.query(obstacles - [0.0, 0.0, k * voxel], 1)[0] > 0.9 * voxel for k in (1, 2, 3)]
    overhang = obstacles[np.all(below, axis=0)]
    columns = cKDTree(end[:, :2])
    for voxel_center in overhang:
        heights = end[columns.query_ball_point(voxel_center[:2], 1.25 * voxel), 2]
        heights = heights - voxel_center[2]
        carried = (heights > 0.0) & (heights <= max_height + 0.5 * voxel)
        if carried.any() and (heights < -voxel).any():
            return True
    return False
