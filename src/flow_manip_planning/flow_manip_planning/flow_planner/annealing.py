# SPDX-License-Identifier: Apache-2.0
"""Hand poses by simulated annealing, keyframe after keyframe (3DFlowAction's solver).

At every keyframe six numbers, position and Euler angles of the hand scaled to [-1, 1], are chosen
so that keypoints on the object, carried rigidly, are where the flow says. The first keyframe is
searched by dual annealing from the current pose and polished by SLSQP; later ones start SLSQP at
the answer before. Terms that 3DFlowAction leaves open have the weights that ReKep publishes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import dual_annealing, minimize
from scipy.spatial.transform import Rotation, RotationSpline

from flow_manip_core.errors import DegenerateFlowError, NoPathError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.plan import PlanSegment, Trajectory
from flow_manip_core.rigid import fit_rigid_transform
from flow_manip_core.robot import WorkspaceConfig
from flow_manip_core.transforms import invert_transform, make_transform
from flow_manip_planning.arm_paths import ArmPath, LINE_STEP
from flow_manip_planning.cancelling import Cancelled, stop_if
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
from flow_manip_planning.inverse_kinematics import follow_poses, solve_ik
from flow_manip_planning.kinematics import Array
from flow_manip_planning.object_path import ObjectPath
from flow_manip_planning.path_optimization import DistanceField
from flow_manip_planning.path_optimization.collision import farthest_points
from flow_manip_planning.path_optimization.point_targets import ROTATION_LEVER
from flow_manip_planning.path_optimization.tracked_motion import TrackedMotion
from flow_manip_planning.robot_model import RobotModel

MIN_KEYPOINTS = 4
DIFFERENCE = 1e-6  # of the scaled variables
REACH = 0.02  # [m] left by inverse kinematics at which its cost is half of the largest
MAX_REST = 3.0  # [rad] from home at which the cost of the posture ends (ReKep)


@dataclass(frozen=True)
class AnnealingConfig(TrackedConfig):
    """Parameters; weights and budgets are ReKep's unless they say otherwise."""

    keyframes: int = _doc(10, 'Steps of the flow that are solved for (ours)')
    keypoints: int = _doc(20, 'Farthest points on the object (3DFlowAction leaves it open)')
    keypoint_weight: float = _doc(
        2e4, "Of the squared distances of the keypoints: ReKep's 200 at 0.1 m (ours)"
    )
    ik_weight: float = _doc(20.0, 'Of a pose that inverse kinematics does not reach')
    rest_weight: float = _doc(0.2, 'Of the distance from home, per radian')
    collision_weight: float = _doc(0.5, 'Of the mean depth inside the clearance, per metre')
    clearance: float = _doc(0.02, 'Of the held object (ours; ReKep keeps tools 0.1 away) [m]')
    collision_points: int = _doc(60, 'On the held object')
    max_evaluations: int = _doc(150, 'Of dual annealing (ReKep has 5000 without a clock)')
    max_iterations: int = _doc(200, 'Of SLSQP, per keyframe')
    ik_iterations: int = _doc(8, 'Of inverse kinematics, per pose')


@dataclass(frozen=True)
class Keyframe:
    """Where some points of the object are to be.

    Attributes:
        step: of the flow.
        places: (M, 3) at the start, in the world [m].
        targets: (M, 3) [m].
        weights: (M,).
    """

    step: int
    places: Array
    targets: Array
    weights: Array


