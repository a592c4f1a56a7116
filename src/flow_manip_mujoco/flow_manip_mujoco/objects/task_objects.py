# SPDX-License-Identifier: Apache-2.0
"""Objects that single tasks are about: things with handles and spouts, long things, food.

They are not drawn as distractors. Everything fits an opening of 0.08 m at least one way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from flow_manip_mujoco.objects.shapes import (
    handle,
    prism,
    Profile,
    rods,
    Shape,
    turned,
    turned_solid,
    vessel,
)
from flow_manip_mujoco.objects.spec import ObjectSpec, Part

Vector3 = tuple[float, float, float]


@dataclass(frozen=True)
class Handle:
    """A handle on the +x side, in the x-z plane of its vessel.

    Attributes:
        radius: where it begins, from the vessel's axis [m].
        height: of its middle [m].
        reach: how far it stands out [m].
        tube: radius of its tube [m].
        rise: from its middle to the middle of its upper end [m].
        wall: outer radius of the vessel [m].
    """

    radius: float
    height: float
    reach: float
    tube: float
    rise: float
    wall: float

    @property
    def outer(self) -> float:
        """Distance of the tube's middle from the vessel's axis where it stands out most [m]."""
        return self.radius - self.tube / 2 + self.reach - self.tube

    @property
    def hole(self) -> Vector3:
        """The middle of the opening; something through it passes along y."""
        return (self.wall + self.outer - self.tube) / 2, 0.0, self.height

    @property
    def hole_size(self) -> tuple[float, float]:
        """Width and height of the opening [m]."""
        return self.outer - self.tube - self.wall, 2 * (self.rise - self.tube)

    @property
    def ceiling(self) -> float:
        """Height of the opening's upper edge, over its middle [m]; the vessel hangs by that."""
        first, reach = self.radius - self.tube / 2, self.reach - self.tube
        along = (self.hole[0] - first) / reach
        level = float(np.sqrt(1.0 - along**2))
        slope = self.rise / reach * along / level
        return self.height + self.rise * level - self.tube * float(np.hypot(1.0, slope))

    def shape(self) -> Shape:
        """Build it."""
        return handle(self.radius, self.height, self.reach, self.tube, 9, self.rise)


MUG_HEIGHT, CUP_HEIGHT = 0.080, 0.064  # [m]
MUG_HANDLE = Handle(0.0355, 0.044, 0.047, 0.0045, 0.028, 0.0330)
CUP_HANDLE = Handle(0.0345, 0.034, 0.042, 0.0042, 0.0255, 0.0315)
CUP_RIM = 0.0325  # [m] outer radius
TEAPOT_HANDLE = Handle(0.0330, 0.036, 0.042, 0.0060, 0.020, 0.0340)
CAN_HANDLE = Handle(0.0340, 0.040, 0.040, 0.0055, 0.028, 0.0320)
TEAPOT_SPOUT: Vector3 = (0.080, 0.0, 0.076)  # tip of the spout in the teapot's frame [m]
CAN_SPOUT: Vector3 = (0.102, 0.0, 0.088)
CAN_HEIGHT, POT_RADIUS = 0.078, 0.035  # [m]
PEN_LENGTH, PEN_RADIUS = 0.145, 0.0090  # [m] from end to end; from the axis to a face
SQUARE_SIDE, SQUARE_HEIGHT = 0.040, 0.070  # [m]


def hanging_mug(colour: str, rgb: Vector3) -> ObjectSpec:
    """Build a mug whose handle goes over a peg."""
    inner = ((0.0295, 0.005), (0.0295, MUG_HEIGHT))
    body, surface = vessel(inner, 0.005, 0.0035, 0.033, segments=16)
    grip, grip_surface = MUG_HANDLE.shape()
    return ObjectSpec(
        name=f'{colour}_mug',
        colour=colour,
        noun='mug',
        category='mug',
        rgb=rgb,
        size=(0.033 + MUG_HANDLE.outer + MUG_HANDLE.tube, 0.066, MUG_HEIGHT),
        mass=0.14,
        parts=body + grip,
        meshes=surface + grip_surface,
        words=('cup',),
        container=True,
        inner_radius=0.0295,
        floor=0.005,
    )


