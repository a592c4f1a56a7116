# SPDX-License-Identifier: Apache-2.0
"""Reading instructions: what is to be done with which object, relative to which others."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LENGTH = 500  # characters; longer than anyone would say


@dataclass(frozen=True)
class Instruction:
    """An instruction, taken apart.

    Attributes:
        text: as given, white space normalised.
        action: 'put', 'lift', 'push', 'turn_upright'.
        object: noun phrase of the object that moves, e.g. 'red cube left of the bowl'.
        relation: of a put: 'on', 'in', 'next_to', 'left_of', 'right_of', 'in_front_of', 'behind'; of a push: 'aside',
            'left', 'right', 'away', 'towards'; else ''.
        references: noun phrases of the objects that the relation refers to; empty where it needs none.
    """

    text: str
    action: str
    object: str
    relation: str = ''
    references: tuple[str, ...] = ()
