# SPDX-License-Identifier: Apache-2.0
"""Colours of objects: words, shades, and the pairs with nouns that training never sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import zlib

import numpy as np

from flow_manip_mujoco.objects import COLOURS, ObjectSpec

NATURAL = frozenset(('corn', 'bread'))
"""What has the colour it has; nobody names it."""

_NAMES = tuple(sorted(COLOURS))
_TRIES = 60


def held_out_colours(noun: str) -> frozenset[str]:
    """Return the colours that things called `noun` have in tests only: two of the ten."""
    number = zlib.crc32(noun.encode())
    first = number % len(_NAMES)
    second = (first + 1 + number // len(_NAMES) % (len(_NAMES) - 1)) % len(_NAMES)
    return frozenset((_NAMES[first], _NAMES[second]))


def draw_colours(
    specs: Sequence[ObjectSpec],
    rng: np.random.Generator,
    held_out: Sequence[str] = (),
) -> dict[str, str] | None:
    """Draw a colour for every object so that colour and noun together name one only.

    Args:
        specs: the objects.
        rng: same state, same result.
        held_out: names of objects that get a colour held out for their noun; all others get one
            of the rest.

    Returns:
        colours by the objects' names, '' for natural ones; None where no drawing fits.
    """
    for _ in range(_TRIES):
        colours: dict[str, str] = {}
        taken: set[tuple[str, str]] = set()
        for spec in specs:
            if spec.noun in NATURAL:
                colours[spec.name] = ''
                continue
            held = held_out_colours(spec.noun)
            pool = sorted(held if spec.name in held_out else set(_NAMES) - held)
            colour = pool[int(rng.integers(len(pool)))]
            # A mug with its handle behind it looks like a can.
            looks = {(spec.category, colour), (_silhouette(spec), colour)}
            if looks & taken:
                break
            taken |= looks
            colours[spec.name] = colour
        else:
            return colours
    return None


def draw_shades(
    colours: Mapping[str, str], rng: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    """Draw a shade of every object's colour, 0..1; natural ones are left out."""
    shades = {}
    for name, colour in colours.items():
        gain, tint = rng.uniform(0.85, 1.12), rng.uniform(-0.035, 0.035, 3)
        if colour:
            r, g, b = np.clip(np.array(COLOURS[colour]) * gain + tint, 0.0, 1.0)
            shades[name] = (float(r), float(g), float(b))
    return shades


def _silhouette(spec: ObjectSpec) -> str:
    return 'can' if spec.category == 'mug' else spec.category
