# SPDX-License-Identifier: Apache-2.0
"""What free scenes are made of: one of each kind, in many sizes; three kinds for tests only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flow_manip_mujoco.objects import CATALOGUE, MeshPart, ObjectSpec, Part
from flow_manip_mujoco.objects.task_objects import (
    bread,
    corn,
    pen,
    saucer,
    teacup,
    teapot,
    watering_can,
)

_GREY = (0.5, 0.5, 0.5)
_DARK = (0.15, 0.15, 0.16)


def _solid(noun: str, category: str, size: tuple[float, float, float], *parts: Part) -> ObjectSpec:
    return ObjectSpec(f'grey_{noun}', '', noun, category, _GREY, size, 0.06, parts)


def _eraser() -> ObjectSpec:
    half = (0.026, 0.014, 0.009)
    return _solid('eraser', 'eraser', (0.052, 0.028, 0.018), Part('box', half, (0, 0, 0.009)))


def _puck() -> ObjectSpec:
    disc = Part('cylinder', (0.034, 0.011), (0.0, 0.0, 0.011))
    return _solid('puck', 'puck', (0.068, 0.068, 0.022), disc)


def _candle() -> ObjectSpec:
    wax = Part('cylinder', (0.022, 0.045), (0.0, 0.0, 0.045))
    wick = Part('cylinder', (0.003, 0.006), (0.0, 0.0, 0.096), rgb=_DARK)
    return _solid('candle', 'candle', (0.044, 0.044, 0.102), wax, wick)


def _sponge() -> ObjectSpec:
    soft = Part('box', (0.045, 0.030, 0.012), (0.0, 0.0, 0.012))
    rough = Part('box', (0.045, 0.030, 0.004), (0.0, 0.0, 0.028), rgb=(0.20, 0.30, 0.20))
    return _solid('sponge', 'sponge', (0.090, 0.060, 0.032), soft, rough)


def _jar() -> ObjectSpec:
    body = Part('cylinder', (0.034, 0.032), (0.0, 0.0, 0.032))
    lid = Part('cylinder', (0.030, 0.008), (0.0, 0.0, 0.072), rgb=(0.75, 0.75, 0.78))
    return _solid('jar', 'jar', (0.068, 0.068, 0.080), body, lid)


def _first(noun: str) -> ObjectSpec:
    return next(spec for spec in CATALOGUE.values() if spec.noun == noun)


def _kinds() -> dict[str, ObjectSpec]:
    names = ('cube', 'block', 'box', 'can', 'ball', 'bottle', 'mug', 'bowl', 'plate', 'basket')
    kinds = [_first(noun) for noun in names]
    kinds += [make('', _GREY) for make in (teacup, saucer, teapot, watering_can, pen)]
    kinds += [corn(), bread(), _eraser(), _puck()]
    return {spec.noun: spec for spec in kinds}


KINDS: dict[str, ObjectSpec] = _kinds()
HELD_OUT_KINDS: dict[str, ObjectSpec] = {s.noun: s for s in (_candle(), _sponge(), _jar())}
"""Kinds of things that training never sees."""

_FIXED_SIZE = frozenset(('plate', 'basket', 'bowl'))  # as large as the table has room for


def draw_object(noun: str, number: int, rng: np.random.Generator) -> ObjectSpec:
    """Return one thing of a kind in a drawn size, called `<noun>_<number>` in the simulator."""
    spec = {**KINDS, **HELD_OUT_KINDS}[noun]
    low, high = (0.85, 1.0) if noun in _FIXED_SIZE else (0.85, 1.15)
    name = f'{noun.replace(" ", "_")}_{number}'
    return replace(scaled(spec, float(rng.uniform(low, high))), name=name)


def scaled(spec: ObjectSpec, factor: float) -> ObjectSpec:
    """Return the same object in another size."""
    return replace(
        spec,
        size=_times(spec.size, factor),
        mass=spec.mass * factor**3,
        parts=tuple(
            replace(p, size=_times(p.size, factor), position=_times(p.position, factor))
            for p in spec.parts
        ),
        meshes=tuple(MeshPart(m.vertices * factor, m.faces, m.shade, m.rgb) for m in spec.meshes),
        inner_radius=spec.inner_radius * factor,
        floor=spec.floor * factor,
    )


def fits_on(item: ObjectSpec, target: ObjectSpec) -> bool:
    """Say whether an object can stand on another."""
    if not target.support or item.category in ('ball', 'basket') or item.name == target.name:
        return False
    return max(item.size[:2]) <= 2.2 * target.inner_radius


def fits_in(item: ObjectSpec, target: ObjectSpec) -> bool:
    """Say whether an object goes through another's opening."""
    return (
        target.container
        and item.name != target.name
        and float(np.hypot(*item.size[:2])) <= 1.9 * target.inner_radius
    )


def _times(values: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(float(v) * factor for v in values)
