# SPDX-License-Identifier: Apache-2.0
"""From flow to joints: 7 joints over 50 steps, a cloud of 5 000 points, a held object.

Random flows (an arc with a turn) among random pillars and blocks; the first guess is a straight
line between the ends, in joints. How long a solution takes warm and cold, against SciPy's
`least_squares` on the same residuals and Jacobian, against `annealing`, and against RRT-Connect
with shortcuts, which only has to get to the end. Then over all flows: end error, limits of the
timed trajectory, distance from the flow, and collisions against those of the straight line.

Other numbers of flows: ``python tests/benchmarks/trajectory.py --flows 200``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rows import row
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from flow_manip_core.errors import FlowManipError
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    rotation_about,
    transform_points,
)
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.flow_planner.annealing import (
    AnnealingConfig,
    choose_keyframes,
    KeyframeCost,
    PoseScale,
    solve_keyframe,
    yaw_of,
)
from flow_manip_planning.flow_planner.following import held_field, tracked_path, TrackedConfig
from flow_manip_planning.inverse_kinematics import follow_poses, solve_ik
from flow_manip_planning.kinematics import pose_errors
from flow_manip_planning.motion_planner import create_motion_planner
from flow_manip_planning.path_optimization import (
    DistanceField,
    DREAM2FLOW,
    Held,
    linear_path,
    PathOptimizer,
    PointTargets,
    Problem,
    reduce_points,
)
from flow_manip_planning.path_optimization.collision import farthest_points
from flow_manip_planning.path_optimization.terms import JointsTerm, Normal, State
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import Surroundings
from flow_manip_planning.timing import time_path

Array = NDArray[np.float64]
FLOWS, PEERS, SEED = 40, 5, 0
STEPS, CLOUD, TRACKED, SECONDS, VOXEL = 50, 5000, 150, 5.0, 0.008
ROOM = 0.04  # [m] between obstacles and what must pass
WIDTH = 0.05  # [m] of the object between the fingers
DOWN = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Trial:
    """One flow in one scene, the object in the hand.

    Attributes:
        scene: support and obstacles.
        shape: (N, 3) points of the object at the start.
        grasp: (4, 4) hand pose at the start.
        poses: (K, 4, 4) of the object since its start.
        flow: (K, N) tracked points.
        ends: (2, J) joints at both ends.
    """

    scene: Surroundings
    shape: Array
    grasp: Array
    poses: Array
    flow: ObjectFlow
    ends: Array

    @property
    def line(self) -> Array:
        """(K, J) the straight line between the ends."""
        return linear_path(self.ends[0], self.ends[1], len(self.poses))

    def targets(self) -> PointTargets:
        """Return what the hand's points are to do."""
        carried = transform_points(invert_transform(self.grasp), self.flow.points[0])
        return reduce_points(
            carried, self.flow.points.astype(np.float64), self.flow.confidence.astype(np.float64)
        )

    def held(self) -> Held:
        """Return the object in the hand."""
        path = tracked_path(self.flow, TrackedConfig())
        return Held(self.grasp, self.shape, held_field(self.scene, self.shape, path))


def make_trial(robot: RobotModel, seed: int) -> Trial:
    """Draw flows until the arm can reach one, then obstacles that leave its hand room."""
    rng = np.random.default_rng([7, seed])
    while True:
        start = make_transform(
            rng.uniform([0.35, -0.3, 0.15], [0.6, 0.3, 0.35]),
            rotation_about([0, 0, 1], rng.uniform(-0.8, 0.8)) @ DOWN,
        )
        hands = _random_arc(start, rng)
        q0 = solve_ik(robot.chain, hands[:1], robot.home[None], robot.home)
        if not q0.solved[0]:
            continue
        q, met = follow_poses(robot.chain, hands[None, 1:], q0.q, robot.home[None])
        path = np.concatenate([q0.q, q[0]])
        if met.all() and robot.chain.limit_margin(path).min() > 0.1:
            return _trial(robot, hands, path, rng)


