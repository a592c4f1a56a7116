# SPDX-License-Identifier: Apache-2.0
"""Grasp proposers by name."""

from __future__ import annotations

from typing import Protocol

from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp
from flow_manip_core.registry import Registry


class GraspProposer(Protocol):
    """Finds ways to hold the masked object with the context's gripper."""

    def propose(
        self, observation: Observation, mask: Mask, *, max_grasps: int = 0, seed: int = 0
    ) -> list[Grasp]:
        """Return grasps in the world frame, best first; `max_grasps` 0 means the backend's default.

        Raises:
            NoGraspError: none was found; the message counts why candidates were dropped.
        """


GRASP_PROPOSERS: Registry[GraspProposer] = Registry(
    'grasp', {'antipodal': 'flow_manip_planning.grasp.antipodal:AntipodalGrasps'}
)
