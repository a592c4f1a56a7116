# SPDX-License-Identifier: Apache-2.0
"""Hollow things from convex parts: a wall is a ring of boxes, so that others can lie inside."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def handle(
    radius: float,
    height: float,
    reach: float,
    tube: float,
    segments: int = 7,
    rise: float | None = None,
) -> Shape:
    """Build a mug's handle on the +x side.

    Args:
        radius: of the mug's outside [m].
        height: of the handle's middle above the ground [m].
        reach: how far the handle stands out [m].
        tube: radius of its tube [m].
        segments: capsules along the arc.
        rise: from its middle to the middle of its upper end [m]; nearly a half circle if left out.
    """
    rise = 1.05 * reach if rise is None else rise

    def arc(count: int) -> NDArray[np.float64]:
        angles = np.linspace(-np.pi / 2, np.pi / 2, count)
        along = radius - tube / 2 + (reach - tube) * np.cos(angles)
        return np.column_stack([along, np.zeros_like(angles), height + rise * np.sin(angles)])

    parts = [_rod(a, b, tube) for a, b in pairwise(arc(segments + 1))]
    return tuple(parts), (MeshPart(*tube_along(arc(25), tube)),)


def rods(path: ArrayLike, radius: float) -> tuple[Part, ...]:
    """Join (P, 3) points by capsules that are drawn as they collide: pegs, hooks, spouts."""
    points = np.asarray(path, dtype=np.float64)
    return tuple(replace(_rod(a, b, radius), visible=True) for a, b in pairwise(points))


def prism(sides: int, inner: float, length: float, along: float = 0.0) -> tuple[Part, ...]:
    """Build a prism that lies along x on one of its faces; boxes across each pair of faces.

    Args:
        sides: even number of faces.
        inner: distance of the faces from the axis [m].
        length: along x [m].
        along: x of its middle [m].

    Returns:
        Parts whose union has exactly the prism's faces, so that it does not roll.
    """
    half_face = inner * float(np.tan(np.pi / sides))
    return tuple(
        Part(
            'box',
            (length / 2, half_face, inner),
            (along, 0.0, inner),
            rotation_about([1.0, 0.0, 0.0], 2.0 * np.pi * k / sides),
        )
        for k in range(sides // 2)
    )


def turned(shape: Shape, yaw: float) -> Shape:
    """Turn a shape about z by `yaw` [rad]."""
    turn = rotation_about([0.0, 0.0, 1.0], yaw)
    parts, meshes = shape
    return (
        tuple(
            replace(
                part,
                position=tuple(turn @ np.array(part.position)),
                rotation=turn @ (np.eye(3) if part.rotation is None else part.rotation),
            )
            for part in parts
        ),
        tuple(replace(mesh, vertices=mesh.vertices @ turn.T) for mesh in meshes),
    )


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
    helper = np.eye(3)[1] if abs(direction[1]) < 0.9 else np.eye(3)[0]
    side = np.cross(helper, direction)
    side /= np.linalg.norm(side)
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
