# SPDX-License-Identifier: Apache-2.0
"""Planners that turn an object flow into robot motion, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flow_manip_core.config import from_mapping
from flow_manip_core.errors import ConfigurationError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Plan
from flow_manip_core.registry import Registry
from flow_manip_core.robot import Context
from flow_manip_planning.cancelling import never_cancelled
from flow_manip_planning.grasp import GraspProposer
from flow_manip_planning.motion_planner import create_motion_planner


def ignore_stage(text: str, progress: float) -> None:
    """Take a stage report and do nothing with it."""


class FlowPlanner(Protocol):
    """Plans a grasp and joint motion with which the object follows its flow."""

    def plan(
        self,
        observation: Observation,
        mask: Mask,
        flow: ObjectFlow,
        *,
        seed: int = 0,
        on_stage: Callable[[str, float], None] = ignore_stage,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> Plan:
        """Return a plan that is reachable, free of collision and within the joints' limits.

        Raises:
            NoGraspError, UnreachableError, InCollisionError, NoPathError, LimitsError,
            DegenerateFlowError: as named.
            CancelledError: `cancelled` said so.
        """


FLOW_PLANNERS: Registry[FlowPlanner] = Registry(
    'flow_planner',
    {
        'annealing': 'flow_manip_planning.flow_planner.annealing:AnnealingPlanner',
        'point_tracking': 'flow_manip_planning.flow_planner.point_tracking:PointTrackingPlanner',
        'rigid_path': 'flow_manip_planning.flow_planner.rigid_path:RigidPathPlanner',
        'rigid_replay': 'flow_manip_planning.flow_planner.rigid_replay:RigidReplayPlanner',
    },
)


def create_flow_planner(
    parameters: Mapping[str, Any], context: Context, grasp_proposer: GraspProposer
) -> FlowPlanner:
    """Build the planner that ``parameters['backend']`` names.

    The one table whose backends take other backends: the grasp proposer, and the motion planner
    that the block ``parameters['motion_planner']`` describes (the default one without it).

    Raises:
        BackendError: it is unknown or cannot be imported.
        ConfigurationError: a parameter is unknown, missing or of the wrong type.
    """
    name = parameters.get('backend')
    if not isinstance(name, str):
        raise ConfigurationError("flow_planner: parameter 'backend' is missing")
    cls = FLOW_PLANNERS.load(name)
    values, where = parameters.get(name, {}), f'flow_planner.{name}'
    config = from_mapping(cls.Config, values, where)  # type: ignore[attr-defined]
    motion_planner = create_motion_planner(parameters.get('motion_planner'), context)
    return cls(config, context, grasp_proposer, motion_planner)  # type: ignore[call-arg]