def teacup(colour: str, rgb: Vector3) -> ObjectSpec:
    """Build a small cup with a handle."""
    inner = ((0.0260, 0.005), (0.0290, CUP_HEIGHT))
    body, surface = vessel(inner, 0.005, 0.0035, 0.0280, segments=16)
    grip, grip_surface = CUP_HANDLE.shape()
    return ObjectSpec(
        name=f'{colour}_cup',
        colour=colour,
        noun='cup',
        category='cup',
        rgb=rgb,
        size=(CUP_RIM + CUP_HANDLE.outer + CUP_HANDLE.tube, 2 * CUP_RIM, CUP_HEIGHT),
        mass=0.10,
        parts=body + grip,
        meshes=surface + grip_surface,
        words=('teacup', 'small'),
        container=True,
        inner_radius=0.029,
        floor=0.005,
    )


def saucer(colour: str, rgb: Vector3) -> ObjectSpec:
    """Build a small plate with a flat middle for a cup."""
    parts, meshes = vessel(((0.046, 0.006), (0.068, 0.014)), 0.006, 0.005, 0.046, segments=20)
    return ObjectSpec(
        name=f'{colour}_saucer',
        colour=colour,
        noun='saucer',
        category='saucer',
        rgb=rgb,
        size=(0.146, 0.146, 0.014),
        mass=0.16,
        parts=parts,
        meshes=meshes,
        words=('plate', 'small', 'dish'),
        graspable=False,
        support=True,
        inner_radius=0.046,
        floor=0.006,
    )


def teapot(colour: str, rgb: Vector3) -> ObjectSpec:
    """Build a round pot with its spout along +x, its handle along -x and a lid with a knob."""
    heights = np.linspace(0.0, 0.062, 15)
    radii = POT_RADIUS * np.sqrt(1.0 - ((heights - 0.031) / 0.042) ** 2)
    knob = ((0.012, 0.066), (0.006, 0.069), (0.008, 0.073), (0.008, 0.078), (0.005, 0.081))
    outline = (*zip(radii.tolist(), heights.tolist()), *knob)
    body, surface = _round_solid(outline)
    grip, grip_surface = turned(TEAPOT_HANDLE.shape(), np.pi)
    spout = rods([(0.028, 0.0, 0.026), (0.056, 0.0, 0.040), TEAPOT_SPOUT], 0.0065)
    return ObjectSpec(
        name=f'{colour}_teapot',
        colour=colour,
        noun='teapot',
        category='teapot',
        rgb=rgb,
        size=(TEAPOT_SPOUT[0] + TEAPOT_HANDLE.outer + 0.0125, 2 * POT_RADIUS, 0.082),
        mass=0.15,
        parts=body + grip + spout,
        meshes=surface + grip_surface,
        words=('pot', 'jug'),
    )


def watering_can(colour: str, rgb: Vector3) -> ObjectSpec:
    """Build an open can with a long spout along +x and a handle along -x."""
    inner = ((0.0285, 0.005), (0.0285, CAN_HEIGHT))
    body, surface = vessel(inner, 0.005, 0.0035, 0.032, segments=16)
    grip, grip_surface = turned(CAN_HANDLE.shape(), np.pi)
    tip = np.array(CAN_SPOUT)
    root = np.array([0.033, 0.0, 0.020])
    back = tip - 0.006 * (tip - root) / np.linalg.norm(tip - root)
    spout = rods([root, tip], 0.0055) + rods([back, tip], 0.010)
    return ObjectSpec(
        name=f'{colour}_watering_can',
        colour=colour,
        noun='watering can',
        category='watering can',
        rgb=rgb,
        size=(CAN_SPOUT[0] + 0.010 + CAN_HANDLE.outer + CAN_HANDLE.tube, 0.066, 0.098),
        mass=0.14,
        parts=body + grip + spout,
        meshes=surface + grip_surface,
        words=('can', 'jug'),
    )


