# SPDX-License-Identifier: Apache-2.0
"""Plates and other low things with a rising rim: one finger on the rim, one under its edge.

Fingers that close level slip off a rim that rises gently; fingers that close square to it need
room below that a plate on a table does not leave. The hand leans outwards just so far that the
upper finger stays within the friction cone on the rim's slope, and opens only a little, so that
the lower finger fits between the edge and the support.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow_manip_core.robot import GripperConfig
from flow_manip_planning.grasp.candidate import Candidate, hand_rotation
from flow_manip_planning.grasp.completion import find_outline, ObjectShape
from flow_manip_planning.kinematics import Array

NUM_PLACES = 36  # around the outline
MIN_SHARE = 0.5  # of the outline that rises: a dish; less is a bump of something solid
SECTION = 0.022  # [m] of the surface behind the edge that the slope is fitted to
MIN_SECTION_POINTS = 8
GENTLE, STEEP = np.radians(8.0), np.radians(55.0)  # slopes that this is for
SHEET = 0.005  # [m] how thick a rim is taken to be: its underside is not seen
ROOM = 0.008  # [m] that the fingers open beyond the sheet
OVERLAPS = (0.006, 0.0045, 0.003, 0.0015)  # [m] of the tips beyond the edge
LEAN_STEP = np.radians(5.0)
MAX_LEAN = np.radians(50.0)


@dataclass(frozen=True)
class Rim:
    """One place of a rim.

    Attributes:
        edge: (3,) the outermost point of its upper surface [m].
        outward: (3,) unit, horizontal.
        slope: by which it rises outwards [rad].
    """

    edge: Array
    outward: Array
    slope: float


def find_rims(shape: ObjectShape, half_width: float) -> list[Rim]:
    """Find where the surface seen from above rises towards its outline, if it mostly does.

    Args:
        shape: the object.
        half_width: of what is fitted to a place along the outline [m].
    """
    surface = shape.surface.points
    outline = find_outline(surface)
    if len(outline.points) < 8:
        return []
    offset = outline.points[:, :2] - surface[:, :2].mean(axis=0)
    order = np.argsort(np.arctan2(offset[:, 1], offset[:, 0]))
    found, places = [], order[:: max(1, len(order) // NUM_PLACES)]
    for index in places:
        rim = _fit(surface, outline.points[index], outline.outward[index], half_width)
        if rim is not None and GENTLE < rim.slope < STEEP:
            found.append(rim)
    return found if len(found) >= MIN_SHARE * len(places) else []


def _fit(surface: Array, place: Array, outward: Array, half_width: float) -> Rim | None:
    """Fit a line to the section through one place of the outline."""
    local = surface - place
    out = local @ outward
    side = local @ np.array([-outward[1], outward[0], 0.0])
    near = (np.abs(side) < half_width) & (out > -SECTION) & (out < 0.012)
    if near.sum() < MIN_SECTION_POINTS:
        return None
    out, height = out[near], surface[near, 2]
    last = float(np.percentile(out, 96))
    # The edge's own outer face, where it is seen, is no part of the slope.
    behind = out < last - 0.002
    for _ in range(3):
        if behind.sum() < MIN_SECTION_POINTS or np.ptp(out[behind]) < 0.5 * SECTION:
            return None
        slope, level = np.polyfit(out[behind], height[behind], 1)
        behind &= np.abs(height - level - slope * out) < 0.003
    edge = place + last * outward
    edge[2] = level + slope * last
    return Rim(edge, outward, float(np.arctan(slope)))


def rim_hands(rim: Rim, gripper: GripperConfig, friction: float) -> list[Candidate]:
    """Return hands that pinch a rim, least leaning and deepest first.

    Args:
        rim: where.
        gripper: the hand.
        friction: half angle of the friction cone on the slope [rad].
    """
    up = np.array([0.0, 0.0, 1.0])
    normal = np.cos(rim.slope) * up - np.sin(rim.slope) * rim.outward
    under = rim.edge - SHEET * normal
    least = max(0.5 * np.pi - rim.slope - friction, 0.0)
    found = []
    for lean in np.arange(least, MAX_LEAN, LEAN_STEP):
        closing = np.sin(lean) * up - np.cos(lean) * rim.outward
        approach = -np.cos(lean) * up - np.sin(lean) * rim.outward
        rotation = hand_rotation(closing, approach)
        edge = max(float(rim.edge @ approach), float(under @ approach))
        middle = 0.5 * float((rim.edge + under) @ closing)
        side = float(rim.edge @ rotation[:, 0])
        width = abs(float((rim.edge - under) @ closing)) + 0.002
        for overlap in OVERLAPS:
            tcp = rotation @ np.array([side, middle, edge + overlap - gripper.tip_offset])
            score = 0.35 + 20.0 * overlap - 0.2 * (lean - least)
            found.append(
                Candidate(
                    tcp,
                    rotation,
                    width,
                    float(np.clip(score, 0.0, 1.0)),
                    opening=min(width + ROOM, gripper.max_width),
                    part='rim',
                )
            )
    return found
