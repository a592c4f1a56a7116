# SPDX-License-Identifier: Apache-2.0
"""Rigid objects: the hand holds the object and carries it along the fitted motion of its flow.

Every grasp is tested before anything moves: inverse kinematics and collision at pre-grasp, at the
grasp, along the whole flow and on the way back. The best that passes gets free motion from and to
home, a polished joint path (NovaFlow) and timing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from flow_manip_core.errors import (
    FlowManipError,
    InCollisionError,
    UnreachableError,
)
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.parts import part_of
from flow_manip_core.plan import Grasp, Plan, PlanSegment, Trajectory
from flow_manip_core.robot import Context
from flow_manip_core.transforms import transform_points
from flow_manip_planning.arm_paths import arm_paths, ArmPath, Pivot, Request
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.collision_world import CollisionWorld, HeldObject
from flow_manip_planning.flow_planner import ignore_stage
from flow_manip_planning.flow_planner.settings import RigidPathConfig
from flow_manip_planning.flow_to_poses import fit_motion
from flow_manip_planning.flow_to_poses.motion import REVOLUTE
from flow_manip_planning.grasp import GraspProposer
from flow_manip_planning.grasp.completion import complete_object, ObjectShape
from flow_manip_planning.grasp.hand import opening_of
from flow_manip_planning.guided import is_guided, seen_shape, without_swept
from flow_manip_planning.inverse_kinematics import random_starts
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner import create_motion_planner, MotionPlanner, NO_WAY
from flow_manip_planning.motion_planner.rounding import round_corners
from flow_manip_planning.object_path import (
    ObjectPath,
    resample_path,
    rests_at_end,
)
from flow_manip_planning.path_optimization import PathOptimizer
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import perceive, Surroundings
from flow_manip_planning.timing import time_path

GRASPS_PER_BATCH = 24
BAR_REACH = 0.03  # [m] around the tool centre point: the bar that a hand turns on
PIVOT_CHECKS = 10  # steps at which such a hand is tested against its part
FREE, CONTACT, FLOW = 'free', 'contact', 'flow'


@dataclass(frozen=True)
class _Task:
    """What one call of `plan` works on."""

    surroundings: Surroundings
    shape: ObjectShape
    flow: ObjectFlow
    path: ObjectPath
    dense: ObjectPath
    guided: bool
    releases: bool
    start: Array
    seed: int
    cancelled: Cancelled


class RigidPathPlanner:
    """The `rigid_path` backend."""

    Config = RigidPathConfig

    def __init__(
        self,
        config: RigidPathConfig,
        context: Context,
        grasp_proposer: GraspProposer,
        motion_planner: MotionPlanner | None = None,
    ) -> None:
        """Load the robot; free motion is the default planner's if none is given."""
        self._config = config
        self._motion_planner = motion_planner or create_motion_planner(None, context)
        self._context = context
        self._proposer = grasp_proposer
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
        path = self._object_path(flow)
        grasps = self._proposer.propose(
            observation,
            mask,
            max_grasps=self._config.max_grasps,
            seed=seed,
            contact=flow.contact,
            part=part_of(mask.label) or part_of(flow.object),
            cancelled=cancelled,
        )
        stop_if(cancelled)
        task = self._task(observation, mask, flow, path, seed, cancelled)
        self._check_object_path(task)
        rejections: Counter[str] = Counter()
        chosen, segments = self._first_that_works(task, grasps, rejections, on_stage)
        on_stage('timing', 1.0)
        return Plan(
            robot=self._context.robot.name,
            grasp=chosen.grasp,
            segments=tuple(segments),
            object_poses=path.poses,
            times=path.times,
            frame_id=observation.frame_id,
            object=flow.object or mask.label,
            stamp=observation.stamp,
            rejections=dict(rejections),
            considered=tuple(grasps),
        )

    def _object_path(self, flow: ObjectFlow) -> ObjectPath:
        """Fit the motion that grasps are tested on; backends may know a better fit."""
        return ObjectPath.of(fit_motion(flow, self._config.fit))

    def _task(
        self,
        observation: Observation,
        mask: Mask,
        flow: ObjectFlow,
        path: ObjectPath,
        seed: int,
        cancelled: Cancelled,
    ) -> _Task:
        """Read the scene and refine the object's path."""
        config = self._config
        surroundings = perceive(observation, mask, self._context, self._robot)
        stop_if(cancelled)
        shape = complete_object(observation, mask, surroundings)
        stop_if(cancelled)
        seen = shape.points[shape.seen]
        guided = path.joint is not None and is_guided(path.joint, seen, surroundings)
        if guided:
            shape = seen_shape(shape)
        dense = resample_path(path, shape.center, config.step_translation, config.step_rotation)
        if guided:
            surroundings = without_swept(surroundings, shape.points, dense.poses)
        releases = guided or rests_at_end(path, shape.points, surroundings, config.release_height)
        return _Task(
            surroundings=surroundings,
            shape=shape,
            flow=flow,
            path=path,
            dense=dense,
            guided=guided,
            releases=releases,
            start=self._robot.arm_positions(observation.joint_positions),
            seed=seed,
            cancelled=cancelled,
        )

    def _check_object_path(self, task: _Task) -> None:
        """Raise InCollisionError if the object cannot go along its flow, however it is held.

        A part of a fixture touches what guides it, all the way.
        """
        if task.guided:
            return
        held = HeldObject(self._robot, task.surroundings, task.shape.points)
        hits = held.colliding_steps(task.dense.poses)
        if hits.any():
            first = int(hits.argmax())
            raise InCollisionError(
                f'the object runs into the scene at {task.dense.times[first]:.2f} s of its flow '
                f'({int(hits.sum())} of {len(hits)} steps)'
            )

    def _first_that_works(
        self,
        task: _Task,
        grasps: Sequence[Grasp],
        rejections: Counter[str],
        on_stage: Callable[[str, float], None],
    ) -> tuple[ArmPath, list[PlanSegment]]:
        """Go through the grasps, best first, until one passes everything."""
        world = CollisionWorld(self._robot, task.surroundings)
        held = HeldObject(self._robot, task.surroundings, task.shape.points)
        request = self._request(task)
        last_error: FlowManipError | None = None
        tries = 0
        for first in range(0, len(grasps), GRASPS_PER_BATCH):
            stop_if(task.cancelled)
            on_stage('solving inverse kinematics', 0.45 + 0.4 * first / len(grasps))
            batch = grasps[first : first + GRASPS_PER_BATCH]
            used: set[int] = set()
            for way in arm_paths(self._robot.chain, batch, request, rejections):
                stop_if(task.cancelled)
                reason = self._collision(world, held, task, way)
                if reason is not None:
                    if id(way.grasp) not in used:
                        rejections[reason] += 1
                    used.add(id(way.grasp))
                    continue
                try:
                    on_stage('planning motion', 0.85)
                    return way, self._segments(world, task, way, on_stage)
                except NO_WAY as error:
                    rejections[error.name.lower().replace('_', ' ')] += 1
                    last_error, tries = error, tries + 1
                    if tries >= self._config.max_tries:
                        break
            if tries >= self._config.max_tries:
                break
        raise self._failure(len(grasps), rejections, last_error)

    def _request(self, task: _Task) -> Request:
        """Say what an arm path must do."""
        config = self._config
        rng = np.random.default_rng(task.seed)
        chain = self._robot.chain
        seeds = np.concatenate(
            [
                self._robot.home[None],
                task.start[None],
                random_starts(chain, max(config.num_starts - 2, 0), rng),
            ]
        )
        return Request(
            object_path=task.dense.poses,
            approach_distance=config.approach_distance,
            retreat_distance=_retreat_distance(task, config),
            limit_margin=config.joint_limit_margin,
            seeds=seeds,
            home=self._robot.home,
            workspace=self._context.rig.workspace,
            cancelled=task.cancelled,
            pivot=_pivot(task),
        )

    def _collision(
        self, world: CollisionWorld, held: HeldObject, task: _Task, way: ArmPath
    ) -> str | None:
        """Say what of a way collides, None if nothing does."""
        gripper = self._context.robot.gripper
        opening = opening_of(way.grasp, gripper)
        world.set_object(None)
        for name, path, width in (
            ('grasp in collision', way.approach[::-1], opening),
            ('flow in collision', way.follow, way.grasp.width),
            ('retreat in collision', way.retreat, opening),
        ):
            if world.first_collision(path, width) is not None:
                return name
        poses = self._robot.chain.forward(way.follow)
        if held.hits_arm(poses, task.dense.poses).any():
            return 'object hits the arm'
        if way.pivots and self._pivot_hits(world, task, way):
            return 'hand hits the part it turns on'
        return None

    def _pivot_hits(self, world: CollisionWorld, task: _Task, way: ArmPath) -> bool:
        """Say whether a hand that turns less than its part runs into it, apart from the bar."""
        bar = np.linalg.norm(task.shape.points - way.hand[0, :3, 3], axis=1) < BAR_REACH
        part, last = task.shape.points[~bar], len(way.follow) - 1
        checked = np.unique(np.linspace(0, last, PIVOT_CHECKS + 1).astype(int)[1:])
        try:
            for step in checked:
                stop_if(task.cancelled)
                world.set_object(transform_points(task.dense.poses[step], part))
                if world.collides(way.follow[step], way.grasp.width):
                    return True
            opening = opening_of(way.grasp, self._context.robot.gripper)
            return world.first_collision(way.retreat, opening) is not None
        finally:
            world.set_object(None)

    def _segments(
        self,
        world: CollisionWorld,
        task: _Task,
        way: ArmPath,
        on_stage: Callable[[str, float], None],
    ) -> list[PlanSegment]:
        """Plan free motion, polish, and put times on everything.

        Raises:
            NoPathError: free motion was not found.
            LimitsError: a part cannot be timed.
        """
        gripper, config = self._context.robot.gripper, self._config
        opening = opening_of(way.grasp, gripper)
        world.set_object(task.shape.points)
        transfer = self._free_motion(world, task, task.start, way.approach[0], opening)
        on_stage('timing', 0.92)
        segments = [
            PlanSegment('open', gripper_width=opening, gripper_effort=config.grip_effort),
            PlanSegment('transfer', transfer),
            PlanSegment('approach', self._timed(way.approach, CONTACT)),
            PlanSegment(
                'grasp',
                gripper_width=max(way.grasp.width - config.squeeze, 0.0),
                gripper_effort=min(config.grip_effort, gripper.max_effort),
                expect_object=True,
            ),
            PlanSegment(
                'follow',
                self._along_flow(world, task, way),
                holding=True,
                # A guided part stays where its joint is, not where noise or a slanted grip has it.
                goal_tolerance=config.guided_tolerance if task.guided else 0.0,
            ),
        ]
        if not task.releases:
            return segments
        segments += [
            PlanSegment('release', gripper_width=opening, gripper_effort=config.grip_effort),
            PlanSegment('retreat', self._timed(way.retreat, CONTACT)),
        ]
        if config.go_home:
            world.set_object(transform_points(task.path.poses[-1], task.shape.points))
            home = self._free_motion(world, task, way.retreat[-1], self._robot.home, opening)
            segments.append(PlanSegment('home', home))
        return segments

    def _along_flow(self, world: CollisionWorld, task: _Task, way: ArmPath) -> Trajectory:
        """Follow the flow, by hand poses where the object does not turn as the hand does."""
        if way.pivots:
            return RigidPathPlanner._follow(self, world, task, way)
        return self._follow(world, task, way)

    def _follow(self, world: CollisionWorld, task: _Task, way: ArmPath) -> Trajectory:
        """Polish and time the way along the flow; unpolished where the polished one collides."""
        world.set_object(None)
        path = way.follow
        if self._config.optimise:
            polished = PathOptimizer(self._robot, task.surroundings).polish(path, way.hand)
            if world.first_collision(polished, way.grasp.width) is None:
                path = polished
        return self._timed(path, FLOW, task.dense.times)

    def _free_motion(
        self, world: CollisionWorld, task: _Task, start: Array, goal: Array, width: float
    ) -> Trajectory:
        """Plan and time free motion; corners are rounded as far as nothing is hit."""
        stop_if(task.cancelled)
        corners = self._motion_planner.plan(
            start, goal, world, width=width, seed=task.seed, cancelled=task.cancelled
        )
        return self._time(round_corners(corners, world, width), FREE)

    def _timed(self, path: Array, kind: str, times: Array | None = None) -> Trajectory:
        """Time a dense joint path."""
        at = np.arange(len(path), dtype=float) if times is None else times
        return self._time(CubicSpline(at, path), kind)

    def _time(self, spline: CubicSpline, kind: str) -> Trajectory:
        """Time a curve within the limits that belong to its kind."""
        config = self._config
        factor = config.contact_speed_scale if kind == CONTACT else 1.0
        return time_path(
            spline,
            self._context.robot.joint_names,
            factor * config.velocity_scale * self._robot.max_velocity,
            factor * config.acceleration_scale * self._robot.max_acceleration,
            max_speed=1.0 if kind == FLOW else None,
        )

    def _failure(
        self, num_grasps: int, rejections: Counter[str], last_error: FlowManipError | None
    ) -> FlowManipError:
        """Return the error that fits why all grasps were dropped."""
        reasons = ', '.join(f'{n} {reason}' for reason, n in rejections.most_common())
        text = f'none of {num_grasps} grasps works: {reasons}'
        if last_error is not None:
            return type(last_error)(f'{text}; last: {last_error}')
        if any('collision' in reason or 'hits' in reason for reason in rejections):
            return InCollisionError(text)
        return UnreachableError(text)


def _retreat_distance(task: _Task, config: RigidPathConfig) -> float:
    """Return how far the hand goes straight back from what it lets go [m]."""
    if not task.releases:
        return 0.0
    return config.guided_retreat_distance if task.guided else config.retreat_distance


def _pivot(task: _Task) -> Pivot | None:
    """Return the hinge of a guided part."""
    joint = task.path.joint
    if not task.guided or joint is None or joint.kind != REVOLUTE:
        return None
    return Pivot(joint.axis, joint.values(task.dense.poses))