class PoseScale:
    """Hand poses as six numbers in [-1, 1]: the workspace, and the lower hemisphere."""

    def __init__(self, workspace: WorkspaceConfig, yaw: float) -> None:
        """Take the box; the turn about the vertical is counted from `yaw` [rad]."""
        half_turn, quarter = np.pi, 0.5 * np.pi
        # Extrinsic xyz: roll within a quarter of half a turn and pitch within a quarter turn of
        # zero are the hands that point down.
        lower = [*workspace.lower, half_turn - quarter, -quarter, yaw - half_turn]
        upper = [*workspace.upper, half_turn + quarter, quarter, yaw + half_turn]
        self._middle = 0.5 * (np.array(lower) + upper)
        self._half = 0.5 * (np.array(upper) - lower)
        self._yaw = yaw

    def poses(self, x: Array) -> Array:
        """Return (B, 4, 4) poses of (B, 6) numbers."""
        values = self._middle + self._half * x
        result = np.tile(np.eye(4), (len(x), 1, 1))
        result[:, :3, :3] = Rotation.from_euler('xyz', values[:, 3:]).as_matrix()
        result[:, :3, 3] = values[:, :3]
        return result

    def numbers(self, pose: Array) -> Array:
        """Return the (6,) numbers of a (4, 4) pose.

        Raises:
            NoPathError: the hand does not point down, or is outside the workspace.
        """
        angles = Rotation.from_matrix(pose[:3, :3]).as_euler('xyz')
        angles[0] %= 2 * np.pi
        angles[2] = self._yaw + (angles[2] - self._yaw + np.pi) % (2 * np.pi) - np.pi
        x = (np.concatenate([pose[:3, 3], angles]) - self._middle) / self._half
        if np.abs(x).max() > 1.0 + 1e-9:
            raise NoPathError(
                f'the hand points {pose[2, 2]:+.2f} up or is outside the workspace: '
                f'{np.round(x, 2).tolist()} is not within -1..1'
            )
        return np.clip(x, -1.0, 1.0)


def yaw_of(pose: Array) -> float:
    """Return the turn about the vertical of a (4, 4) hand pose that points down [rad]."""
    angles = Rotation.from_matrix(pose[:3, :3]).as_euler('xyz')
    return float(angles[2])


@dataclass(frozen=True)
class KeyframeCost:
    """The cost of hand poses at one keyframe, for many at once.

    Attributes:
        robot: the arm.
        config: the weights.
        scale: of the variables.
        grasp: (4, 4) hand pose that holds the object at the start.
        keyframe: where the keypoints are to be.
        shape: (P, 3) points of the held object at the start [m].
        field: what they must keep away from.
        start: (J,) where inverse kinematics starts.
    """

    robot: RobotModel
    config: AnnealingConfig
    scale: PoseScale
    grasp: Array
    keyframe: Keyframe
    shape: Array
    field: DistanceField
    start: Array

    def __call__(self, x: Array) -> float:
        """Return the cost of (6,) numbers."""
        return float(self.many(x[None])[0])

    def slope(self, x: Array) -> Array:
        """Return the (6,) central differences, all poses moved in one call."""
        steps = DIFFERENCE * np.concatenate([np.eye(6), -np.eye(6)])
        costs = self.many(x + steps)
        return (costs[:6] - costs[6:]) / (2 * DIFFERENCE)

    def many(self, x: Array) -> Array:
        """Return the (B,) costs of (B, 6) numbers."""
        config = self.config
        poses = self.scale.poses(x)
        carried = poses @ invert_transform(self.grasp)
        frame = self.keyframe
        moved = frame.places @ carried[:, :3, :3].swapaxes(1, 2) + carried[:, None, :3, 3]
        squared = ((moved - frame.targets) ** 2).sum(axis=-1)
        cost = config.keypoint_weight * squared @ frame.weights
        shape = self.shape @ carried[:, :3, :3].swapaxes(1, 2) + carried[:, None, :3, 3]
        distance, _ = self.field.query(shape)
        depth = np.maximum(config.clearance - distance, 0.0).mean(axis=1)
        return cost + config.collision_weight * depth + self._reach(poses)

    def _reach(self, poses: Array) -> Array:
        """Return the (B,) cost of what inverse kinematics leaves, and of its posture."""
        config, chain = self.config, self.robot.chain
        starts = np.broadcast_to(self.start, (len(poses), len(self.start)))
        found = solve_ik(chain, poses, starts, iterations=config.ik_iterations)
        left = found.position_error**2 + (ROTATION_LEVER * found.rotation_error) ** 2
        away = np.linalg.norm(found.q - self.robot.home, axis=1)
        rest = config.rest_weight * np.minimum(away, MAX_REST)
        return config.ik_weight * left / (left + REACH**2) + rest