def _random_arc(start: Array, rng: np.random.Generator) -> Array:
    """Return (K, 4, 4) hand poses: a shift, an arc upwards, turns about two axes."""
    share = np.linspace(0, 1, STEPS)
    share = share**2 * (3 - 2 * share)
    shift = rng.uniform([-0.15, -0.3, -0.1], [0.15, 0.3, 0.1])
    lift, turn, tilt = rng.uniform(0, 0.12), rng.uniform(-1.2, 1.2), rng.uniform(-0.5, 0.5)
    hands = np.tile(start, (STEPS, 1, 1))
    for hand, s in zip(hands, share):
        spin = rotation_about([0, 0, 1], turn * s) @ rotation_about([1, 0, 0], tilt * s)
        hand[:3, :3] = spin @ start[:3, :3]
        hand[:3, 3] += s * shift + [0, 0, lift * np.sin(np.pi * s)]
    return hands


def _trial(robot: RobotModel, hands: Array, path: Array, rng: np.random.Generator) -> Trial:
    """Put points on the object and obstacles around its way."""
    grasp = hands[0]
    local = rng.uniform(-1, 1, (300, 3))
    local /= np.abs(local).max(axis=1, keepdims=True)
    shape = transform_points(grasp, local * [0.025, 0.025, 0.04] + [0, 0, 0.03])
    poses = hands @ invert_transform(grasp)
    tracked = shape[:TRACKED]
    flow = flow_from_transforms(tracked, poses, np.linspace(0, SECONDS, STEPS))
    moved = np.concatenate([transform_points(T, shape[::10]) for T in poses])
    scene = Surroundings(0.0, _obstacles(robot, path, moved, rng), shape, VOXEL)
    return Trial(scene, shape, grasp, poses, flow, path[[0, -1]])


def _obstacles(robot: RobotModel, path: Array, moved: Array, rng: np.random.Generator) -> Array:
    """Return (5000, 3) points of pillars and blocks.

    They stay 4 cm away from the hand and the object on their way, and from the whole arm at both
    ends: there is an answer at the ends, and the rest is for the elbow and the upper arm.
    """
    centers = robot.sphere_centers(robot.chain.forward(path).joints)
    spheres = robot.spheres
    hand = spheres.joints >= 5
    keep_out = np.concatenate(
        [centers[:, hand].reshape(-1, 3), centers[[0, -1]].reshape(-1, 3), moved]
    )
    radii = np.concatenate(
        [
            np.tile(spheres.radii[hand], len(path)),
            np.tile(spheres.radii, 2),
            np.full(len(moved), 0.0),
        ]
    )
    trees = {r: cKDTree(keep_out[radii == r]) for r in np.unique(radii)}
    found: list[Array] = []
    while sum(map(len, found)) < CLOUD:
        size = rng.uniform([0.04, 0.04, 0.1], [0.12, 0.12, 0.7])
        middle = np.append(rng.uniform([0.1, -0.6], [0.8, 0.6]), size[2] / 2)
        points = middle + rng.uniform(-0.5, 0.5, (600, 3)) * size
        away = np.min([tree.query(points)[0] - r for r, tree in trees.items()], axis=0)
        found.append(points[away > ROOM])
    return np.concatenate(found)[:CLOUD]