def pen(colour: str, rgb: Vector3) -> ObjectSpec:
    """Build a thick eight-sided pen that lies along x, its cap at +x."""
    body = prism(8, PEN_RADIUS, PEN_LENGTH)
    cap = tuple(
        _recoloured(part, (0.15, 0.15, 0.16))
        for part in prism(8, PEN_RADIUS + 0.0002, 0.035, PEN_LENGTH / 2 - 0.0173)
    )
    return ObjectSpec(
        name=f'{colour}_pen',
        colour=colour,
        noun='pen',
        category='pen',
        rgb=rgb,
        size=(PEN_LENGTH, 2 * PEN_RADIUS, 2 * PEN_RADIUS),
        mass=0.035,
        parts=body + cap,
        words=('marker', 'long', 'thin'),
    )


def corn() -> ObjectSpec:
    """Build a cob that lies along x, narrower at its ends, one of them with husk."""
    rgb, husk = (0.95, 0.76, 0.12), (0.45, 0.62, 0.20)
    parts = prism(8, 0.021, 0.064)
    parts += _raised(prism(8, 0.017, 0.020, 0.042), 0.004)
    parts += _raised(prism(8, 0.010, 0.008, 0.055), 0.011)
    parts += tuple(_recoloured(p, husk) for p in _raised(prism(8, 0.018, 0.018, -0.041), 0.003))
    parts += tuple(_recoloured(p, husk) for p in _raised(prism(8, 0.008, 0.008, -0.054), 0.013))
    return ObjectSpec(
        name='yellow_corn',
        colour='yellow',
        noun='corn',
        category='corn',
        rgb=rgb,
        size=(0.117, 0.0455, 0.042),
        mass=0.08,
        parts=parts,
        words=('cob', 'maize', 'corncob'),
    )


def bread() -> ObjectSpec:
    """Build a small loaf, flat below and round on top."""
    return ObjectSpec(
        name='brown_bread',
        colour='brown',
        noun='bread',
        category='bread',
        rgb=(0.72, 0.45, 0.20),
        size=(0.090, 0.048, 0.048),
        mass=0.06,
        parts=(
            Part('box', (0.041, 0.024, 0.011), (0.0, 0.0, 0.011)),
            Part('capsule', (0.024, 0.021), (0.0, 0.0, 0.024), _ALONG_X),
        ),
        words=('loaf', 'roll', 'bun'),
    )


def square_block(colour: str, rgb: Vector3) -> ObjectSpec:
    """Build a tall block with a square base."""
    half = SQUARE_SIDE / 2
    return ObjectSpec(
        name=f'{colour}_block',
        colour=colour,
        noun='block',
        category='block',
        rgb=rgb,
        size=(SQUARE_SIDE, SQUARE_SIDE, SQUARE_HEIGHT),
        mass=0.06,
        parts=(Part('box', (half, half, SQUARE_HEIGHT / 2), (0.0, 0.0, SQUARE_HEIGHT / 2)),),
        words=('square', 'peg'),
        support=True,
        inner_radius=half,
        floor=SQUARE_HEIGHT,
    )


_ALONG_X = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # z to x


def _round_solid(outline: Profile) -> Shape:
    """Build a solid of revolution whose cylinders have the mean radius of each step."""
    stairs: list[tuple[float, float]] = []
    for (r0, z0), (r1, z1) in pairwise(outline):
        stairs += [((r0 + r1) / 2, z0), ((r0 + r1) / 2, z1)]
    return turned_solid(tuple(stairs))[0], turned_solid(outline)[1]


def _recoloured(part: Part, rgb: Vector3) -> Part:
    return Part(part.kind, part.size, part.position, part.rotation, part.visible, rgb)


def _raised(parts: tuple[Part, ...], height: float) -> tuple[Part, ...]:
    """Lift parts by `height` [m]."""
    return tuple(
        Part(p.kind, p.size, (*p.position[:2], p.position[2] + height), p.rotation, p.visible)
        for p in parts
    )
