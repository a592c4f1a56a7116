# SPDX-License-Identifier: Apache-2.0
"""What an object is made of, in numbers, independent of the simulator."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, ...]


@dataclass(frozen=True)
class Part:
    """One convex primitive of an object, in the object's frame.

    Attributes:
        kind: 'box' (half extents), 'cylinder' or 'capsule' (radius, half length), 'sphere'
            (radius).
        size: as `kind` says [m].
        position: of the centre [m].
        rotation: (3, 3) matrix; None is the identity.
        visible: drawn; hidden parts only collide.
        rgb: colour, 0..1; None is the object's.
    """

    kind: str
    size: Vector
    position: Vector = (0.0, 0.0, 0.0)
    rotation: NDArray[np.float64] | None = None
    visible: bool = True
    rgb: Vector | None = None


@dataclass(frozen=True)
class MeshPart:
    """A closed surface that is drawn and does not collide.

    Attributes:
        vertices: (V, 3) in the object's frame [m].
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        shade: multiplies the colour (1 is the colour itself).
        rgb: colour, 0..1; None is the object's.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    shade: float = 1.0
    rgb: Vector | None = None


@dataclass(frozen=True)
class ObjectSpec:
    """One kind of object.

    Its frame has z up through the middle of its footprint and the origin on the surface it rests
    on, so that an object stands on the table where its origin has z = 0.

    Attributes:
        name: unique, '<colour>_<noun>'.
        colour: the word for its colour.
        noun: the word for its shape.
        words: further words that fit it (size, material, other nouns).
        category: 'block', 'can', 'ball', 'bottle', 'mug', 'bowl', 'plate' or 'basket'.
        rgb: colour, 0..1.
        size: (x, y, z) extent of its bounding box [m].
        mass: [kg].
        friction: sliding friction coefficient.
        parts: what collides.
        meshes: what is drawn instead of hidden parts.
        graspable: fits between the fingers in at least one direction.
        container: other objects can lie in it.
        support: other objects can lie on it.
        inner_radius: of the opening or the flat top that receives others, 0 if it receives none
            [m].
        floor: height of the inner bottom above the origin [m].
    """

    name: str
    colour: str
    noun: str
    category: str
    rgb: tuple[float, float, float]
    size: tuple[float, float, float]
    mass: float
    parts: tuple[Part, ...]
    meshes: tuple[MeshPart, ...] = ()
    words: tuple[str, ...] = ()
    friction: float = 0.7
    graspable: bool = True
    container: bool = False
    support: bool = False
    inner_radius: float = 0.0
    floor: float = 0.0
    rolls: bool = field(default=False)

    @property
    def footprint_radius(self) -> float:
        """Radius of the circle about the origin that holds the object seen from above [m]."""
        if self.category in ('block', 'basket', 'mug'):
            return 0.5 * float(np.hypot(self.size[0], self.size[1]))
        return 0.5 * max(self.size[0], self.size[1])
