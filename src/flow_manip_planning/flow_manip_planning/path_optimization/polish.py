# SPDX-License-Identifier: Apache-2.0
"""The optimiser of one robot in one scene.

NovaFlow's trajectory optimisation (limits 100, smoothness 10, collision 15, rest pose 0.1, both
ends exact, Levenberg-Marquardt) and Dream2Flow's (flow 10, smoothness 1, limits 100), as one
least-squares problem with analytic Jacobians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow_manip_planning.cancelling import Cancelled, never_cancelled
from flow_manip_planning.inverse_kinematics import solve_ik
from flow_manip_planning.kinematics import Array
from flow_manip_planning.path_optimization.bands import Bend
from flow_manip_planning.path_optimization.collision import (
    arm_bodies,
    held_bodies,
    SceneTerm,
    SelfTerm,
)
from flow_manip_planning.path_optimization.distance_field import DistanceField
from flow_manip_planning.path_optimization.point_targets import PointTargets, pose_targets
from flow_manip_planning.path_optimization.problem import Problem, Solution
from flow_manip_planning.path_optimization.terms import (
    JointsTerm,
    PointsTerm,
    SingularityTerm,
    Term,
)
from flow_manip_planning.path_optimization.weights import Weights
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import Surroundings

HELD_SPHERES = 48
HELD_RADIUS = 0.004  # [m]


@dataclass(frozen=True)
class Held:
    """An object in the hand.

    Attributes:
        grasp: (4, 4) hand pose that holds it, in the world.
        points: (N, 3) of the object, in the world when it is grasped [m].
        field: what it must keep away from: not what it touches where it stands or is put.
    """

    grasp: Array
    points: Array
    field: DistanceField


class PathOptimizer:
    """Optimises joint trajectories of one robot in one scene."""

    def __init__(
        self,
        robot: RobotModel,
        surroundings: Surroundings,
        weights: Weights | None = None,
        held: Held | None = None,
        field: DistanceField | None = None,
    ) -> None:
        """Prepare the terms.

        Args:
            robot: the arm.
            surroundings: what it must not hit.
            weights: NovaFlow's if left out.
            held: the object that it carries.
            field: of the surroundings, if it is known already.
        """
        self._robot = robot
        self._chain = robot.chain
        self._weights = w = weights or Weights()
        arm = arm_bodies(robot)
        # The base and the first link stand where they stand.
        moving = arm.only(arm.joints >= 1)
        field = field or DistanceField(surroundings)
        self._terms: list[Term] = [
            JointsTerm(self._chain.lower, self._chain.upper, robot.home, w),
            SingularityTerm(self._chain, w.singularity, w.singularity_floor),
            SceneTerm(moving, field, w.clearance, w.collision),
        ]
        bodies = None
        if held is not None:
            bodies = held_bodies(self._chain, held.grasp, held.points, HELD_RADIUS, HELD_SPHERES)
            self._terms.append(SceneTerm(bodies, held.field, w.held_clearance, w.collision))
        self._terms.append(SelfTerm(robot, bodies, w.self_clearance, w.collision))

    def problem(self, targets: PointTargets, times: Array | None = None) -> Problem:
        """Return the problem of following K steps of targets; those of the ends are not used."""
        bend = Bend.of_steps(len(targets.points), times)
        terms = [PointsTerm(targets[1:-1]), *self._terms]
        return Problem(self._chain, terms, bend, self._weights.smoothness)

    def track(
        self,
        start: Array,
        targets: PointTargets,
        *,
        times: Array | None = None,
        iterations: int = 40,
        cancelled: Cancelled = never_cancelled,
    ) -> Solution:
        """Make points that the hand carries go where they were tracked.

        Args:
            start: (K, J) first guess; `linear_path` between the ends is enough.
            targets: of K steps, in the hand's frame; weighted by confidence only.
            times: (K,) of the steps; even ones if left out.
            iterations: at most this many.
            cancelled: polled at every one.

        Returns:
            the ends as given, every step within the joint limits.

        Raises:
            CancelledError: `cancelled` said so.
        """
        problem = self.problem(targets.scaled(self._weights.points), times)
        return problem.minimise(start, iterations, cancelled=cancelled)

    def polish(self, path: Array, targets: Array, iterations: int = 20) -> Array:
        """Find the best (K, J) path whose tip is at (K, 4, 4) targets, NovaFlow's way.

        The first guess is the straight line between the ends of `path`; where that does not lead
        onto all targets, the path itself.

        Returns:
            (K, J); first and last row as given, every row within the limits and back on its
            target. The path as given where not all targets can be met.
        """
        if len(path) < 5:
            return path
        problem = self.problem(pose_targets(targets, self._weights.pose))
        for start in (linear_path(path[0], path[-1], len(path)), path):
            q = problem.minimise(start, iterations).q
            exact = solve_ik(self._chain, targets[1:-1], q[1:-1], iterations=5)
            q[1:-1] = exact.q
            if exact.solved.all():
                return q
        return path


def linear_path(start: Array, end: Array, num_steps: int) -> Array:
    """Return (K, J) even steps from (J,) start to end: NovaFlow's first guess."""
    return np.linspace(start, end, num_steps)