class AnnealingPlanner(RigidPathPlanner):
    """The `annealing` backend."""

    Config = AnnealingConfig
    _config: AnnealingConfig

    def _object_path(self, flow: ObjectFlow) -> ObjectPath:
        """Fit the motion on which grasps are tested to all steps at once."""
        return tracked_path(flow, self._config)

    def _segments(
        self, world: CollisionWorld, task: _Task, way: ArmPath, *args: object
    ) -> list[PlanSegment]:
        """Solve for the hand's way, then plan as ever.

        A hand that a part turns in does not carry it: its way is not solved for.

        Raises:
            NoPathError: it misses its end, leaves the flow, collides or is out of reach.
            LimitsError: it cannot be timed.
        """
        world.set_object(None)
        solved = way if way.pivots else self._solved(world, task, way)
        return super()._segments(world, task, solved, *args)  # type: ignore[arg-type]

    def _follow(self, world: CollisionWorld, task: _Task, way: ArmPath) -> Trajectory:
        """Put times on the solved way."""
        return self._timed(way.follow, FLOW, task.dense.times)

    def _solved(self, world: CollisionWorld, task: _Task, way: ArmPath) -> ArmPath:
        """Return the way with what the solver found instead of the tested way."""
        grasp, chain = way.grasp.T_world_tcp, self._robot.chain
        frames = choose_keyframes(task.path, task.flow, self._config)
        poses, wanted = self._solve_keyframes(task, grasp, way.follow[0], frames)
        hand = _through(poses, task.path.times[[0, *(f.step for f in frames)]], task.dense.times)
        start = way.follow[:1]
        q, met = follow_poses(chain, hand[None, 1:], start, start, cancelled=task.cancelled)
        if not met.all():
            lost = int((~met).sum())
            raise NoPathError(f'{lost} of {len(hand)} annealed poses are out of reach')
        follow = np.concatenate([start, q[0]])
        check = FollowCheck(
            self._robot,
            self._config,
            None if task.guided else HeldObject(self._robot, task.surroundings, task.shape.points),
            task.shape.center,
        )
        check.check_end(follow[-1], wanted)
        check.check(follow, grasp, task.dense.poses, world, way.grasp.width)
        retreat = self._back(follow[-1], len(way.retreat))
        return replace(way, follow=follow, hand=hand, retreat=retreat)

    def _solve_keyframes(
        self, task: _Task, grasp: Array, start: Array, frames: list[Keyframe]
    ) -> tuple[Array, Array]:
        """Return (F + 1, 4, 4) hand poses, the grasp first, and the (4, 4) end that was wanted."""
        shape = task.shape.points
        shape = shape[farthest_points(shape, self._config.collision_points)]
        scale = PoseScale(self._context.rig.workspace, yaw_of(grasp))
        around = task.surroundings
        if task.guided:  # what guides a part is no obstacle to it
            around = replace(around, obstacles=np.empty((0, 3)))
        cost = KeyframeCost(
            self._robot,
            self._config,
            scale,
            grasp,
            frames[0],
            shape,
            held_field(around, task.shape.points, task.path),
            start,
        )
        x, poses = scale.numbers(grasp), [grasp]
        for index, frame in enumerate(frames):
            cost = replace(cost, keyframe=frame)
            x = solve_keyframe(cost, x, index == 0, task.seed, task.cancelled)
            poses.append(scale.poses(x[None])[0])
            near = solve_ik(self._robot.chain, poses[-1][None], cost.start[None])
            cost = replace(cost, start=near.q[0])
        last = frames[-1]
        wanted = fit_rigid_transform(last.places, last.targets, last.weights)
        return np.array(poses), wanted @ grasp

    def _back(self, q: Array, num_steps: int) -> Array:
        """Return (R, J) joints straight back from the end, as many steps as were tested."""
        if num_steps == 0:
            return np.empty((0, len(q)))
        count = num_steps - 1
        offsets = [make_transform([0, 0, -LINE_STEP * k]) for k in range(1, count + 1)]
        hands = self._robot.chain.tip(q) @ np.array(offsets)
        line, met = follow_poses(self._robot.chain, hands[None], q[None], q[None])
        if not met.all():
            raise NoPathError(f'{int((~met).sum())} of {count} steps back are out of reach')
        return np.concatenate([q[None], line[0]])


