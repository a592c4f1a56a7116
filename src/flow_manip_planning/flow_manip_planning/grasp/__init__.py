# SPDX-License-Identifier: Apache-2.0
"""Grasp proposers by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp
from flow_manip_core.registry import Registry
from flow_manip_planning.cancelling import Cancelled, never_cancelled


class GraspProposer(Protocol):
    """Finds ways to hold the masked object with the context's gripper."""

    def propose(
        self,
        observation: Observation,
        mask: Mask,
        *,
        max_grasps: int = 0,
        seed: int = 0,
        contact: NDArray[np.float64] | None = None,
        part: str = '',
        cancelled: Cancelled = never_cancelled,
    ) -> list[Grasp]:
        """Return grasps in the world frame, best first.

        Args:
            observation: what the camera saw.
            mask: the object, or the part of a fixture that moves.
            max_grasps: how many at most; 0: the backend's default.
            seed: of everything that is drawn at random.
            contact: (3,) in the world, where the object should be touched [m]: grasps within 2 cm
                come first, then the nearest (`choice.by_contact`).
            part: what it is to be held by, one of `flow_manip_core.parts.PARTS`' values; others
                are dropped. '' leaves it open.
            cancelled: polled.

        Raises:
            NoGraspError: none was found, or the object shows no such part; the message counts why
                candidates were dropped.
            InvalidInputError: the contact is no finite point.
            CancelledError: `cancelled` said so.
        """


GRASP_PROPOSERS: Registry[GraspProposer] = Registry(
    'grasp',
    {
        'antipodal': 'flow_manip_planning.grasp.antipodal:AntipodalGrasps',
        'remote': 'flow_manip_planning.grasp.remote:RemoteGrasps',
    },
)
