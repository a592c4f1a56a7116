# SPDX-License-Identifier: Apache-2.0
"""The gripper as boxes in the frame of its tool centre point (z approach, y closing)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.plan import Grasp
from flow_manip_core.robot import GripperConfig
from flow_manip_planning.kinematics import Array

# Room beside the object on both sides together when the hand comes down [m]: grasps are off by a
# few millimetres.
OPENING_RESERVE = 0.026


def opening_for(width: float, gripper: GripperConfig) -> float:
    """Return how far to open before an object that needs `width` [m] is grasped."""
    return min(gripper.max_width, width + OPENING_RESERVE)


def opening_of(grasp: Grasp, gripper: GripperConfig) -> float:
    """Return how far to open before a grasp: what it asks for itself, or by its width."""
    return min(gripper.max_width, grasp.opening) or opening_for(grasp.width, gripper)


@dataclass(frozen=True)
class Box:
    """An axis-aligned box [m]."""

    lower: Array
    upper: Array

    def contains(self, points: Array, margin: float = 0.0) -> NDArray[np.bool_]:
        """Say which (N, 3) points lie inside, grown by `margin`."""
        return ((points > self.lower - margin) & (points < self.upper + margin)).all(axis=-1)

    @property
    def corners(self) -> Array:
        """(8, 3)."""
        low, high = self.lower, self.upper
        return np.array(
            [
                [x, y, z]
                for x in (low[0], high[0])
                for y in (low[1], high[1])
                for z in (low[2], high[2])
            ]
        )


def hand_boxes(gripper: GripperConfig, opening: float) -> tuple[Box, Box, Box]:
    """Return both fingers, `opening` metres apart, and the hand's body behind them."""
    half_x, tip = 0.5 * gripper.finger_width, gripper.tip_offset
    palm = tip - gripper.finger_length
    inner, outer = 0.5 * opening, 0.5 * opening + gripper.finger_thickness
    size = np.asarray(gripper.palm_size)
    return (
        Box(np.array([-half_x, inner, palm]), np.array([half_x, outer, tip])),
        Box(np.array([-half_x, -outer, palm]), np.array([half_x, -inner, tip])),
        Box(
            np.array([-0.5 * size[0], -0.5 * size[1], palm - size[2]]),
            np.array([0.5 * size[0], 0.5 * size[1], palm]),
        ),
    )
