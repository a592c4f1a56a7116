# SPDX-License-Identifier: Apache-2.0
"""Planners of free motion (approach, transfer, retreat), by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from flow_manip_core.backends import create_backend
from flow_manip_core.errors import (
    ConfigurationError,
    InCollisionError,
    LimitsError,
    NoPathError,
    StageTimeoutError,
    UnreachableError,
)
from flow_manip_core.registry import Registry
from flow_manip_core.robot import Context
from flow_manip_planning.cancelling import Cancelled, never_cancelled
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.kinematics import Array

DEFAULT_MOTION_PLANNER = 'roboplan'
# What one way may fail with while another, to another grasp, may still work.
NO_WAY = (NoPathError, LimitsError, InCollisionError, UnreachableError, StageTimeoutError)


class MotionPlanner(Protocol):
    """Finds a way from one configuration to another on which nothing is hit."""

    def plan(
        self,
        start: Array,
        goal: Array,
        world: CollisionWorld,
        *,
        width: float,
        seed: int = 0,
        cancelled: Cancelled = never_cancelled,
    ) -> Array:
        """Return the corners of a way between two (J,) configurations.

        A start that touches something may be left: the first corners then lead out of the contact
        and never deeper into it. `first_worse` of `motion_planner.escape` tells such a way from a
        bad one.

        Args:
            start: (J,) [rad].
            goal: (J,) [rad].
            world: the robot among everything that it may hit; a held object is held in it.
            width: the fingers' opening on the way [m].
            seed: same seed, same way.
            cancelled: polled while planning.

        Returns:
            (K, J), K >= 2; first and last as given, straight lines between them are free.

        Raises:
            NoPathError: no way was found, or an end touches something; with the numbers.
            UnreachableError, InCollisionError, LimitsError, StageTimeoutError: what a server of
                motion plans said, where one is asked.
            CancelledError: `cancelled` said so.
        """


MOTION_PLANNERS: Registry[MotionPlanner] = Registry(
    'motion_planner',
    {
        'roboplan': 'flow_manip_planning.motion_planner.roboplan_planner:RoboplanPlanner',
        'moveit': 'flow_manip_planning.ros.moveit_planner:MoveItPlanner',
    },
)


def create_motion_planner(parameters: Mapping[str, Any] | None, context: Context) -> MotionPlanner:
    """Build the planner that ``parameters['backend']`` names, the default where it is left out.

    Raises:
        BackendError: it is unknown or cannot be imported.
        ConfigurationError: a parameter is unknown, missing or of the wrong type.
    """
    given = {'backend': DEFAULT_MOTION_PLANNER, **(parameters or {})}
    unknown = [key for key in given if key != 'backend' and key not in MOTION_PLANNERS.paths]
    if unknown and ':' not in str(given['backend']):
        raise ConfigurationError(
            f"motion_planner: unknown key '{unknown[0]}'; known: "
            f'{["backend", *sorted(MOTION_PLANNERS.paths)]}'
        )
    return create_backend(MOTION_PLANNERS, given, context)
