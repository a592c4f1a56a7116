# SPDX-License-Identifier: Apache-2.0
"""Kinematics of a serial chain for many configurations at once, in plain numpy.

One call moves all candidates of a plan by one step, which is why this is not a loop over a scalar
library.
Leading axes are free: configurations are (..., J), poses (..., 4, 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ChainPoses:
    """Where a chain's parts are.

    Attributes:
        joints: (..., J, 4, 4) frame that turns with each joint, in the world.
        axes: (..., J, 3) unit axis of each joint in the world.
        tip: (..., 4, 4) tip frame in the world.
    """

    joints: Array
    axes: Array
    tip: Array


@dataclass(frozen=True)
class Chain:
    """A chain of revolute joints from the world to a tip.

    Attributes:
        placements: (J, 4, 4) fixed transform from the joint before (from the world for the first).
        axes: (J, 3) unit axis in the joint's own frame.
        T_last_tip: (4, 4) tip in the last joint's frame.
        lower: (J,) [rad].
        upper: (J,) [rad].
    """

    placements: Array
    axes: Array
    T_last_tip: Array
    lower: Array
    upper: Array

    @property
    def num_joints(self) -> int:
        """J."""
        return len(self.lower)

    def forward(self, q: Array) -> ChainPoses:
        """Return the poses of every joint frame and of the tip for (..., J) configurations."""
        rotations = rotation_matrices(self.axes, q)
        frames = np.empty((*q.shape, 4, 4))
        current = np.broadcast_to(np.eye(4), (*q.shape[:-1], 4, 4))
        for j in range(self.num_joints):
            current = current @ self.placements[j]
            current[..., :3, :3] = current[..., :3, :3] @ rotations[..., j, :, :]
            frames[..., j, :, :] = current
        axes = (frames[..., :3, :3] @ self.axes[:, :, None])[..., 0]
        return ChainPoses(frames, axes, current @ self.T_last_tip)

    def tip(self, q: Array) -> Array:
        """Return the (..., 4, 4) tip poses."""
        return self.forward(q).tip

    def jacobian(self, poses: ChainPoses) -> Array:
        """Return the (..., 6, J) Jacobian of the tip in world axes: linear rows, then angular."""
        lever = poses.tip[..., None, :3, 3] - poses.joints[..., :3, 3]
        linear = np.cross(poses.axes, lever)
        return np.concatenate([linear, poses.axes], axis=-1).swapaxes(-1, -2)

    def manipulability(self, q: Array) -> Array:
        """Return Yoshikawa's (1985) measure sqrt(det(J J^T)), 0 at a singularity."""
        jacobian = self.jacobian(self.forward(q))
        return np.sqrt(np.maximum(np.linalg.det(jacobian @ jacobian.swapaxes(-1, -2)), 0.0))

    def limit_margin(self, q: Array) -> Array:
        """Return the smallest distance to a joint limit of (..., J) [rad]; negative outside."""
        return np.minimum(q - self.lower, self.upper - q).min(axis=-1)


def rotation_matrices(axes: Array, angles: Array) -> Array:
    """Turn (J, 3) unit axes by (..., J) angles into (..., J, 3, 3) rotations (Rodrigues)."""
    cross = np.zeros((len(axes), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = axes
    cross[:, [1, 2, 0], [2, 0, 1]] = -axes
    sine, versine = np.sin(angles)[..., None, None], 1.0 - np.cos(angles)[..., None, None]
    return np.eye(3) + sine * cross + versine * (cross @ cross)


def rotation_vectors(rotations: Array) -> Array:
    """Return the (..., 3) rotation vectors of (..., 3, 3) rotations; exact below half a turn."""
    skew = 0.5 * np.stack(
        [
            rotations[..., 2, 1] - rotations[..., 1, 2],
            rotations[..., 0, 2] - rotations[..., 2, 0],
            rotations[..., 1, 0] - rotations[..., 0, 1],
        ],
        axis=-1,
    )
    sine = np.linalg.norm(skew, axis=-1)
    cosine = 0.5 * (np.trace(rotations, axis1=-2, axis2=-1) - 1.0)
    angle = np.arctan2(sine, cosine)
    scale = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 1.0)
    return skew * scale[..., None]


def pose_errors(target: Array, actual: Array) -> Array:
    """Return (..., 6): metres and radians (world axes) that would carry `actual` onto `target`."""
    position = target[..., :3, 3] - actual[..., :3, 3]
    turn = rotation_vectors(target[..., :3, :3] @ actual[..., :3, :3].swapaxes(-1, -2))
    return np.concatenate([position, turn], axis=-1)
