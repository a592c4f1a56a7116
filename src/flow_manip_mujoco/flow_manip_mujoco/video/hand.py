# SPDX-License-Identifier: Apache-2.0
"""A hand-like thing that seems to hold the object, as in videos of people."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import invert_transform, make_transform
from flow_manip_mujoco.video.take import Take

Array = NDArray[np.float64]

_SKIN = np.array([0.80, 0.58, 0.46, 1.0], dtype=np.float32)
_SLEEVE = np.array([0.22, 0.26, 0.34, 1.0], dtype=np.float32)
_FAR = 0.25  # [m] away when it comes into view
_PALM = -0.085  # [m] behind the finger tips
_FINGER = 0.008  # [m] radius
# Tip and knuckle of each finger in the hand's frame: the tips about the origin, z into the object.
_FINGERS = (
    ((0.000, 0.022, 0.005), (0.000, 0.038, _PALM)),  # the thumb
    ((-0.022, -0.022, 0.005), (-0.026, -0.030, _PALM)),
    ((0.000, -0.024, 0.010), (0.000, -0.034, _PALM)),
    ((0.022, -0.022, 0.005), (0.026, -0.030, _PALM)),
)
_WRIST, _ELBOW = (0.0, 0.0, -0.13), (0.0, 0.0, -0.80)


def hand_poses(take: Take, contact: Array, approach_frames: int) -> Array:
    """Return (T, 4, 4) T_world_hand: it comes, takes hold, and moves as what it holds moves.

    Args:
        take: what happens; a second object is held rather than the first.
        contact: (3,) where it takes hold of the moving body in the first frame, in the world [m].
        approach_frames: until it is there; before half of them have passed it is not seen: NaN.
    """
    out = np.array([0.0, 1.0 if contact[1] >= 0 else -1.0, 0.0])
    z = -(0.75 * np.array([0.0, 0.0, 1.0]) + 0.66 * out)
    z /= np.linalg.norm(z)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    held = make_transform(contact, np.stack([x, np.cross(z, x), z], axis=1))
    poses = take.poses @ invert_transform(take.poses[0]) @ held
    if take.ghost is not None:
        # Where the second one appears the hand appears with it.
        poses = take.ghost @ invert_transform(take.poses[0]) @ held
    steps = np.arange(len(poses))
    away = _FAR * np.clip(1.0 - steps / max(approach_frames, 1), 0.0, 1.0)
    poses[:, :3, 3] -= away[:, None] * poses[:, :3, 2]
    poses[steps < max(approach_frames // 2, 1)] = np.nan
    return poses


def add_hand(scene: mujoco.MjvScene, pose: Array) -> None:
    """Add the geoms of a hand at (4, 4) T_world_hand to a scene that is about to be drawn."""
    for tip, knuckle in _FINGERS:
        _add_capsule(scene, pose, tip, knuckle, _FINGER, _SKIN)
    _add_capsule(scene, pose, (0.0, 0.0, _PALM), _WRIST, 0.030, _SKIN)
    _add_capsule(scene, pose, _WRIST, _ELBOW, 0.034, _SLEEVE)


def _add_capsule(
    scene: mujoco.MjvScene,
    pose: Array,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
    rgba: NDArray[np.float32],
) -> None:
    """Add a capsule between two points of the hand's frame."""
    a, b = (pose[:3, :3] @ np.array(p) + pose[:3, 3] for p in (start, end))
    new = scene.geoms[scene.ngeom]
    capsule = mujoco.mjtGeom.mjGEOM_CAPSULE
    mujoco.mjv_initGeom(new, capsule, np.zeros(3), np.zeros(3), np.eye(3).ravel(), rgba)
    mujoco.mjv_connector(new, capsule, radius, a, b)
    mark_as_unknown(scene)


def mark_as_unknown(scene: mujoco.MjvScene) -> None:
    """Count in the geom behind the last: in masks it covers others and belongs to nobody."""
    new = scene.geoms[scene.ngeom]
    new.objtype, new.objid = mujoco.mjtObj.mjOBJ_UNKNOWN, -1
    new.category, new.segid = mujoco.mjtCatBit.mjCAT_DECOR, scene.ngeom
    scene.ngeom += 1
