# SPDX-License-Identifier: Apache-2.0
"""Polishing a sampled way: the corners of a search become a smooth curve that keeps its distance.

The least-squares optimiser of whole trajectories without a path to follow: second differences,
limits, and clearance from the scene, the held object and the arm itself; both ends stay. What it
returns is a proposal: it is taken only where nothing is touched.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from flow_manip_planning.cancelling import Cancelled, never_cancelled
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner.thinning import thin
from flow_manip_planning.path_optimization.bands import Bend
from flow_manip_planning.path_optimization.collision import (
    arm_bodies,
    held_bodies,
    SceneTerm,
    SelfTerm,
)
from flow_manip_planning.path_optimization.distance_field import DistanceField
from flow_manip_planning.path_optimization.problem import Problem
from flow_manip_planning.path_optimization.terms import JointsTerm, Term
from flow_manip_planning.path_optimization.weights import NOVAFLOW, Weights

SPACING = 0.1  # [rad] between the steps of a way, its busiest joint
MIN_STEPS, MAX_STEPS = 10, 60
ITERATIONS = 20
HELD_SPHERES, HELD_RADIUS = 48, 0.004
TOLERANCE = 0.003  # [rad] that thinning may cost
# NovaFlow's, and where they cut through something thin, a stronger push away from it. Nothing
# draws free motion to a posture.
WEIGHTS = (replace(NOVAFLOW, rest=0.0), replace(NOVAFLOW, rest=0.0, collision=60.0))


def polish_corners(
    corners: Array,
    world: CollisionWorld,
    width: float,
    cancelled: Cancelled = never_cancelled,
) -> Array:
    """Return (N, J) points of a smoother way between the ends of (K, J) corners.

    The corners as given where a straight line needs no polish, and where the smoother way touches
    something.

    Raises:
        CancelledError: `cancelled` said so.
    """
    if len(corners) < 3:
        return corners
    start = spread(corners)
    bend, field = Bend.of_steps(len(start)), _field(world)
    for weights in WEIGHTS:
        terms = _terms(world, field, weights)
        problem = Problem(world.robot.chain, terms, bend, weights.smoothness)
        solution = problem.minimise(start, ITERATIONS, cancelled=cancelled)
        smooth = thin(solution.q, TOLERANCE)
        if not any(world.edge_collides(a, b, width) for a, b in pairwise(smooth)):
            return smooth
    return corners


def spread(corners: Array) -> Array:
    """Return (M, J) points at even shares of the way along (K, J) corners."""
    lengths = np.abs(np.diff(corners, axis=0)).max(axis=1)
    at = np.concatenate([[0.0], np.cumsum(lengths)])
    count = int(np.clip(np.ceil(at[-1] / SPACING) + 1, MIN_STEPS, MAX_STEPS))
    shares = np.linspace(0.0, at[-1], count)
    return np.stack([np.interp(shares, at, joint) for joint in corners.T], axis=1)


def _field(world: CollisionWorld) -> DistanceField:
    """Return distances from the obstacles and from the object that stands among them."""
    scene = world.surroundings
    if world.object_points is not None and len(world.object_points):
        obstacles = np.concatenate([scene.obstacles, world.object_points])
        scene = replace(scene, obstacles=obstacles)
    return DistanceField(scene)


def _terms(world: CollisionWorld, field: DistanceField, w: Weights) -> list[Term]:
    """Return the residuals of one world."""
    robot, arm = world.robot, arm_bodies(world.robot)
    # The base and the first link stand where they stand.
    moving = arm.only(arm.joints >= 1)
    terms: list[Term] = [
        JointsTerm(robot.chain.lower, robot.chain.upper, robot.home, w),
        SceneTerm(moving, field, w.clearance, w.collision),
    ]
    held = None
    if world.held_points is not None and len(world.held_points):
        # The points are in the hand's frame, so the hand that holds them is at the origin.
        held = held_bodies(robot.chain, np.eye(4), world.held_points, HELD_RADIUS, HELD_SPHERES)
        terms.append(SceneTerm(held, field, w.held_clearance, w.collision))
    terms.append(SelfTerm(robot, held, w.self_clearance, w.collision))
    return terms
