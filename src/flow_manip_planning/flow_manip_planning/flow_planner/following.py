# SPDX-License-Identifier: Apache-2.0
"""What planners share that solve for the way along a flow themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from flow_manip_core.errors import DegenerateFlowError, NoPathError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_planning.collision_world import CollisionWorld, HeldObject
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.flow_planner.settings import RigidPathConfig
from flow_manip_planning.flow_to_poses import fit_motion, ObjectMotion
from flow_manip_planning.kinematics import Array, pose_errors
from flow_manip_planning.object_path import ObjectPath
from flow_manip_planning.path_optimization import DistanceField
from flow_manip_planning.path_optimization.tracked_motion import fit_tracked_motion, TrackedMotion
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import Surroundings

TOUCHED = 0.025  # [m] as `HeldObject` has it
FLOOR_GIVE = 0.005  # [m] below the lowest point at both ends
FEW = 10  # visible points from which a share of them says something


@dataclass(frozen=True)
class TrackedConfig(RigidPathConfig):
    """Parameters of planners that work on the flow's points."""

    max_end_error: float = _doc(0.001, 'Largest distance of the hand from its end [m]')
    max_end_turn: float = _doc(0.0087, 'Largest turn of the hand at its end [rad]')
    max_deviation: float = _doc(0.02, 'Largest distance of the object from its flow [m]')
    max_turn: float = _doc(0.175, 'Largest turn of the object from its flow [rad]')
    max_end_doubt: float = _doc(
        0.02, 'Largest standard deviation of where the flow ends, from hidden points [m]'
    )
    min_agreement: float = _doc(
        0.3, 'Share of the visible points that must move rigidly at the end of the flow'
    )


@dataclass(frozen=True)
class TrackedPath(ObjectPath):
    """An object's path and the points that it comes from."""

    # A default because the class above has one; `tracked_path` always gives it.
    tracked: TrackedMotion | None = None


def tracked_path(flow: ObjectFlow, config: TrackedConfig) -> TrackedPath:
    """Fit a path to a flow of which most points may be hidden.

    Raises:
        DegenerateFlowError: the end is not determined, or the points do not move rigidly.
    """
    tracked = fit_tracked_motion(flow)
    doubt, _ = tracked.end_deviation
    if doubt > config.max_end_doubt:
        raise DegenerateFlowError(
            f'the visible points leave the end of the flow open to {1000 * doubt:.0f} mm, limit '
            f'{1000 * config.max_end_doubt:.0f} mm'
        )
    visible = flow.visible.sum(axis=1)
    agreeing = tracked.weights.sum(axis=1) / np.maximum(tracked.confidence.sum(axis=1), 1e-9)
    if visible[-1] >= FEW and agreeing[-1] < config.min_agreement:
        raise DegenerateFlowError(
            f'at the end of the flow {agreeing[-1]:.0%} of {visible[-1]} visible points are '
            f'within {1000 * tracked.noise:.1f} mm of a rigid motion, '
            f'{config.min_agreement:.0%} are needed'
        )
    times = flow.times - flow.times[0]
    motion = _on_a_joint(flow, config)
    if motion is not None:
        return TrackedPath(times, motion.poses, motion.joint, tracked)
    return TrackedPath(times, tracked.poses, tracked=tracked)


def _on_a_joint(flow: ObjectFlow, config: TrackedConfig) -> ObjectMotion | None:
    """Return the motion of a part on a joint; None where it is free or too little is seen."""
    try:
        motion = fit_motion(flow, config.fit)
    except DegenerateFlowError:
        return None
    return motion if motion.joint is not None else None


def held_field(surroundings: Surroundings, shape: Array, path: ObjectPath) -> DistanceField:
    """Return what a held object must keep away from.

    What it touches where it stands or where it is put is left out, and the support may be as near
    as it is there.
    """
    ends = np.stack([shape, transform_points(path.poses[-1], shape)])
    obstacles = surroundings.obstacles
    if len(obstacles):
        near, _ = cKDTree(ends.reshape(-1, 3)).query(obstacles, distance_upper_bound=TOUCHED)
        obstacles = obstacles[~np.isfinite(near)]
    lowest = float((ends[..., 2] - surroundings.support_at(ends)).min())
    return DistanceField(
        replace(surroundings, obstacles=obstacles), floor=min(0.0, lowest) - FLOOR_GIVE
    )


@dataclass(frozen=True)
class FollowCheck:
    """Whether a joint path carries the object as its flow says, without hitting anything.

    Attributes:
        robot: the arm.
        config: how far off it may be.
        held: the object; None for a part of a fixture, which touches what guides it.
        middle: (3,) of the object at the start, in the world.
    """

    robot: RobotModel
    config: TrackedConfig
    held: HeldObject | None
    middle: Array

    def check(
        self, q: Array, grasp: Array, wanted: Array, world: CollisionWorld, width: float
    ) -> None:
        """Raise NoPathError, with the numbers, if a (K, J) path is not good.

        Args:
            q: (K, J) path.
            grasp: (4, 4) hand pose that holds the object at the start.
            wanted: (K, 4, 4) poses of the object since its start.
            world: the scene, without the object.
            width: of the fingers [m].
        """
        chain = self.robot.chain
        margin = float(chain.limit_margin(q).min())
        if margin < 0:
            raise NoPathError(f'the way along the flow is {-margin:.4f} rad outside a joint limit')
        hit = world.first_collision(q, width)
        if hit is not None:
            raise NoPathError(f'the arm collides at step {hit} of {len(q)} along the flow')
        poses = chain.forward(q)
        carried = poses.tip @ invert_transform(grasp)
        self._check_deviation(carried, wanted)
        if self.held is None:
            return
        if self.held.colliding_steps(carried).any():
            raise NoPathError('the object runs into the scene on the optimised way')
        if self.held.hits_arm(poses, carried).any():
            raise NoPathError('the object hits the arm on the optimised way')

    def _check_deviation(self, carried: Array, wanted: Array) -> None:
        at = carried[:, :3, :3] @ self.middle + carried[:, :3, 3]
        shift = np.linalg.norm(at - wanted[:, :3, :3] @ self.middle - wanted[:, :3, 3], axis=1)
        turn = np.linalg.norm(pose_errors(wanted, carried)[:, 3:], axis=1)
        worst = int(np.maximum(shift / self.config.max_deviation, turn / self.config.max_turn)
                    .argmax())  # fmt: skip
        if shift[worst] > self.config.max_deviation or turn[worst] > self.config.max_turn:
            raise NoPathError(
                f'the object is {1000 * shift[worst]:.1f} mm and {np.degrees(turn[worst]):.1f} '
                f'degrees off its flow at step {worst} of {len(shift)}'
            )

    def check_end(self, q: Array, wanted: Array) -> None:
        """Raise NoPathError if the hand at (J,) is not at its (4, 4) end."""
        error = pose_errors(wanted, self.robot.chain.tip(q))
        shift, turn = float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
        if shift > self.config.max_end_error or turn > self.config.max_end_turn:
            raise NoPathError(
                f'the flow ends {1000 * shift:.2f} mm and {np.degrees(turn):.2f} degrees off, '
                f'limits {1000 * self.config.max_end_error:.1f} mm and '
                f'{np.degrees(self.config.max_end_turn):.1f} degrees'
            )
