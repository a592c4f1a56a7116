# SPDX-License-Identifier: Apache-2.0
"""A screwdriver that lies on the table."""

from __future__ import annotations

import numpy as np

from flow_manip_core.transforms import rotation_about
from flow_manip_mujoco.objects import MeshPart, ObjectSpec, Part
from flow_manip_mujoco.objects.surfaces import turn_profile

HANDLE_LENGTH, HANDLE_RADIUS = 0.100, 0.016  # [m]
SHAFT_LENGTH, SHAFT_RADIUS = 0.090, 0.0045  # [m]
_STEEL = (0.70, 0.71, 0.73)


def screwdriver(colour: str, rgb: tuple[float, float, float]) -> ObjectSpec:
    """Return a screwdriver along x, its handle at -x, octagonal so that it does not roll."""
    flat = HANDLE_RADIUS * float(np.cos(np.pi / 8))
    edge = HANDLE_RADIUS * float(np.sin(np.pi / 8))
    half, total = HANDLE_LENGTH / 2, HANDLE_LENGTH + SHAFT_LENGTH
    middle, tip = half - total / 2, total / 2
    parts = [
        # Two crossed slabs of one width and the same turned by 45 degrees make the octagon.
        Part(
            'box',
            (half, flat, edge),
            (middle, 0.0, flat),
            rotation_about([1.0, 0.0, 0.0], turn),
            visible=False,
        )
        for turn in np.pi / 4 * np.arange(4)
    ]
    shaft = Part(
        'cylinder',
        (SHAFT_RADIUS, SHAFT_LENGTH / 2),
        (tip - SHAFT_LENGTH / 2, 0.0, flat),
        rotation_about([0.0, 1.0, 0.0], np.pi / 2),
        rgb=_STEEL,
    )
    return ObjectSpec(
        name=f'{colour}_screwdriver',
        colour=colour,
        noun='screwdriver',
        category='tool',
        rgb=rgb,
        size=(total, 2 * flat, 2 * flat),
        mass=0.09,
        parts=(*parts, shaft),
        meshes=(_handle_surface(middle, flat),),
        words=('tool',),
    )


def _handle_surface(middle: float, height: float) -> MeshPart:
    """Return the drawn octagonal handle with rounded ends."""
    half, r = HANDLE_LENGTH / 2, HANDLE_RADIUS
    outline = [(0.0, -half), (0.8 * r, -half), (r, 0.01 - half), (r, half - 0.025)]
    outline += [(0.75 * r, half - 0.015), (0.75 * r, half), (0.0, half)]
    vertices, faces = turn_profile(outline, segments=8)
    # A corner of the polygon is at angle 0; its flat side must lie on the table.
    turn = rotation_about([0.0, 1.0, 0.0], np.pi / 2) @ rotation_about([0, 0, 1], np.pi / 8)
    return MeshPart(vertices @ turn.T + np.array([middle, 0.0, height]), faces)
