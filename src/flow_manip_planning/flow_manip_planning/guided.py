# SPDX-License-Identifier: Apache-2.0
"""Parts of fixtures: whether the scene has what guides a part, and what is in its way then.

The motion of a flow can look like that of a joint without one: a straight lift is a slide, an
object that is turned in place is a hinge. Something guides a part only if it is there to be seen:
a drawer is held from two sides, a hinge sits on what stays behind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from flow_manip_core.transforms import transform_points
from flow_manip_planning.flow_to_poses.motion import Joint, PRISMATIC
from flow_manip_planning.grasp.completion import ObjectShape
from flow_manip_planning.kinematics import Array
from flow_manip_planning.surroundings import Surroundings, thin_out

# Masks and voxels keep obstacles about 2 cm off what they touch.
REACH = 0.03  # [m] from a part to what guides it
HINGE_REACH = 0.05  # [m] from the axis of a hinge to what stays behind
MIN_VOXELS = 15  # fewer are noise, or a thing that happens to stand there
SIDEWAYS = 0.7  # cosine: within 45 degrees of a direction
UPRIGHT = 0.7  # cosine: a slide this steep is a lift
ONE_SIDED = 0.5  # mean over root mean square distance from the axis


def is_guided(joint: Joint, points: Array, surroundings: Surroundings) -> bool:
    """Say whether the scene has something that guides a part along a joint.

    Args:
        joint: of the part's motion.
        points: (N, 3) seen points of the part at the start [m].
        surroundings: the scene without the part.
    """
    if len(surroundings.obstacles) == 0 or len(points) == 0:
        return False
    points = thin_out(points, surroundings.voxel)
    distance, nearest = cKDTree(points).query(surroundings.obstacles, distance_upper_bound=REACH)
    near = np.isfinite(distance)
    if near.sum() < MIN_VOXELS:
        return False
    if joint.kind == PRISMATIC:
        return _held_from_two_sides(joint, surroundings.obstacles[near] - points[nearest[near]])
    return _on_hinge(joint, points, surroundings.obstacles)


def _held_from_two_sides(joint: Joint, contacts: Array) -> bool:
    """Say whether (M, 3) vectors to what is near a slide's part point to opposite sides."""
    if abs(joint.axis[2]) > UPRIGHT:
        return False
    sides = np.linalg.svd(joint.axis[None])[2][1:]
    across = contacts @ sides.T
    length = np.linalg.norm(across, axis=1)
    across = across[length > 1e-3] / length[length > 1e-3, None]
    angles = np.linspace(0.0, np.pi, 8, endpoint=False)
    along = across @ np.stack([np.cos(angles), np.sin(angles)])
    both = np.minimum((along > SIDEWAYS).sum(axis=0), (along < -SIDEWAYS).sum(axis=0))
    return bool(both.max() >= MIN_VOXELS)


def _on_hinge(joint: Joint, points: Array, obstacles: Array) -> bool:
    """Say whether a part turns about its edge, and something stays behind at that edge."""
    away = points - joint.point
    along = away @ joint.axis
    lever = away - along[:, None] * joint.axis
    middle = np.linalg.norm(lever.mean(axis=0))
    if middle < ONE_SIDED * np.sqrt((lever**2).sum(axis=1).mean()):
        return False
    behind = obstacles - joint.point
    at = behind @ joint.axis
    close = np.linalg.norm(behind - at[:, None] * joint.axis, axis=1) < HINGE_REACH
    beside = (at > along.min() - REACH) & (at < along.max() + REACH)
    return bool((close & beside).sum() >= MIN_VOXELS)


def without_swept(surroundings: Surroundings, points: Array, poses: Array) -> Surroundings:
    """Drop the obstacles that a part occupies somewhere on its way.

    What is seen there belongs to the part: pixels beside its mask, columns filled below it.

    Args:
        surroundings: the scene.
        points: (N, 3) of the part at the start [m].
        poses: (K, 4, 4) T_world_start of the part.
    """
    if len(surroundings.obstacles) == 0:
        return surroundings
    points = thin_out(points, surroundings.voxel)
    swept = np.concatenate([transform_points(pose, points) for pose in poses])
    swept = thin_out(swept, 0.5 * surroundings.voxel)
    distance, _ = cKDTree(swept).query(
        surroundings.obstacles, distance_upper_bound=1.25 * surroundings.voxel
    )
    return replace(surroundings, obstacles=surroundings.obstacles[~np.isfinite(distance)])


def seen_shape(shape: ObjectShape) -> ObjectShape:
    """Return a shape without what was guessed: a part of a fixture does not stand on a table."""
    seen = shape.seen
    return replace(shape, points=shape.points[seen], normals=shape.normals[seen], seen=seen[seen])
