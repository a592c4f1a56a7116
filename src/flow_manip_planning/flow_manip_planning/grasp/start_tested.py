# SPDX-License-Identifier: Apache-2.0
"""The best grasp that works where the object stands now, whatever comes after.

What systems do that test grasps by inverse kinematics and collision at the start only: a baseline
that shows what the test along the flow and at its goal is worth. It leaves the planner one grasp.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flow_manip_core.backends import create_backend
from flow_manip_core.errors import UnreachableError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp
from flow_manip_core.robot import Context
from flow_manip_core.transforms import make_transform
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.grasp import GRASP_PROPOSERS
from flow_manip_planning.grasp.hand import opening_for
from flow_manip_planning.inverse_kinematics import (
    follow_poses,
    random_starts,
    solve_ik_multistart,
)
from flow_manip_planning.kinematics import Array
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import perceive

LINE_STEP = 0.01  # [m] of the straight approach
NUM_STARTS = 8


@dataclass(frozen=True)
class StartTestedConfig:
    """Parameters."""

    proposer: dict = field(  # type: ignore[type-arg]
        default_factory=lambda: {'backend': 'antipodal'},
        metadata={'doc': 'Whose grasps are tested: a grasp block as in a pipeline'},
    )
    approach_distance: float = _doc(0.1, 'Straight way from pre-grasp to grasp [m]')


@dataclass(frozen=True)
class Start:
    """A grasp that works at the start.

    Attributes:
        grasp: it.
        approach: (A, J) joints straight from pre-grasp to grasp, free of collision.
    """

    grasp: Grasp
    approach: Array


class StartTestedGrasps:
    """A grasp proposer that passes on the one grasp of another that `first_start` finds."""

    Config = StartTestedConfig

    def __init__(self, config: StartTestedConfig, context: Context) -> None:
        """Build the other proposer and load the robot."""
        parameters: dict[str, Any] = config.proposer
        self._config, self._context = config, context
        self._proposer = create_backend(GRASP_PROPOSERS, parameters, context)
        self._robot = RobotModel.from_context(context)

    def propose(
        self,
        observation: Observation,
        mask: Mask,
        *,
        max_grasps: int = 0,
        seed: int = 0,
        cancelled: Cancelled = never_cancelled,
        **hints: object,
    ) -> list[Grasp]:
        """Return one grasp; see `GraspProposer`. Hints (a contact) go to the other proposer.

        Raises:
            UnreachableError: none works at the start.
        """
        grasps = self._proposer.propose(
            observation, mask, max_grasps=max_grasps, seed=seed, cancelled=cancelled, **hints
        )
        world = CollisionWorld(
            self._robot, perceive(observation, mask, self._context, self._robot)
        )
        start = first_start(
            self._robot,
            world,
            grasps,
            self._robot.arm_positions(observation.joint_positions),
            distance=self._config.approach_distance,
            seed=seed,
            cancelled=cancelled,
        )
        return [start.grasp]


def first_start(
    robot: RobotModel,
    world: CollisionWorld,
    grasps: list[Grasp],
    now: Array,
    *,
    distance: float,
    seed: int = 0,
    cancelled: Cancelled = never_cancelled,
) -> Start:
    """Return the first grasp that the arm can come to in a straight line and hit nothing.

    Args:
        robot: with its kinematics.
        world: without the object.
        grasps: best first.
        now: (J,) where the arm is [rad].
        distance: of the straight approach [m].
        seed: of the configurations that inverse kinematics starts from.
        cancelled: polled per grasp.

    Raises:
        UnreachableError: none works; the reasons are counted.
    """
    chain = robot.chain
    more = random_starts(chain, NUM_STARTS - 2, np.random.default_rng(seed))
    seeds = np.concatenate([robot.home[None], now[None], more])
    count = int(np.ceil(distance / LINE_STEP))
    back = [make_transform([0, 0, -d]) for d in np.linspace(0, distance, count + 1)[1:]]
    reasons: Counter[str] = Counter()
    for grasp in grasps:
        stop_if(cancelled)
        q, solved = solve_ik_multistart(chain, grasp.T_world_tcp[None], seeds, robot.home)
        postures = q[0][solved[0]]
        if not len(postures):
            reasons['grasp out of reach'] += 1
            continue
        nearest = postures[[int(np.abs(postures - robot.home).max(axis=1).argmin())]]
        line, met = follow_poses(chain, (grasp.T_world_tcp @ back)[None], nearest, nearest)
        approach = np.concatenate([line[0, ::-1], nearest])
        if not met.all():
            reasons['approach out of reach'] += 1
        elif world.first_collision(approach, _opening(grasp, robot)) is not None:
            reasons['grasp in collision'] += 1
        else:
            return Start(grasp, approach)
    text = ', '.join(f'{n} {reason}' for reason, n in reasons.most_common())
    raise UnreachableError(f'none of {len(grasps)} grasps works at the start: {text}')


def _opening(grasp: Grasp, robot: RobotModel) -> float:
    return opening_for(grasp.width, robot.config.gripper)
