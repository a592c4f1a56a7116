# SPDX-License-Identifier: Apache-2.0
"""Long thin things that lie: pens, spoons, sticks, taken squarely across.

The normals of something a few pixels wide are noise, so hands that are judged by them close askew
and turn it in the hand. Its direction is known well from its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow_manip_core.robot import GripperConfig
from flow_manip_planning.grasp.candidate import Candidate, hand_rotation
from flow_manip_planning.grasp.completion import drop_stragglers, ObjectShape
from flow_manip_planning.kinematics import Array

SLENDER = 3.0  # length over width at least
MAX_WIDTH = 0.03  # [m]: what is wider has normals to go by
MAX_RISE = float(np.sin(np.radians(20.0)))  # of its axis: it lies
STRAIGHT = 0.004  # [m] root mean square distance from the axis, less its own width
SPACING = 0.012  # [m] along it
TILTS = np.radians([0.0, -15.0, 15.0, -30.0, 30.0, -45.0, 45.0])
LEAST_DEPTH = 0.006  # [m] of the tips below its top


@dataclass(frozen=True)
class Rod:
    """A straight thing that lies.

    Attributes:
        middle: (3,) of its axis [m].
        axis: (3,) unit, horizontal.
        length: [m].
        width: [m].
        top: z of its upper side [m].
    """

    middle: Array
    axis: Array
    length: float
    width: float
    top: float


def find_rod(shape: ObjectShape) -> Rod | None:
    """Measure what was seen of an object if it is long, thin and lies; None if it is not."""
    points = drop_stragglers(shape.points[shape.seen])
    center = points.mean(axis=0)
    axis = np.linalg.svd(points - center, full_matrices=False)[2][0]
    if abs(axis[2]) > MAX_RISE:
        return None
    axis = np.array([axis[0], axis[1], 0.0]) / np.hypot(axis[0], axis[1])
    across = np.array([-axis[1], axis[0], 0.0])
    along, aside = (points - center) @ axis, (points - center) @ across
    ends, sides = np.percentile(along, [1, 99]), np.percentile(aside, [2, 98])
    length, width = float(np.ptp(ends)), float(np.ptp(sides))
    if width > MAX_WIDTH or length < SLENDER * width:
        return None
    if float(np.sqrt(np.mean(aside**2))) > 0.5 * width + STRAIGHT:
        return None
    middle = center + 0.5 * ends.sum() * axis + 0.5 * sides.sum() * across
    top = float(np.percentile(points[:, 2], 95))
    middle[2] = 0.5 * (top + shape.bottom)
    return Rod(middle, axis, length, width, top)


def rod_hands(
    rod: Rod, gripper: GripperConfig, bottom: float, clearance: float
) -> list[Candidate]:
    """Return hands across a rod, steepest and nearest to its middle best.

    Args:
        rod: what lies.
        gripper: the hand.
        bottom: z of what it lies on [m].
        clearance: from the finger tips to that [m].
    """
    across = np.array([-rod.axis[1], rod.axis[0], 0.0])
    reach = 0.5 * max(rod.length - gripper.finger_width, 0.0)
    count = int(reach / SPACING)
    found = []
    for tilt in TILTS:
        approach = np.sin(tilt) * rod.axis - np.array([0.0, 0.0, np.cos(tilt)])
        rotation = hand_rotation(across, approach)
        # The lower corners of the tips keep clear of what it lies on.
        low = bottom + clearance + 0.5 * gripper.finger_width * abs(float(np.sin(tilt)))
        if rod.top - low < LEAST_DEPTH:
            continue
        tip = max(low, rod.top - gripper.pad_length)
        for place in SPACING * np.arange(-count, count + 1):
            point = rod.middle + place * rod.axis
            back = (float(point[2]) - tip) / float(np.cos(tilt)) - gripper.tip_offset
            score = 0.85 - 0.15 * abs(float(tilt)) - 0.1 * abs(place) / max(reach, SPACING)
            found.append(Candidate(point + back * approach, rotation, rod.width, score))
    return found
