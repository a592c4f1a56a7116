# SPDX-License-Identifier: Apache-2.0
"""Grasp proposers by name."""

from __future__ import annotations

from typing import Protocol

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
        cancelled: Cancelled = never_cancelled,
    ) -> list[Grasp]:
        """Return grasps in the world frame, best first; `max_grasps` 0: the backend's default.

        Raises:
            NoGraspError: none was found; the message counts why candidates were dropped.
            CancelledError: `cancelled` said so.
        """


GRASP_PROPOSERS: Registry[GraspProposer] = Registry(
    'grasp', {'antipodal': 'flow_manip_planning.grasp.antipodal:AntipodalGrasps'}
)
