# SPDX-License-Identifier: Apache-2.0
"""A hand that may hold something, before it is a grasp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow_manip_core.plan import Grasp
from flow_manip_core.transforms import make_transform
from flow_manip_planning.kinematics import Array

DOWN = np.array([0.0, 0.0, -1.0])
_SAME_PLACE = 0.01  # [m]
_SAME_DIRECTION = float(np.cos(np.radians(20)))


@dataclass(frozen=True)
class Candidate:
    """A hand that closes on two facing patches; whether it is free is not known yet.

    Attributes:
        tcp: (3,) tool centre point [m].
        rotation: (3, 3) columns: side, closing and approach direction.
        width: between the patches [m].
        score: 0..1.
        opening: as in `Grasp` [m].
        part: which of `flow_manip_core.parts` it holds, '' if that is not known.
    """

    tcp: Array
    rotation: Array
    width: float
    score: float
    opening: float = 0.0
    part: str = ''

    def grasp(self, swapped: bool) -> Grasp:
        """Return it with the fingers one way or the other."""
        signs = np.array([-1.0, -1.0, 1.0]) if swapped else np.ones(3)
        pose = make_transform(self.tcp, self.rotation * signs)
        return Grasp(pose, self.width, self.score, self.opening)

    def alike(self, other: Candidate) -> bool:
        """Say whether both would be the same for a planner: 1 cm and 20 degrees apart."""
        offset = self.tcp - other.tcp
        return bool(
            offset @ offset < _SAME_PLACE**2
            and abs(self.rotation[:, 1] @ other.rotation[:, 1]) > _SAME_DIRECTION
            and self.rotation[:, 2] @ other.rotation[:, 2] > _SAME_DIRECTION
        )


def hand_rotation(closing: Array, approach: Array) -> Array:
    """Return the (3, 3) rotation of a hand from two unit directions at right angles."""
    return np.stack([np.cross(closing, approach), closing, approach], axis=1)
