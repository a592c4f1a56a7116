# SPDX-License-Identifier: Apache-2.0
"""Handles of drawers, doors and lids: bars and knobs that stand out from a plane.

The plane that most of a part's points lie on is its front; what stands off it in one piece, narrow
enough for the fingers, is taken by closing across it with the approach along the front's normal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from flow_manip_core.robot import GripperConfig
from flow_manip_core.transforms import rotation_about
from flow_manip_planning.grasp.candidate import Candidate, hand_rotation
from flow_manip_planning.grasp.hand import hand_boxes, opening_for
from flow_manip_planning.kinematics import Array
from flow_manip_planning.surroundings import thin_out

SPACING = 0.003  # [m]
FLATNESS = 0.005  # [m] off the plane still counts as on it
MIN_FRONT_SHARE = 0.45  # of the points lie on the front
MIN_FRONT_EXTENT = (0.08, 0.04)  # [m] along and across
STANDS_OUT = 0.011  # [m] in front of the plane, above the noise
REACHES_OUT = 0.12  # [m] at most
LINK = 0.011  # [m] between points of one piece
MIN_POINTS = 8
KNOB = 1.6  # longer than wide by less is a knob
BEHIND_BAR = 0.022  # [m] the tips go this far past the outermost point
CLEAR_OF_FRONT = 0.007  # [m] from the tips
ROUND_WITHIN = 0.0015  # [m] root mean square distance of a round bar's points from its circle
THICK_BAR = 0.012  # [m] from its outermost point to its back, where only the first is seen
LEAST_HELD = 0.008  # [m] of the fingers past the outermost point
_ABOUT_BAR, _ALONG_BAR = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)  # in the hand's frame
LEANINGS = (
    (_ABOUT_BAR, 0.0),
    *((_ABOUT_BAR, float(np.radians(a))) for a in (-25, 25, -45, 45)),
    *((_ALONG_BAR, float(np.radians(a))) for a in (-25, 25)),
)


@dataclass(frozen=True)
class Front:
    """A flat face.

    Attributes:
        normal: (3,) unit, towards the camera.
        offset: normal . p on the face [m].
        share: of the points that lie on it.
    """

    normal: Array
    offset: float
    share: float


@dataclass(frozen=True)
class Protrusion:
    """A piece that stands out from a front.

    Attributes:
        points: (N, 3) of it [m].
        middle: (3,) of it, on the front [m].
        along: (3,) unit, its long direction in the front's plane.
        across: (3,) unit, at right angles to it in the plane.
        length: along it [m].
        width: across it [m].
        height: of its outermost point over the front [m].
    """

    points: Array
    middle: Array
    along: Array
    across: Array
    length: float
    width: float
    height: float

    @property
    def is_knob(self) -> bool:
        """Say whether it can be taken from every side."""
        return self.length < KNOB * self.width


def find_front(points: Array, camera: Array, seed: int = 0, tries: int = 150) -> Front | None:
    """Find the plane most of (N, 3) points lie on, by RANSAC and least squares.

    Returns:
        None if no plane holds 45 % of them over 8 cm by 4 cm.
    """
    rng = np.random.default_rng(seed)
    triples = points[rng.integers(len(points), size=(tries, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    triples, normals = triples[lengths > 1e-6], normals[lengths > 1e-6]
    if len(normals) == 0:
        return None
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    sparse = points[:: max(1, len(points) // 600)]
    away = np.abs(sparse @ normals.T - (triples[:, 0] * normals).sum(axis=1))
    best = int((away < FLATNESS).sum(axis=0).argmax())
    normal, offset = normals[best], float(triples[best, 0] @ normals[best])
    for _ in range(3):
        inside = points[np.abs(points @ normal - offset) < FLATNESS]
        if len(inside) < MIN_POINTS:
            return None
        center = inside.mean(axis=0)
        _, _, axes = np.linalg.svd(inside - center, full_matrices=False)
        normal, offset = axes[2], float(center @ axes[2])
    if (camera @ normal) < offset:
        normal, offset = -normal, -offset
    inside = points[np.abs(points @ normal - offset) < FLATNESS]
    extents = np.ptp((inside - center) @ axes[:2].T, axis=0)
    share = len(inside) / len(points)
    if share < MIN_FRONT_SHARE or extents[0] < MIN_FRONT_EXTENT[0]:
        return None
    return Front(normal, offset, share) if extents[1] >= MIN_FRONT_EXTENT[1] else None


def find_protrusions(points: Array, front: Front, max_width: float) -> list[Protrusion]:
    """Find what stands out from the front of a part and fits between the fingers, largest first.

    Args:
        points: (N, 3) seen points of the movable part [m].
        front: of the part.
        max_width: between the fingers [m].
    """
    points = thin_out(points, SPACING)
    height = points @ front.normal - front.offset
    outer = points[(height > STANDS_OUT) & (height < REACHES_OUT)]
    found = [_measure(piece, front) for piece in _pieces(outer) if len(piece) >= MIN_POINTS]
    fitting = [p for p in found if p.width < max_width - 0.006]
    return sorted(fitting, key=lambda p: -len(p.points))


def _pieces(points: Array) -> list[Array]:
    """Split (N, 3) points where nothing links them."""
    if len(points) == 0:
        return []
    pairs: NDArray[np.intp] = cKDTree(points).query_pairs(LINK, output_type='ndarray')
    links = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(points), len(points)))
    count, label = connected_components(links, directed=False)
    return [points[label == number] for number in range(count)]


def _measure(points: Array, front: Front) -> Protrusion:
    """Find the long direction and the sizes of a piece."""
    height = points @ front.normal - front.offset
    flat = points - height[:, None] * front.normal
    center = flat.mean(axis=0)
    _, _, axes = np.linalg.svd(flat - center, full_matrices=False)
    along = axes[0] - (axes[0] @ front.normal) * front.normal
    along /= np.linalg.norm(along)
    across = np.cross(front.normal, along)
    # Only the outer part is the bar; the posts that carry it may spread wider.
    outer = height > np.percentile(height, 95) - 0.012
    bar = flat[outer] - center
    ends, sides = bar @ along, bar @ across
    middle = center + 0.5 * (ends.min() + ends.max()) * along
    side, width = _cross_section(sides, height[outer])
    middle += side * across
    return Protrusion(
        points=points,
        middle=middle,
        along=along,
        across=across,
        length=float(np.ptp(ends)),
        width=width,
        height=float(np.percentile(height, 97)),
    )


def _cross_section(sides: Array, heights: Array) -> tuple[float, float]:
    """Find the middle and the width of a bar of which one side was seen.

    A circle through the seen points (Kasa 1976, then geometric) knows where the hidden side of a
    round bar is: the middle of what was seen is up to half a radius off, and a bar that cannot
    give way pushes the closed hand aside by as much. What no circle fits is taken as seen.

    Args:
        sides: (N,) across the bar [m].
        heights: (N,) over the front [m].

    Returns:
        middle among `sides`, and width [m].
    """
    seen = 0.5 * (sides.min() + sides.max()), float(np.ptp(sides))
    columns = np.column_stack([sides, heights, np.ones(len(sides))])
    if len(sides) < MIN_POINTS or np.linalg.matrix_rank(columns, tol=1e-4) < 3:
        return float(seen[0]), seen[1]
    a, b, c = np.linalg.lstsq(columns, sides**2 + heights**2, rcond=None)[0]
    start = [0.5 * a, 0.5 * b, np.sqrt(max(c + 0.25 * (a * a + b * b), 0.0))]
    # The algebraic circle is too small where less than half of it was seen; distances are not.
    circle = least_squares(
        lambda x: np.hypot(sides - x[0], heights - x[1]) - x[2], start, max_nfev=20
    )
    middle, _, radius = circle.x
    off = circle.fun
    if not (0.5 * seen[1] - 0.001 < radius < THICK_BAR) or np.sqrt((off**2).mean()) > ROUND_WITHIN:
        return float(seen[0]), seen[1]
    return float(middle), float(max(2.0 * radius, seen[1]))


def hands_on(protrusion: Protrusion, front: Front, gripper: GripperConfig) -> list[Candidate]:
    """Return hands that close across a protrusion, the straight one in its middle first.

    Besides straight along the front's normal the hand comes leaning, about the bar and along it:
    a low drawer is not reached level with the table.
    """
    turns = np.arange(4) * np.pi / 4 if protrusion.is_knob else np.zeros(1)
    room = 0.5 * max(protrusion.length - gripper.finger_width, 0.0)
    places = (0.0, 0.6 * room, -0.6 * room) if room > 0.01 else (0.0,)
    found = []
    for turn in turns:
        closing = np.cos(turn) * protrusion.across + np.sin(turn) * protrusion.along
        straight = hand_rotation(closing, -front.normal)
        for axis, angle in LEANINGS:
            rotation = straight @ rotation_about(axis, angle)
            for place in places:
                middle = protrusion.middle + place * protrusion.along
                hand = _reach_over(protrusion, front, middle, rotation, gripper)
                if hand is not None:
                    score = hand.score - 0.2 * abs(angle) - 2.0 * abs(place)
                    found.append(replace(hand, score=float(np.clip(score, 0.3, 1.0))))
    return sorted(found, key=lambda c: -c.score)


def _reach_over(
    protrusion: Protrusion, front: Front, middle: Array, rotation: Array, gripper: GripperConfig
) -> Candidate | None:
    """Put the tips as far past the bar as the front allows; None if that is not far enough."""
    # What hides behind the posts is a little more than what was seen.
    width = min(protrusion.width + 0.003, gripper.max_width - 0.004)
    fingers = hand_boxes(gripper, opening_for(width, gripper))[:2]
    corners = np.concatenate([finger.corners for finger in fingers]) @ rotation.T
    lowest = float((corners @ front.normal).min())
    tip_below_tcp = gripper.tip_offset * float(-rotation[:, 2] @ front.normal)
    wished = protrusion.height - BEHIND_BAR + tip_below_tcp
    height = max(wished, CLEAR_OF_FRONT - lowest)
    held = protrusion.height - (height - tip_below_tcp)
    if held < LEAST_HELD:
        return None
    # Leaning, the middle between the fingers must stay over the middle of the bar.
    axis_height = protrusion.height - 0.5 * min(protrusion.width, THICK_BAR)
    beyond = (axis_height - height) / float(-rotation[:, 2] @ front.normal)
    tcp = middle + axis_height * front.normal + beyond * rotation[:, 2]
    return Candidate(tcp, rotation, width, 0.95 - 4.0 * (BEHIND_BAR - held), part='handle')
