# SPDX-License-Identifier: Apache-2.0
"""How well an object's measurements fit a kind of shape, graded.

The kinds are those that can be told apart from one side by size, outline and profile. A score is a
product of soft conditions; 1 means nothing speaks against it.
"""

from __future__ import annotations

from collections.abc import Callable

from flow_manip_perception.attributes import ObjectAttributes


def above(value: float, low: float, high: float) -> float:
    """Rise from 0 at `low` to 1 at `high`, smoothly."""
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


def below(value: float, low: float, high: float) -> float:
    """Fall from 1 at `low` to 0 at `high`, smoothly."""
    return 1.0 - above(value, low, high)


def _slender(o: ObjectAttributes) -> float:
    """Longest extent over the middle one."""
    _, middle, longest = sorted((o.length, o.width, o.height))
    return longest / max(middle, 1e-3)


def _boxy(o: ObjectAttributes) -> float:
    """Straight sides all round, nothing inside."""
    straight = above(o.fullness, 0.72, 0.86) * below(o.hollow, 0.3, 0.6)
    return straight * (1.0 - 0.8 * _sphere(o))


def _round(o: ObjectAttributes) -> float:
    """As long as wide, with an outline like a disc's."""
    even = above(o.width / o.length, 0.5, 0.8)
    return even * (0.35 + 0.65 * below(o.fullness, 0.84, 0.94))


def _cube(o: ObjectAttributes) -> float:
    sides = sorted((o.length, o.width, o.height))
    even = above(sides[0] / sides[2], 0.45, 0.75)
    return even * _boxy(o) * (0.3 + 0.7 * above(o.ball, 0.04, 0.1)) * _flat(o)


def _flat(o: ObjectAttributes) -> float:
    """The top is a face, not a point or a rim."""
    return 0.2 + 0.8 * above(o.flat_top, 0.25, 0.5)


def _box(o: ObjectAttributes) -> float:
    thin_low = above(o.height / o.length, 0.06, 0.16)
    cube = above(sorted((o.length, o.width, o.height))[0] / o.length, 0.75, 0.95)
    return _boxy(o) * thin_low * _flat(o) * (1.0 - 0.3 * cube)


def _block(o: ObjectAttributes) -> float:
    return max(_cube(o), 0.9 * _box(o))


def _sphere(o: ObjectAttributes) -> float:
    even = above(o.width / o.length, 0.55, 0.8)
    # The sphere that fits must also be as large as the object is high.
    ratio = 2.0 * o.ball_radius / o.height
    whole = above(ratio, 0.6, 0.8) * below(ratio, 1.25, 1.5)
    return even * whole * below(o.ball, 0.06, 0.12) * below(o.hollow, 0.5, 0.8)


def _standing(o: ObjectAttributes) -> float:
    return above(o.height / max(o.width, 1e-3), 0.5, 0.9)


def _cylinder(o: ObjectAttributes) -> float:
    upright = _standing(o) * _round(o) * above(o.neck, 0.6, 0.85) * below(o.hollow, 0.25, 0.5)
    upright *= below(o.height / o.width, 2.6, 3.6)
    upright *= 0.3 + 0.7 * above(o.ball, 0.05, 0.12)
    lying = above(_slender(o), 1.3, 1.8) * above(o.height / o.width, 0.6, 0.85)
    lying *= below(o.height / o.width, 1.3, 1.6) * below(o.flat_top, 0.35, 0.65) * 0.7
    return max(upright, lying)


def _bottle(o: ObjectAttributes) -> float:
    upright = above(o.height / o.length, 1.3, 2.0) * below(o.neck, 0.6, 0.85)
    lying = above(_slender(o), 1.7, 2.4) * below(o.flat_top, 0.3, 0.6) * 0.5
    lying *= above(o.height, 0.025, 0.04)
    return max(upright * below(o.hollow, 0.8, 0.95), lying)


def _mug(o: ObjectAttributes) -> float:
    body = min(o.length, o.width * 1.15)
    tall = above(o.height / body, 0.45, 0.75) * below(o.height / body, 1.7, 2.3)
    size = below(o.width, 0.12, 0.16)
    return (
        tall
        * size
        * above(o.hollow, 0.1, 0.3)
        * above(o.neck, 0.6, 0.85)
        * (0.75 + 0.25 * above(o.handle, 0.15, 0.4))
    )


def _bowl(o: ObjectAttributes) -> float:
    low = above(o.height / o.length, 0.13, 0.24) * below(o.height / o.length, 0.6, 0.85)
    round_ = above(o.width / o.length, 0.45, 0.75) * (0.2 + 0.8 * below(o.fullness, 0.86, 0.95))
    return low * round_ * above(o.hollow, 0.2, 0.45) * above(o.height, 0.018, 0.03)


def _plate(o: ObjectAttributes) -> float:
    low = below(o.height / o.length, 0.14, 0.24) * below(o.height, 0.03, 0.045)
    round_ = above(o.width / o.length, 0.45, 0.75) * (0.3 + 0.7 * below(o.fullness, 0.88, 0.97))
    return low * round_ * above(o.length, 0.06, 0.10)


def _tray(o: ObjectAttributes) -> float:
    low = below(o.height / o.length, 0.5, 0.8) * above(o.length, 0.09, 0.14)
    boxy = above(o.fullness, 0.78, 0.9) * above(o.width / o.length, 0.3, 0.5)
    deep = above(o.hollow, 0.2, 0.45)
    return low * boxy * max(deep, 0.6 * below(o.height / o.length, 0.12, 0.2))


def _elongated(o: ObjectAttributes) -> float:
    """Lying tools: torches, pens, whisks, spoons."""
    lying = below(o.height / o.length, 0.35, 0.6)
    return lying * above(o.length / o.width, 1.7, 2.6)


def _torch(o: ObjectAttributes) -> float:
    stout = below(o.length / o.width, 6.0, 9.0) * below(o.length, 0.22, 0.32)
    return _elongated(o) * stout * above(o.fill, 0.5, 0.7)


def _stick(o: ObjectAttributes) -> float:
    return _elongated(o) * above(o.length / o.width, 3.0, 5.0) * below(o.width, 0.03, 0.05)


def _tool(o: ObjectAttributes) -> float:
    """Long kitchen and hand tools; long ones fit better."""
    return _elongated(o) * (0.35 + 0.65 * above(o.length, 0.1, 0.2))


def _scissors(o: ObjectAttributes) -> float:
    lying = below(o.height / o.length, 0.3, 0.5) * above(o.length / o.width, 1.2, 1.7)
    return lying * (0.4 + 0.6 * below(o.fill, 0.65, 0.85)) * above(o.length, 0.06, 0.1)


def _thing(o: ObjectAttributes) -> float:
    return 1.0


SHAPES: dict[str, Callable[[ObjectAttributes], float]] = {
    'cube': _cube,
    'block': _block,
    'box': _box,
    'ball': _sphere,
    'cylinder': _cylinder,
    'bottle': _bottle,
    'mug': _mug,
    'bowl': _bowl,
    'plate': _plate,
    'tray': _tray,
    'flashlight': _torch,
    'stick': _stick,
    'tool': _tool,
    'scissors': _scissors,
    'thing': _thing,
}
NAMED = ('cube', 'box', 'ball', 'cylinder', 'bottle', 'mug', 'bowl', 'plate', 'tray', 'tool')


def best_name(o: ObjectAttributes) -> str:
    """Return the kind that fits best, or 'thing' where none does."""
    scores = {name: SHAPES[name](o) for name in NAMED}
    name = max(scores, key=lambda key: scores[key])
    return name if scores[name] > 0.3 else 'thing'
