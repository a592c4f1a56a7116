# SPDX-License-Identifier: Apache-2.0
"""Joint-space least squares on the flow's points themselves (Dream2Flow).

No pose is fitted per step: the points that the hand carries are to be where they were tracked,
weighted by how well they are seen. Steps with few points, or none, are bridged by smoothness, so
that most of the points may be hidden most of the time. Grasps are tested as by `rigid_path`, on a
motion that is fitted to all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flow_manip_core.errors import NoPathError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.plan import Trajectory
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_planning.arm_paths import ArmPath
from flow_manip_planning.collision_world import CollisionWorld, HeldObject
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.flow_planner.following import (
    FollowCheck,
    held_field,
    tracked_path,
    TrackedConfig,
    TrackedPath,
)
from flow_manip_planning.flow_planner.rigid_path import _Task, FLOW, RigidPathPlanner
from flow_manip_planning.kinematics import Array
from flow_manip_planning.object_path import ObjectPath
from flow_manip_planning.path_optimization import (
    DistanceField,
    DREAM2FLOW,
    Held,
    PathOptimizer,
    PointTargets,
    reduce_points,
)

MAX_GAIN = 10.0  # largest weight of a point that stands for hidden ones
EXACT = 0.001  # [m] noise from which points count less
STIFFER = 10.0  # factor of the collision weight for the second try


@dataclass(frozen=True)
class PointTrackingConfig(TrackedConfig):
    """Parameters; the weights are Dream2Flow's, collision and rest NovaFlow's."""

    flow_weight: float = _doc(DREAM2FLOW.points, 'Of a point, per metre')
    smoothness_weight: float = _doc(DREAM2FLOW.smoothness, 'Of second differences, per radian')
    limits_weight: float = _doc(DREAM2FLOW.limits, 'Of room at the joint limits, per radian')
    manipulability_weight: float = _doc(DREAM2FLOW.singularity, 'Of 1 / manipulability')
    min_manipulability: float = _doc(0.02, 'Above this it costs nothing')
    collision_weight: float = _doc(DREAM2FLOW.collision, 'Of coming too close, per metre')
    rest_weight: float = _doc(DREAM2FLOW.rest, 'Of the distance from home, per radian')
    clearance: float = _doc(0.03, 'Of the arm from the scene [m]')
    iterations: int = _doc(40, 'Of the optimiser')


class PointTrackingPlanner(RigidPathPlanner):
    """The `point_tracking` backend."""

    Config = PointTrackingConfig
    _config: PointTrackingConfig

    def _object_path(self, flow: ObjectFlow) -> ObjectPath:
        """Fit all steps and the points' places at once."""
        return tracked_path(flow, self._config)

    def _follow(self, world: CollisionWorld, task: _Task, way: ArmPath) -> Trajectory:
        """Optimise the way along the flow, and check it.

        Raises:
            NoPathError: it collides, leaves the flow or misses the end; the message has the
                numbers.
            LimitsError: it cannot be timed.
        """
        world.set_object(None)
        check = FollowCheck(
            self._robot,
            self._config,
            None if task.guided else HeldObject(self._robot, task.surroundings, task.shape.points),
            task.shape.center,
        )
        grasp, field = way.grasp.T_world_tcp, DistanceField(task.surroundings)
        held = None
        if not task.guided:
            around = held_field(task.surroundings, task.shape.points, task.path)
            held = Held(grasp, task.shape.points, around)
        try:
            q = self._solve(task, way, field, held, 1.0)
            check.check(q, grasp, task.dense.poses, world, way.grasp.width)
        except NoPathError:
            q = self._solve(task, way, field, held, STIFFER)
            check.check(q, grasp, task.dense.poses, world, way.grasp.width)
        trajectory = self._timed(q, FLOW, task.dense.times)
        check.check_end(trajectory.positions[-1], task.path.poses[-1] @ grasp)
        margin = float(self._robot.chain.limit_margin(trajectory.positions).min())
        if margin < 0:
            raise NoPathError(f'between two steps a joint is {-margin:.4f} rad over its limit')
        return trajectory

    def _solve(
        self, task: _Task, way: ArmPath, field: DistanceField, held: Held | None, stiffness: float
    ) -> Array:
        """Return (K, J) joints; the ends are those that the grasp was tested with."""
        config = self._config
        weights = replace(
            DREAM2FLOW,
            points=config.flow_weight,
            smoothness=config.smoothness_weight,
            limits=config.limits_weight,
            singularity=config.manipulability_weight,
            singularity_floor=config.min_manipulability,
            collision=stiffness * config.collision_weight,
            rest=config.rest_weight,
            clearance=config.clearance,
        )
        optimizer = PathOptimizer(self._robot, task.surroundings, weights, held, field)
        if len(way.follow) < 3:
            return way.follow
        targets = point_targets(task.path, task.flow, task.dense.times, way.grasp.T_world_tcp)
        return optimizer.track(
            way.follow,
            targets,
            times=task.dense.times,
            iterations=config.iterations,
            cancelled=task.cancelled,
        ).q


def point_targets(path: ObjectPath, flow: ObjectFlow, times: Array, grasp: Array) -> PointTargets:
    """Return where the points are to be at (K,) times, in the frame of a (4, 4) grasp.

    Points have weight at the flow's own steps only. At each step those that are visible stand for
    all (the weight of Dream2Flow's code, total over valid), at most tenfold. Where the points
    are noisy they all count less, so that smoothness evens out what is not motion.
    """
    assert isinstance(path, TrackedPath)
    assert path.tracked is not None
    tracked = path.tracked
    seen = tracked.weights.sum(axis=1, keepdims=True)
    gain = np.minimum(len(tracked.points) / np.maximum(seen, 1e-9), MAX_GAIN)
    weights = np.zeros((len(times), len(tracked.points)))
    targets = np.zeros((*weights.shape, 3))
    at = np.abs(times[:, None] - path.times).argmin(axis=0)
    weights[at] = tracked.weights * gain / (1.0 + (tracked.noise / EXACT) ** 2)
    targets[at] = np.nan_to_num(flow.points[:, tracked.names].astype(np.float64))
    return reduce_points(
        transform_points(invert_transform(grasp), tracked.points), targets, weights
    )
