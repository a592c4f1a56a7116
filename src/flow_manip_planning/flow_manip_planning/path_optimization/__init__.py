# SPDX-License-Identifier: Apache-2.0
"""Least squares over whole joint trajectories."""

from flow_manip_planning.path_optimization.distance_field import DistanceField
from flow_manip_planning.path_optimization.point_targets import (
    PointTargets,
    pose_targets,
    reduce_points,
)
from flow_manip_planning.path_optimization.polish import Held, linear_path, PathOptimizer
from flow_manip_planning.path_optimization.problem import Problem, Solution
from flow_manip_planning.path_optimization.weights import DREAM2FLOW, NOVAFLOW, Weights

__all__ = [
    'DREAM2FLOW',
    'NOVAFLOW',
    'DistanceField',
    'Held',
    'PathOptimizer',
    'PointTargets',
    'Problem',
    'Solution',
    'Weights',
    'linear_path',
    'pose_targets',
    'reduce_points',
]
