# SPDX-License-Identifier: Apache-2.0
"""Hollow things from convex parts: a wall is a ring of boxes, so that others can lie inside."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import rotation_about
from flow_manip_mujoco.objects.spec import MeshPart, Part
from flow_manip_mujoco.objects.surfaces import tube_along, turn_profile

Profile = tuple[tuple[float, float], ...]
Shape = tuple[tuple[Part, ...], tuple[MeshPart, ...]]


def wall_ring(
    low: tuple[float, float], high: tuple[float, float], thickness: float, segments: int = 18
) -> list[Part]:
    """Build a conical wall from boxes.

    Args:
        low: (radius, height) of the inner surface at the lower edge [m].
        high: (radius, height) of the inner surface at the upper edge [m].
        thickness: of the wall [m].
        segments: number of boxes.

    Returns:
        Hidden parts. The inner faces form a regular polygon around the cone: neighbours overlap
        only behind each other's inner face, so nothing sticks out inside.
    """
    (r0, z0), (r1, z1) = low, high
    slant = float(np.hypot(r1 - r0, z1 - z0))
    along = np.array([r1 - r0, 0.0, z1 - z0]) / slant
    outward = np.array([along[2], 0.0, -along[0]])
    half_width = (max(r0, r1) + thickness) * np.tan(np.pi / segments)
    center = np.array([(r0 + r1) / 2, 0.0, (z0 + z1) / 2]) + outward * thickness / 2
    axes = np.column_stack([outward, np.cross(along, outward), along])
    parts = []
    for angle in 2.0 * np.pi * np.arange(segments) / segments:
        turn = rotation_about([0.0, 0.0, 1.0], angle)
        parts.append(
            Part(
                'box',
                (thickness / 2, float(half_width), slant / 2),
                tuple(turn @ center),
                turn @ axes,
                visible=False,
            )
        )
    return parts


def vessel(
    inner: Profile, floor: float, thickness: float, base_radius: float, segments: int = 18
) -> Shape:
    """Build a round open vessel: bowl, plate, cup.

    Args:
        inner: (radius, height) pairs of the inner wall from the floor to the rim [m].
        floor: thickness of the bottom [m].
        thickness: of the wall [m].
        base_radius: of the disc it stands on [m].
        segments: boxes around each ring of the wall.
    """
    disc = max(base_radius, inner[0][0])
    parts = [Part('cylinder', (disc, floor / 2), (0.0, 0.0, floor / 2), visible=False)]
    for low, high in pairwise(inner):
        parts.extend(wall_ring(low, high, thickness, segments))
    outside = _offset_profile(inner, thickness)
    profile = [(0.0, 0.0), (disc, 0.0), (disc, min(floor, outside[0][1] + floor))]
    profile += [p for p in outside if p[1] > profile[-1][1]]
    profile += [(r, z) for r, z in reversed(inner)]
    profile += [(0.0, inner[0][1])]
    return tuple(parts), (MeshPart(*turn_profile(profile)),)


def handle(radius: float, height: float, reach: float, tube: float, segments: int = 7) -> Shape:
    """Build a mug's handle on the +x side.

    Args:
        radius: of the mug's outside [m].
        height: of the handle's middle above the ground [m].
        reach: how far the handle stands out [m].
        tube: radius of its tube [m].
        segments: capsules along the arc.
    """
    angles = np.linspace(-np.pi / 2, np.pi / 2, segments + 1)
    path = np.column_stack(
        [
            radius - tube / 2 + (reach - tube) * np.cos(angles),
            np.zeros_like(angles),
            height + 1.05 * reach * np.sin(angles),
        ]
    )
    parts = [_rod(a, b, tube) for a, b in pairwise(path)]
    smooth = np.linspace(-np.pi / 2, np.pi / 2, 25)
    curve = np.column_stack(
        [
            radius - tube / 2 + (reach - tube) * np.cos(smooth),
            np.zeros_like(smooth),
            height + 1.05 * reach * np.sin(smooth),
        ]
    )
    return tuple(parts), (MeshPart(*tube_along(curve, tube)),)


def tray(length: float, width: float, height: float, wall: float) -> tuple[Part, ...]:
    """Build an open rectangular tray from five boxes; `length` along x, outer sizes [m]."""
    x, y, z, t = length / 2, width / 2, height / 2, wall / 2
    return (
        Part('box', (x, y, t), (0.0, 0.0, t)),
        Part('box', (t, y, z), (x - t, 0.0, z)),
        Part('box', (t, y, z), (t - x, 0.0, z)),
        Part('box', (x - wall, t, z), (0.0, y - t, z)),
        Part('box', (x - wall, t, z), (0.0, t - y, z)),
    )


def turned_solid(outline: Profile, shade: float = 1.0) -> Shape:
    """Build a solid of revolution, one cylinder per step.

    Args:
        outline: (radius, height) pairs from the ground up [m].
        shade: of the drawn surface.
    """
    parts = []
    for (r0, z0), (r1, z1) in pairwise(outline):
        if z1 - z0 > 1e-6:
            parts.append(
                Part(
                    'cylinder',
                    (min(r0, r1) if r0 != r1 else r0, (z1 - z0) / 2),
                    (0.0, 0.0, (z0 + z1) / 2),
                    visible=False,
                )
            )
    profile = [(0.0, outline[0][1]), *outline, (0.0, outline[-1][1])]
    return tuple(parts), (MeshPart(*turn_profile(profile), shade=shade),)


def _rod(a: NDArray, b: NDArray, radius: float) -> Part:
    """Return the hidden capsule from a to b."""
    direction = (b - a) / np.linalg.norm(b - a)
    helper = np.array([0.0, 1.0, 0.0])
    side = np.cross(helper, direction)
    axes = np.column_stack([side, np.cross(direction, side), direction])
    return Part(
        'capsule',
        (radius, float(np.linalg.norm(b - a)) / 2),
        tuple((a + b) / 2),
        axes,
        visible=False,
    )


def _offset_profile(inner: Profile, thickness: float) -> list[tuple[float, float]]:
    """Shift a wall's inner profile outwards by its thickness."""
    points = np.asarray(inner, dtype=np.float64)
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    normals = np.column_stack([tangents[:, 1], -tangents[:, 0]])
    moved = points + thickness * normals
    moved[-1, 1] = points[-1, 1]
    return [(float(r), float(z)) for r, z in moved]