def run(flows: int = FLOWS, peers: int = PEERS, seed: int = SEED) -> list[dict[str, Any]]:
    """Measure and return the rows."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    robot = RobotModel.from_context(context)
    trials = [make_trial(robot, seed + k) for k in range(flows)]
    first = trials[0]
    cold, _ = _seconds(lambda: _optimizer(robot, first).track(first.line, first.targets()))
    timed = [_time_solution(robot, trial) for trial in trials]
    middle = {name: median(each[name] for each in timed) for name in timed[0]}
    common = {'n': flows, 'seed': seed}
    rows = [row('cold_first_solution', cold, 's', n=1, seed=seed, limit=1.0)]
    rows += [row(name, middle[name], 'ms', **common) for name in list(middle)[1:]]
    slow = float(np.quantile([each['solution'] for each in timed], 0.9))
    rows.append(row('solution_p90', slow, 'ms', **common))
    for name, seconds, count in _peers(robot, context, trials[:peers]):
        about = {'peer': name, 'peer_value': 1e3 * seconds} if count else {}
        rows.append(
            row('solution', middle['solution'], 'ms', limit=20.0, peers=count, **about, **common)
        )
    return [*rows, *_quality_rows(robot, trials, common)]


def _optimizer(robot: RobotModel, trial: Trial) -> PathOptimizer:
    return PathOptimizer(robot, trial.scene, DREAM2FLOW, trial.held())


def _time_solution(robot: RobotModel, trial: Trial) -> dict[str, float]:
    """Return milliseconds of a warm solution, on the clock and of the processor, and of its parts.

    The solution contains the reduction of the points, not the distance fields: they are one per
    scene, and their time stands beside it.
    """
    path = tracked_path(trial.flow, TrackedConfig())
    optimizer, line = _optimizer(robot, trial), trial.line
    solutions = [_seconds(lambda: optimizer.track(line, trial.targets())) for _ in range(3)]
    return {
        'solution': 1e3 * min(wall for wall, _ in solutions),
        'solution_cpu': 1e3 * min(cpu for _, cpu in solutions),
        'scene_field': 1e3 * _seconds(lambda: DistanceField(trial.scene))[0],
        'held_field': 1e3 * _seconds(lambda: held_field(trial.scene, trial.shape, path))[0],
        'tracked_motion': 1e3 * _seconds(lambda: tracked_path(trial.flow, TrackedConfig()))[0],
    }


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long work takes on the clock and on the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _peers(
    robot: RobotModel, context: Context, trials: list[Trial]
) -> list[tuple[str, float, int]]:
    """Return name, median seconds and number of solved flows of every peer."""
    planner = create_motion_planner(None, context)
    worlds = {id(trial): _world(robot, trial) for trial in trials}
    works: dict[str, Callable[[Trial], object]] = {
        'scipy least_squares': lambda trial: scipy_solution(robot, trial),
        'annealing': lambda trial: annealed(robot, context, trial),
        'rrt connect, shortcut': lambda trial: planner.plan(
            trial.ends[0], trial.ends[1], worlds[id(trial)], width=WIDTH, seed=SEED
        ),
    }
    results = []
    for name, work in works.items():
        seconds = []
        for trial in trials:
            began = time.perf_counter()
            try:
                work(trial)
            except FlowManipError as error:
                print(f'  {name}: {error}', flush=True)
                continue
            seconds.append(time.perf_counter() - began)
        results.append((name, median(seconds) if seconds else float('nan'), len(seconds)))
    return results


def _world(robot: RobotModel, trial: Trial) -> CollisionWorld:
    """Return the scene with the object in the hand."""
    world = CollisionWorld(robot, trial.scene)
    world.hold_object(transform_points(invert_transform(trial.grasp), trial.shape))
    return world


class Recorder(Normal):
    """Keeps the residuals themselves, for a solver that wants them."""

    def __init__(self, num_steps: int, num_joints: int) -> None:
        """Start with nothing."""
        super().__init__(
            np.zeros((num_steps, num_joints, num_joints)), np.zeros((num_steps, num_joints))
        )
        self.step: list[Array] = []
        self.rows: list[Array] = []
        self.residual: list[Array] = []

    def add_rows(self, jacobian: Array, residual: Array) -> None:
        """Keep (M, R, J) rows."""
        num_steps, count, num_joints = jacobian.shape
        self.add_sparse_rows(
            np.repeat(np.arange(num_steps), count),
            jacobian.reshape(-1, num_joints),
            residual.ravel(),
        )

    def add_sparse_rows(self, step: Array, jacobian: Array, residual: Array) -> None:
        """Keep (A, J) rows."""
        self.step.append(step)
        self.rows.append(jacobian)
        self.residual.append(residual)


def residuals(problem: Problem, q: Array) -> tuple[Array, csr_array]:
    """Return all residuals of the inner steps of (K, J), with their sparse Jacobian."""
    inner = q[1:-1]
    num_steps, num_joints = inner.shape
    state, kept = State.at(problem.chain, inner), Recorder(num_steps, num_joints)
    for term in problem.terms:
        if isinstance(term, JointsTerm):
            w = term.weights
            over = np.maximum(inner - (term.upper - w.limit_margin), 0.0)
            under = np.minimum(inner - (term.lower + w.limit_margin), 0.0)
            active = ((over > 0) | (under < 0)).astype(float)
            kept.add_rows(w.limits * active[..., None] * np.eye(num_joints),
                          w.limits * (over + under))  # fmt: skip
            eye = np.broadcast_to(w.rest * np.eye(num_joints), (num_steps, num_joints, num_joints))
            kept.add_rows(eye, w.rest * (inner - term.home))
        else:
            term.add(state, kept)
    step, rows = np.concatenate(kept.step), np.concatenate(kept.rows)
    column = step[:, None] * num_joints + np.arange(num_joints)
    line = np.repeat(np.arange(len(step)), num_joints)
    bends, (values, i, j) = problem.bend.apply(q), _bend_entries(problem, num_steps, num_joints)
    shape = (len(step) + bends.size, num_steps * num_joints)
    jacobian = coo_array(
        (
            np.concatenate([rows.ravel(), values]),
            (np.concatenate([line, i + len(step)]), np.concatenate([column.ravel(), j])),
        ),
        shape=shape,
    )
    residual = np.concatenate([*kept.residual, problem.smoothness * bends.ravel()])
    return residual, jacobian.tocsr()


def _bend_entries(problem: Problem, num_steps: int, num_joints: int) -> tuple[Array, Array, Array]:
    """Return values, rows and columns of the second differences."""
    values, rows, columns = [], [], []
    joints = np.arange(num_joints)
    for row_step, stencil in enumerate(problem.bend.stencils):
        for offset, factor in zip((-1, 0, 1), stencil):
            if 0 <= row_step + offset < num_steps:
                values.append(np.full(num_joints, problem.smoothness * factor))
                rows.append(row_step * num_joints + joints)
                columns.append((row_step + offset) * num_joints + joints)
    return np.concatenate(values), np.concatenate(rows), np.concatenate(columns)


def scipy_solution(robot: RobotModel, trial: Trial) -> Array:
    """Solve the same problem by SciPy's trust region, sparse, with the same analytic Jacobian."""
    problem = _optimizer(robot, trial).problem(trial.targets().scaled(DREAM2FLOW.points))
    q = trial.line
    shape, most = q[1:-1].shape, 60_000

    def evaluate(x: Array) -> tuple[Array, csr_array]:
        path = q.copy()
        path[1:-1] = x.reshape(shape)
        residual, jacobian = residuals(problem, path)
        # Residuals that are zero come and go; SciPy wants as many every time.
        padded = np.zeros(most)
        padded[: len(residual)] = residual
        return padded, csr_array(
            (jacobian.data, jacobian.indices,
             np.append(jacobian.indptr, np.full(most - len(residual), jacobian.nnz))),
            shape=(most, jacobian.shape[1]),
        )  # fmt: skip

    lower = np.tile(robot.chain.lower, shape[0])
    upper = np.tile(robot.chain.upper, shape[0])
    found = least_squares(
        lambda x: evaluate(x)[0], q[1:-1].ravel(), lambda x: evaluate(x)[1],
        bounds=(lower, upper), ftol=1e-3, x_scale='jac', max_nfev=100,
    )  # fmt: skip
    q[1:-1] = found.x.reshape(shape)
    return q


