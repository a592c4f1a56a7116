# SPDX-License-Identifier: Apache-2.0
"""Free motion among clutter: how long planning takes and how long the motion does.

Each problem has six blocks at random places and heights on the table, and two random places for a
hand that points down, such that both are free and the straight line between them is not. The peer
of the polished way is the same way before it is polished.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import time
from typing import Any

import numpy as np
from rows import row

from flow_manip_core.errors import NoPathError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import make_transform
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.inverse_kinematics import random_starts, solve_ik_multistart
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner.roboplan_planner import RoboplanConfig, RoboplanPlanner
from flow_manip_planning.motion_planner.rounding import round_corners
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import fill_columns, Surroundings
from flow_manip_planning.timing import time_path

NUM_PROBLEMS, SEED = 50, 0
WIDTH, VOXEL = 0.06, 0.008  # [m] fingers' opening, edge of a voxel


@dataclass
class Times:
    """What one way of planning took [s]."""

    plan: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    round: list[float] = field(default_factory=list)
    motion: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def run(count: int = NUM_PROBLEMS, seed: int = SEED) -> list[dict[str, Any]]:
    """Return the rows."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    robot = RobotModel.from_context(context)
    planners = {
        'polished': RoboplanPlanner(RoboplanConfig(), context),
        'corners': RoboplanPlanner(RoboplanConfig(polish=False), context),
    }
    times = {name: Times() for name in planners}
    for index, problem in zip(range(count), problems(robot, seed)):
        for name, planner in planners.items():
            _solve(planner, robot, problem, seed + index, times[name])
    return list(_rows(times, count, seed))


def problems(robot: RobotModel, seed: int) -> Iterator[tuple[CollisionWorld, Array, Array]]:
    """Yield worlds with a start and a goal that a straight line does not connect."""
    rng = np.random.default_rng(seed)
    while True:
        blocks = np.concatenate([_block(rng) for _ in range(6)])
        world = CollisionWorld(robot, Surroundings(0.0, blocks, np.empty((0, 3)), VOXEL))
        ends = [_hand_down(robot, rng) for _ in range(2)]
        if any(q is None or world.collides(q, WIDTH) for q in ends):
            continue
        if world.edge_collides(*ends, WIDTH):
            yield world, *ends


def _solve(
    planner: RoboplanPlanner,
    robot: RobotModel,
    problem: tuple[CollisionWorld, Array, Array],
    seed: int,
    times: Times,
) -> None:
    """Plan, round and time one problem."""
    world, start, goal = problem
    limits = 0.8 * robot.max_velocity, 0.6 * robot.max_acceleration
    began, cpu = time.perf_counter(), time.process_time()
    try:
        corners = planner.plan(start, goal, world, width=WIDTH, seed=seed)
        planned, cpu = time.perf_counter(), time.process_time() - cpu
        curve = round_corners(corners, world, WIDTH)
        rounded = time.perf_counter()
    except NoPathError as error:
        times.failures.append(str(error))
        return
    times.plan.append(planned - began)
    times.cpu.append(cpu)
    times.round.append(rounded - planned)
    times.motion.append(time_path(curve, robot.config.joint_names, *limits).duration)


def _rows(times: dict[str, Times], count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Compare the two."""
    common = {'n': count, 'seed': seed}
    ours, plain = times['polished'], times['corners']
    for name, values, peers, unit in (
        ('plan_median', ours.plan, plain.plan, 's'),
        ('plan_90_percent', ours.plan, plain.plan, 's'),
        # What it takes of one core, whatever else the machine does.
        ('plan_cpu_median', ours.cpu, plain.cpu, 's'),
        ('round_median', ours.round, plain.round, 's'),
        ('motion_median', ours.motion, plain.motion, 's'),
    ):
        share = 90 if '90' in name else 50
        value, peer = np.percentile(values, share), np.percentile(peers, share)
        yield row(name, value, unit, peer='corners', peer_value=float(peer), **common)
    yield row(
        'solved',
        len(ours.plan) / count,
        '',
        peer='corners',
        peer_value=len(plain.plan) / count,
        failures=ours.failures,
        **common,
    )


def _block(rng: np.random.Generator) -> Array:
    """Return the voxels of a random block."""
    x, y = rng.uniform([0.3, -0.4], [0.7, 0.4])
    side = np.arange(-0.5, 0.5, 0.05) * rng.uniform(0.04, 0.12)
    top = np.stack(np.meshgrid(x + side, y + side, [rng.uniform(0.08, 0.4)]), axis=-1)
    return fill_columns(top.reshape(-1, 3), 0.0, VOXEL)


def _hand_down(robot: RobotModel, rng: np.random.Generator) -> Array | None:
    """Return a configuration with the fingers down at a random place; None if none is found."""
    place = rng.uniform([0.35, -0.4, 0.08], [0.65, 0.4, 0.3])
    target = robot.T_world_base @ make_transform(place, np.diag([1.0, -1.0, -1.0]))
    starts = np.concatenate([robot.home[None], random_starts(robot.chain, 5, rng)])
    q, solved = solve_ik_multistart(robot.chain, target[None], starts, robot.home)
    return q[0][solved[0]][0] if solved.any() else None
