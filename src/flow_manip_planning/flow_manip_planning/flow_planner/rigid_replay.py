# SPDX-License-Identifier: Apache-2.0
"""Two baselines: the rigid transforms of the flow, replayed by the hand.

After RIGVid (Patel et al. 2025, arXiv 2507.00990), as Dream2Flow compares itself with it: one
least-squares fit per step against the first frame, applied to the pose of the grasp, inverse
kinematics pose by pose. After AVDC (Ko et al. 2023, arXiv 2310.08576) with `adjacent`: each step
is fitted against the one before and the transforms are multiplied, so that errors add up. No
outliers are rejected, nothing is smoothed or optimised, the grasp is the best one that works at
the start, and what the hand or the object meets on the way is not looked at. Approach and retreat
are planned as by every planner here, so that the difference is the flow's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline

from flow_manip_core.errors import UnreachableError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Plan, PlanSegment, Trajectory
from flow_manip_core.rigid import fit_flow_transforms
from flow_manip_core.robot import Context
from flow_manip_core.transforms import make_transform, transform_points
from flow_manip_planning.cancelling import Cancelled, never_cancelled
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.flow_planner import ignore_stage
from flow_manip_planning.grasp import GraspProposer
from flow_manip_planning.grasp.completion import complete_object
from flow_manip_planning.grasp.hand import opening_of
from flow_manip_planning.grasp.start_tested import first_start, LINE_STEP, Start
from flow_manip_planning.inverse_kinematics import follow_poses
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner import create_motion_planner, MotionPlanner
from flow_manip_planning.motion_planner.rounding import round_corners
from flow_manip_planning.object_path import ObjectPath, resample_path, rests_at_end
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import perceive, Surroundings
from flow_manip_planning.timing import time_path


@dataclass(frozen=True)
class RigidReplayConfig:
    """Parameters; those that `rigid_path` has too mean the same."""

    adjacent: bool = _doc(False, 'Fit each step to the one before instead of to the first')
    max_grasps: int = _doc(64, 'How many proposals to ask for')
    approach_distance: float = _doc(0.1, 'Straight way from pre-grasp to grasp [m]')
    retreat_distance: float = _doc(0.1, 'Straight way back after the release [m]')
    step_translation: float = _doc(0.012, 'Largest step of the hand along the flow [m]')
    step_rotation: float = _doc(0.06, 'Largest turn of the hand per step [rad]')
    velocity_scale: float = _doc(0.8, "Share of the robot's velocity limits")
    acceleration_scale: float = _doc(0.6, "Share of the robot's acceleration limits")
    contact_speed_scale: float = _doc(0.4, 'Further factor while approaching and retreating')
    release_height: float = _doc(
        0.04, 'Open at the end if the object is this low over a surface [m]'
    )
    squeeze: float = _doc(0.02, "Close this much beyond the object's width [m]")
    grip_effort: float = _doc(50.0, 'Closing force [N]')


@dataclass(frozen=True)
class _Scene:
    """What one call of `plan` works in."""

    surroundings: Surroundings
    world: CollisionWorld
    points: Array
    path: ObjectPath
    now: Array
    seed: int
    cancelled: Cancelled


class RigidReplayPlanner:
    """The `rigid_replay` backend."""

    Config = RigidReplayConfig

    def __init__(
        self,
        config: RigidReplayConfig,
        context: Context,
        grasp_proposer: GraspProposer,
        motion_planner: MotionPlanner | None = None,
    ) -> None:
        """Load the robot."""
        self._config, self._context, self._proposer = config, context, grasp_proposer
        self._motion_planner = motion_planner or create_motion_planner(None, context)
        self._robot = RobotModel.from_context(context)

    def plan(
        self,
        observation: Observation,
        mask: Mask,
        flow: ObjectFlow,
        *,
        seed: int = 0,
        on_stage: Callable[[str, float], None] = ignore_stage,
        cancelled: Cancelled = never_cancelled,
    ) -> Plan:
        """Return a plan; see `FlowPlanner`."""
        on_stage('proposing grasps', 0.0)
        scene = self._scene(observation, mask, flow, seed, cancelled)
        grasps = self._proposer.propose(
            observation,
            mask,
            max_grasps=self._config.max_grasps,
            contact=flow.contact,
            seed=seed,
            cancelled=cancelled,
        )
        on_stage('solving inverse kinematics', 0.4)
        start = first_start(
            self._robot,
            scene.world,
            grasps,
            scene.now,
            distance=self._config.approach_distance,
            seed=seed,
            cancelled=cancelled,
        )
        segments = self._segments(scene, start)
        on_stage('timing', 1.0)
        return Plan(
            robot=self._context.robot.name,
            grasp=start.grasp,
            segments=tuple(segments),
            object_poses=scene.path.poses,
            times=scene.path.times,
            frame_id=observation.frame_id,
            object=flow.object or mask.label,
            stamp=observation.stamp,
            considered=tuple(grasps),
        )

    def _scene(
        self,
        observation: Observation,
        mask: Mask,
        flow: ObjectFlow,
        seed: int,
        cancelled: Cancelled,
    ) -> _Scene:
        """Fit the flow and read the scene."""
        poses = (
            adjacent_transforms(flow) if self._config.adjacent else fit_flow_transforms(flow)[0]
        )
        surroundings = perceive(observation, mask, self._context, self._robot)
        return _Scene(
            surroundings=surroundings,
            world=CollisionWorld(self._robot, surroundings),
            points=complete_object(observation, mask, surroundings).points,
            path=ObjectPath(flow.times - flow.times[0], poses),
            now=self._robot.arm_positions(observation.joint_positions),
            seed=seed,
            cancelled=cancelled,
        )

    def _segments(self, scene: _Scene, start: Start) -> list[PlanSegment]:
        """Go there, close, replay, and let go where the object ends low over something."""
        config, gripper = self._config, self._context.robot.gripper
        opening = opening_of(start.grasp, gripper)
        follow, times = self._replay(scene, start)
        scene.world.set_object(scene.points)
        transfer = self._free(scene, scene.now, start.approach[0], opening)
        segments = [
            PlanSegment('open', gripper_width=opening, gripper_effort=config.grip_effort),
            PlanSegment('transfer', transfer),
            PlanSegment('approach', self._slow(start.approach)),
            PlanSegment(
                'grasp',
                gripper_width=max(start.grasp.width - config.squeeze, 0.0),
                gripper_effort=min(config.grip_effort, gripper.max_effort),
                expect_object=True,
            ),
            PlanSegment('follow', self._timed(CubicSpline(times, follow), 1.0, 1.0), holding=True),
        ]
        if not rests_at_end(scene.path, scene.points, scene.surroundings, config.release_height):
            return segments
        retreat = self._retreat(follow[-1])
        scene.world.set_object(transform_points(scene.path.poses[-1], scene.points))
        home = self._free(scene, retreat[-1], self._robot.home, opening)
        return [
            *segments,
            PlanSegment('release', gripper_width=opening, gripper_effort=config.grip_effort),
            PlanSegment('retreat', self._slow(retreat)),
            PlanSegment('home', home),
        ]

    def _replay(self, scene: _Scene, start: Start) -> tuple[Array, Array]:
        """Return (K, J) joints along the flow and (K,) their times [s].

        Raises:
            UnreachableError: inverse kinematics has no answer for a step.
        """
        config, grasp = self._config, start.grasp.T_world_tcp
        dense = resample_path(
            scene.path, grasp[:3, 3], config.step_translation, config.step_rotation
        )
        first = start.approach[-1:]
        q, met = follow_poses(
            self._robot.chain, (dense.poses @ grasp)[None, 1:], first, first, 20, scene.cancelled
        )
        if not met.all():
            lost = int(np.argmin(met[0])) + 1
            raise UnreachableError(
                f'step {lost} of {len(dense.times)} of the replayed flow, at '
                f'{dense.times[lost]:.2f} s, is out of reach'
            )
        return np.concatenate([first, q[0]]), dense.times

    def _retreat(self, q: Array) -> Array:
        """Return (R, J) joints straight back from where the hand lets go.

        Raises:
            UnreachableError: it is out of reach.
        """
        distance = self._config.retreat_distance
        count = int(np.ceil(distance / LINE_STEP))
        back = [make_transform([0, 0, -d]) for d in np.linspace(0, distance, count + 1)[1:]]
        hands = self._robot.chain.tip(q) @ np.array(back)
        line, met = follow_poses(self._robot.chain, hands[None], q[None], q[None])
        if not met.all():
            raise UnreachableError(f'{int((~met).sum())} of {count} steps back are out of reach')
        return np.concatenate([q[None], line[0]])

    def _free(self, scene: _Scene, start: Array, goal: Array, width: float) -> Trajectory:
        corners = self._motion_planner.plan(
            start, goal, scene.world, width=width, seed=scene.seed, cancelled=scene.cancelled
        )
        return self._timed(round_corners(corners, scene.world, width), 1.0, None)

    def _slow(self, path: Array) -> Trajectory:
        spline = CubicSpline(np.arange(len(path), dtype=float), path)
        return self._timed(spline, self._config.contact_speed_scale, None)

    def _timed(self, spline: CubicSpline, factor: float, max_speed: float | None) -> Trajectory:
        config = self._config
        return time_path(
            spline,
            self._context.robot.joint_names,
            factor * config.velocity_scale * self._robot.max_velocity,
            factor * config.acceleration_scale * self._robot.max_acceleration,
            max_speed=max_speed,
        )


def adjacent_transforms(flow: ObjectFlow) -> Array:
    """Return (T, 4, 4) T_world_start as the product of the fits between neighbouring steps.

    Raises:
        DegenerateFlowError: a step has too few visible points.
    """
    poses = [np.eye(4)]
    for step in range(1, flow.num_steps):
        pair = slice(step - 1, step + 1)
        neighbours = replace(
            flow,
            points=flow.points[pair],
            confidence=flow.confidence[pair],
            times=flow.times[pair],
        )
        poses.append(fit_flow_transforms(neighbours)[0][1] @ poses[-1])
    return np.array(poses)