def annealed(robot: RobotModel, context: Context, trial: Trial) -> Array:
    """Solve the keyframes of `annealing`; return (F, 4, 4) hand poses."""
    config = AnnealingConfig()
    path = tracked_path(trial.flow, config)
    frames = choose_keyframes(path, trial.flow, config)
    scale = PoseScale(context.rig.workspace, yaw_of(trial.grasp))
    shape = trial.shape[farthest_points(trial.shape, config.collision_points)]
    field = held_field(trial.scene, trial.shape, path)
    x, start, poses = scale.numbers(trial.grasp), trial.ends[0], []
    for index, frame in enumerate(frames):
        cost = KeyframeCost(robot, config, scale, trial.grasp, frame, shape, field, start)
        x = solve_keyframe(cost, x, index == 0, SEED, lambda: False)
        poses.append(scale.poses(x[None])[0])
        start = solve_ik(robot.chain, poses[-1][None], start[None]).q[0]
    return np.array(poses)


def _quality_rows(
    robot: RobotModel, trials: list[Trial], common: dict[str, Any]
) -> list[dict[str, Any]]:
    """Check what came out, over all flows."""
    found = [_quality(robot, trial) for trial in trials]
    column = {name: np.array([f[name] for f in found]) for name in found[0]}
    worst = {name: float(values.max()) for name, values in column.items()}
    count = {name: float((values > 0).sum()) for name, values in column.items()}
    return [
        row('end_error', worst['end_mm'], 'mm', limit=1.0, **common),
        row('end_turn', worst['end_deg'], 'deg', limit=0.5, **common),
        row('limit_violations', count['violations'], '', limit=0.0, **common),
        row('not_timed', count['not_timed'], '', **common),
        row('off_the_flow_median', float(np.median(column['off_mm'])), 'mm', **common),
        row('off_the_flow', worst['off_mm'], 'mm', **common),
        row(
            'flows_in_collision', count['hits'], '',
            peer='straight line', peer_value=count['line_hits'] or None, **common,
        ),
        row('iterations', float(np.median(column['iterations'])), '', **common),
    ]  # fmt: skip


