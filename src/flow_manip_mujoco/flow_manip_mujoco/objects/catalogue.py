# SPDX-License-Identifier: Apache-2.0
"""The objects that scenes are made from. Everything graspable fits an opening of 0.08 m."""

from __future__ import annotations

from difflib import get_close_matches

from flow_manip_core.errors import ConfigurationError
from flow_manip_mujoco.objects.shapes import handle, tray, turned_solid, vessel
from flow_manip_mujoco.objects.spec import ObjectSpec, Part

COLOURS: dict[str, tuple[float, float, float]] = {
    'red': (0.80, 0.08, 0.07),
    'green': (0.10, 0.52, 0.14),
    'blue': (0.08, 0.22, 0.72),
    'yellow': (0.93, 0.78, 0.07),
    'orange': (0.95, 0.42, 0.04),
    'purple': (0.42, 0.13, 0.60),
    'white': (0.93, 0.93, 0.93),
    'black': (0.10, 0.10, 0.11),
    'brown': (0.36, 0.20, 0.09),
    'pink': (0.95, 0.45, 0.62),
}

_DENSITY = 450.0  # kg/m^3 of solid things: hard foam, balsa


def _block(
    colour: str, noun: str, size: tuple[float, float, float], words: tuple[str, ...]
) -> ObjectSpec:
    """A cuboid standing on its (x, y) face."""
    x, y, z = size
    return ObjectSpec(
        name=f'{colour}_{noun}',
        colour=colour,
        noun=noun,
        category='block',
        rgb=COLOURS[colour],
        size=size,
        mass=round(_DENSITY * x * y * z, 4),
        parts=(Part('box', (x / 2, y / 2, z / 2), (0.0, 0.0, z / 2)),),
        words=words,
        support=True,
        inner_radius=min(x, y) / 2,
        floor=z,
    )


def _cube(colour: str) -> ObjectSpec:
    return _block(colour, 'cube', (0.045, 0.045, 0.045), ('block', 'box', 'small'))


def _can(colour: str) -> ObjectSpec:
    radius, height = 0.031, 0.095
    return ObjectSpec(
        name=f'{colour}_can',
        colour=colour,
        noun='can',
        category='can',
        rgb=COLOURS[colour],
        size=(2 * radius, 2 * radius, height),
        mass=0.12,
        parts=(Part('cylinder', (radius, height / 2), (0.0, 0.0, height / 2)),),
        words=('cylinder', 'tin'),
    )


def _ball(colour: str) -> ObjectSpec:
    radius = 0.028
    return ObjectSpec(
        name=f'{colour}_ball',
        colour=colour,
        noun='ball',
        category='ball',
        rgb=COLOURS[colour],
        size=(2 * radius, 2 * radius, 2 * radius),
        mass=0.05,
        parts=(Part('sphere', (radius,), (0.0, 0.0, radius)),),
        words=('sphere', 'round'),
        rolls=True,
    )


def _bottle(colour: str) -> ObjectSpec:
    outline = (
        (0.030, 0.0),
        (0.030, 0.100),
        (0.028, 0.110),
        (0.023, 0.120),
        (0.016, 0.129),
        (0.013, 0.135),
        (0.013, 0.170),
    )
    parts, meshes = turned_solid(outline)
    return ObjectSpec(
        name=f'{colour}_bottle',
        colour=colour,
        noun='bottle',
        category='bottle',
        rgb=COLOURS[colour],
        size=(0.060, 0.060, 0.170),
        mass=0.15,
        parts=parts,
        meshes=meshes,
        words=('flask', 'tall'),
    )


def _mug(colour: str) -> ObjectSpec:
    radius, wall, height = 0.036, 0.004, 0.085
    inner = ((radius - wall, 0.005), (radius - wall, height))
    body, body_mesh = vessel(inner, 0.005, wall, radius, segments=16)
    grip, grip_mesh = handle(radius, height / 2, 0.030, 0.0055)
    return ObjectSpec(
        name=f'{colour}_mug',
        colour=colour,
        noun='mug',
        category='mug',
        rgb=COLOURS[colour],
        size=(2 * radius + 0.027, 2 * radius, height),
        mass=0.14,
        parts=body + grip,
        meshes=body_mesh + grip_mesh,
        words=('cup',),
        container=True,
        inner_radius=radius - wall,
        floor=0.005,
    )


def _bowl(colour: str) -> ObjectSpec:
    inner = ((0.042, 0.005), (0.066, 0.021), (0.078, 0.050))
    parts, meshes = vessel(inner, 0.005, 0.005, 0.042)
    return ObjectSpec(
        name=f'{colour}_bowl',
        colour=colour,
        noun='bowl',
        category='bowl',
        rgb=COLOURS[colour],
        size=(0.166, 0.166, 0.050),
        mass=0.12,
        parts=parts,
        meshes=meshes,
        words=('dish', 'round'),
        container=True,
        inner_radius=0.078,
        floor=0.005,
    )


def _plate(colour: str) -> ObjectSpec:
    inner = ((0.068, 0.006), (0.088, 0.016))
    parts, meshes = vessel(inner, 0.006, 0.005, 0.068, segments=20)
    return ObjectSpec(
        name=f'{colour}_plate',
        colour=colour,
        noun='plate',
        category='plate',
        rgb=COLOURS[colour],
        size=(0.182, 0.182, 0.016),
        mass=0.20,
        parts=parts,
        meshes=meshes,
        words=('dish', 'flat', 'round'),
        graspable=False,
        support=True,
        inner_radius=0.088,
        floor=0.006,
    )


def _basket(colour: str) -> ObjectSpec:
    length, width, height, wall = 0.20, 0.15, 0.055, 0.007
    return ObjectSpec(
        name=f'{colour}_basket',
        colour=colour,
        noun='basket',
        category='basket',
        rgb=COLOURS[colour],
        size=(length, width, height),
        mass=0.25,
        parts=tray(length, width, height, wall),
        words=('tray', 'bin', 'box'),
        container=True,
        inner_radius=width / 2 - wall,
        floor=wall,
    )


CATALOGUE: dict[str, ObjectSpec] = {
    spec.name: spec
    for spec in (
        _cube('red'),
        _cube('green'),
        _cube('blue'),
        _cube('yellow'),
        _block('purple', 'block', (0.100, 0.045, 0.035), ('brick', 'long')),
        _block('pink', 'block', (0.100, 0.045, 0.035), ('brick', 'long')),
        _block('orange', 'box', (0.070, 0.040, 0.120), ('carton', 'tall')),
        _block('blue', 'box', (0.070, 0.040, 0.120), ('carton', 'tall')),
        _can('red'),
        _can('green'),
        _can('black'),
        _ball('orange'),
        _ball('purple'),
        _ball('yellow'),
        _bottle('green'),
        _bottle('blue'),
        _mug('white'),
        _mug('yellow'),
        _mug('red'),
        _bowl('pink'),
        _bowl('blue'),
        _bowl('white'),
        _plate('white'),
        _plate('black'),
        _plate('red'),
        _basket('brown'),
        _basket('green'),
    )
}


def object_spec(name: str) -> ObjectSpec:
    """Return the object called `name`.

    Raises:
        ConfigurationError: there is none (with the nearest one).
    """
    if name not in CATALOGUE:
        close = get_close_matches(name, CATALOGUE, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f'; known: {sorted(CATALOGUE)}'
        raise ConfigurationError(f"no object '{name}'{hint}")
    return CATALOGUE[name]