def solve_keyframe(
    cost: KeyframeCost, x: Array, first: bool, seed: int, cancelled: Cancelled
) -> Array:
    """Return the (6,) numbers of the best hand pose found.

    Args:
        cost: of the keyframe.
        x: (6,) where the search starts.
        first: search widely before polishing.
        seed: of the search.
        cancelled: polled at every step.

    Raises:
        CancelledError: `cancelled` said so.
    """
    bounds = [(-1.0, 1.0)] * 6

    def polled(x: Array) -> float:
        stop_if(cancelled)
        return cost(x)

    if first:
        x = dual_annealing(
            polled,
            bounds,
            x0=x,
            maxfun=cost.config.max_evaluations,
            no_local_search=True,
            rng=np.random.default_rng(seed),
        ).x
    found = minimize(
        polled,
        x,
        jac=cost.slope,
        bounds=bounds,
        method='SLSQP',
        options={'maxiter': cost.config.max_iterations, 'ftol': 1e-6},
    )
    return np.clip(found.x, -1.0, 1.0) if found.fun <= cost(x) else x


def choose_keyframes(
    path: ObjectPath, flow: ObjectFlow, config: AnnealingConfig
) -> list[Keyframe]:
    """Choose even steps, the last among them, and farthest points that are visible there.

    Raises:
        DegenerateFlowError: too few points are visible at the end.
    """
    assert isinstance(path, TrackedPath)
    assert path.tracked is not None
    tracked, last = path.tracked, len(path.times) - 1
    steps = np.unique(np.rint(np.linspace(0, last, config.keyframes + 1)).astype(int)[1:])
    frames = []
    for step in steps:
        visible = np.flatnonzero(tracked.weights[step] > 0.2)
        if len(visible) >= MIN_KEYPOINTS:
            frames.append(_keyframe(tracked, flow, int(step), visible, config.keypoints))
    if not frames or frames[-1].step != last:
        raise DegenerateFlowError(
            f'{int((tracked.weights[-1] > 0.2).sum())} points are visible at the end of the '
            f'flow, {MIN_KEYPOINTS} are needed'
        )
    return frames


def _keyframe(
    tracked: TrackedMotion, flow: ObjectFlow, step: int, visible: NDArray[np.intp], count: int
) -> Keyframe:
    chosen = visible[farthest_points(tracked.points[visible], count)]
    return Keyframe(
        step=step,
        places=tracked.points[chosen],
        targets=flow.points[step, tracked.names[chosen]].astype(np.float64),
        weights=tracked.weights[step, chosen],
    )


def _through(poses: Array, times: Array, at: Array) -> Array:
    """Return (K, 4, 4) poses at (K,) times of a smooth motion through (F, 4, 4) ones."""
    if len(poses) < 3:
        share = ((at - times[0]) / (times[-1] - times[0]))[:, None]
        positions = poses[0, :3, 3] + share * (poses[-1, :3, 3] - poses[0, :3, 3])
    else:
        positions = CubicSpline(times, poses[:, :3, 3], bc_type='natural')(at)
    result = np.tile(np.eye(4), (len(at), 1, 1))
    result[:, :3, :3] = RotationSpline(times, Rotation.from_matrix(poses[:, :3, :3]))(
        at
    ).as_matrix()
    result[:, :3, 3] = positions
    result[0] = poses[0]
    return result
