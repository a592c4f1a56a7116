# SPDX-License-Identifier: Apache-2.0
"""From object flow to the path of the object and of the hand that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from flow_manip_core.transforms import interpolate_transforms, transform_points
from flow_manip_planning.flow_to_poses import Joint, ObjectMotion
from flow_manip_planning.flow_to_poses.smoothing import about, from_about
from flow_manip_planning.kinematics import Array, pose_errors
from flow_manip_planning.surroundings import Surroundings

MAX_STEPS = 400


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
        """Return (M, 4, 4) poses at (M,) times: on the joint, or (3,) `center` going straight."""
        if self.joint is not None:
            return self.joint.poses(np.interp(times, self.times, self.joint.values(self.poses)))
        return from_about(
            interpolate_transforms(self.times, about(self.poses, center), times), center
        )


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
    carried = path.poses[:, :3, :3] @ at + path.poses[:, :3, 3]
    moved = np.linalg.norm(np.diff(carried, axis=0), axis=1)
    turned = np.linalg.norm(pose_errors(path.poses[1:], path.poses[:-1])[:, 3:], axis=1)
    pieces = np.maximum(np.ceil(np.maximum(moved / max_translation, turned / max_rotation)), 1)
    if pieces.sum() > MAX_STEPS:
        pieces = np.maximum(np.ceil(pieces * MAX_STEPS / pieces.sum()), 1)
    times = np.concatenate(
        [
            np.linspace(t0, t1, int(n), endpoint=False)
            for t0, t1, n in zip(path.times[:-1], path.times[1:], pieces)
        ]
        + [path.times[-1:]]
    )
    return ObjectPath(times, path.at(times, at), path.joint)


def rests_at_end(
    path: ObjectPath, shape: Array, surroundings: Surroundings, max_height: float
) -> bool:
    """Say whether the object ends at most `max_height` above what carries it.

    That is the surface below it, or something thin that it is threaded onto, as a handle onto a
    peg.

    Args:
        path: the object's.
        shape: (N, 3) its points at the start [m].
        surroundings: support and obstacles without the object.
        max_height: [m].
    """
    end = transform_points(path.poses[-1], shape)
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