def _quality(robot: RobotModel, trial: Trial) -> dict[str, float]:
    """Solve, time and check one flow."""
    solution = _optimizer(robot, trial).track(trial.line, trial.targets())
    world, q = _world(robot, trial), solution.q
    carried = robot.chain.tip(q) @ invert_transform(trial.grasp)
    middle = trial.shape.mean(axis=0)
    off = (carried - trial.poses)[:, :3, :3] @ middle + (carried - trial.poses)[:, :3, 3]
    result = {
        'off_mm': 1e3 * float(np.linalg.norm(off, axis=1).max()),
        'iterations': float(solution.iterations),
        'hits': float(world.first_collision(q, WIDTH) is not None),
        'line_hits': float(world.first_collision(trial.line, WIDTH) is not None),
        'violations': 0.0,
        'not_timed': 0.0,
    }
    times = np.linspace(0, SECONDS, STEPS)
    velocity, acceleration = 0.8 * robot.max_velocity, 0.6 * robot.max_acceleration
    end = q[-1]
    try:
        timed = time_path(
            CubicSpline(times, q), robot.config.joint_names, velocity, acceleration, 1.0
        )
        result['violations'] = float(
            (robot.chain.limit_margin(timed.positions) < 0).sum()
            + (np.abs(timed.velocities) > robot.max_velocity).sum()
            + (np.abs(timed.accelerations) > robot.max_acceleration).sum()
        )
        end = timed.positions[-1]
    except FlowManipError as error:
        print(f'  not timed: {error}', flush=True)
        result['not_timed'] = 1.0
    error = pose_errors(trial.poses[-1] @ trial.grasp, robot.chain.tip(end))
    result['end_mm'] = 1e3 * float(np.linalg.norm(error[:3]))
    result['end_deg'] = float(np.degrees(np.linalg.norm(error[3:])))
    return result


def main() -> None:
    """Run a part of it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--flows', type=int, default=FLOWS)
    parser.add_argument('--peers', type=int, default=PEERS, help='flows that the peers solve')
    parser.add_argument('--seed', type=int, default=SEED)
    given = parser.parse_args()
    for entry in run(given.flows, given.peers, given.seed):
        peer = f'  ({entry["peer"]}: {entry["peer_value"]:.4g})' if entry['peer'] else ''
        print(f'{entry["name"]:<28} {entry["value"]:.4g} {entry["unit"]} (n {entry["n"]}){peer}')


if __name__ == '__main__':
    main()
