# SPDX-License-Identifier: Apache-2.0
"""Rims: of plates, one finger on the rim, one under its edge; of cups, one inside, one outside.

Fingers that close level slip off a rim that rises gently; fingers that close square to it need
room below that a plate on a table does not leave. The hand leans outwards just so far that the
upper finger stays within the friction cone on the rim's slope, and opens only a little, so that
the lower finger fits between the edge and the support.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from flow_manip_core.robot import GripperConfig
from flow_manip_planning.grasp.candidate import Candidate, DOWN, hand_rotation
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
# Of open vessels:
RIM_BAND = 0.012  # [m] of the wall below its edge that says where it is
LEVEL = 0.010  # [m] that a rim may be below the highest place of the outline
HOLLOW = (0.008, 0.022)  # [m] inwards of the edge; what is solid has its top there
DEEP = 0.020  # [m] that the inside is below the rim at least
MIN_BAND_POINTS = 4
SMOOTHED = 0.014  # [m] around a place along the outline
PINCH_DEPTHS = (0.020, 0.012)  # [m] of the tips below the edge
PINCH_TILTS = np.radians([0.0, -20.0, 20.0, -40.0, 40.0, -60.0, 60.0])
PINCH_ROOM = 0.020  # [m] that the fingers open beyond the wall


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


def find_walls(shape: ObjectShape, half_width: float) -> list[Rim]:
    """Find where the outline seen from above is the edge of an upright wall around a hollow.

    Args:
        shape: the object.
        half_width: of what is looked at along the outline [m].

    Returns:
        places with the wall's middle as the edge and a slope of 90 degrees; none if less than half
        of the outline is like that.
    """
    surface = shape.surface
    outline = find_outline(surface.points)
    if len(outline.points) < 8 or np.ptp(surface.points[:, 2]) < 2 * DEEP:
        return []
    offset = outline.points[:, :2] - surface.points[:, :2].mean(axis=0)
    order = np.argsort(np.arctan2(offset[:, 1], offset[:, 0]))
    places = order[:: max(1, len(order) // NUM_PLACES)]
    top = float(np.percentile(surface.points[:, 2], 98))
    around = cKDTree(outline.points[:, :2])
    found = []
    for index in places:
        place = outline.points[index]
        # The raster's own directions are off by up to 20 degrees, and so would the vessel turn.
        outward = outline.outward[around.query_ball_point(place[:2], SMOOTHED)].sum(axis=0)
        rim = _wall(surface, place, outward / np.linalg.norm(outward), top, half_width)
        if rim is not None:
            found.append(rim)
    return found if len(found) >= MIN_SHARE * len(places) else []


def _wall(
    surface: ObjectShape, place: Array, outward: Array, top: float, half_width: float
) -> Rim | None:
    """Return the edge of an upright wall at one place of the outline, None if there is none."""
    local = surface.points - place
    out = local @ outward
    side = np.abs(local @ np.array([-outward[1], outward[0], 0.0])) < half_width
    below = top - surface.points[:, 2]
    inside = side & (out < -HOLLOW[0]) & (out > -HOLLOW[1])
    if (inside & (below < DEEP)).sum() > 1:
        return None
    band = side & (np.abs(out) < HOLLOW[0]) & (below < LEVEL + RIM_BAND)
    if band.sum() < MIN_BAND_POINTS or below[band].min() > LEVEL:
        return None
    # Of a wall one face is seen; its middle is half a sheet behind it.
    faces = surface.normals[band] @ outward
    middle = float(np.median(out[band] - 0.5 * SHEET * np.sign(faces)))
    edge = place + middle * outward
    edge[2] = surface.points[band, 2].max()
    return Rim(edge, outward, 0.5 * np.pi)


def wall_hands(rim: Rim, gripper: GripperConfig) -> list[Candidate]:
    """Return hands that pinch an upright wall, one finger inside, steepest and deepest first."""
    closing = -rim.outward
    side = np.cross(closing, DOWN)
    width = SHEET + 0.002
    found = []
    for tilt in PINCH_TILTS:
        approach = np.cos(tilt) * DOWN + np.sin(tilt) * side
        rotation = hand_rotation(closing, approach)
        # The lower corner of tilted fingers must not be deeper than the tips of level ones.
        slant = 0.5 * gripper.finger_width * abs(float(np.tan(tilt)))
        for depth in PINCH_DEPTHS:
            tcp = rim.edge + (depth + slant - gripper.tip_offset) * approach
            score = 0.55 - 0.2 * abs(float(tilt)) + 2.0 * depth
            found.append(
                Candidate(tcp, rotation, width, score, opening=width + PINCH_ROOM, part='rim')
            )
    return found
