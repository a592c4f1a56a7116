# SPDX-License-Identifier: Apache-2.0
"""Grasps: proposals per second, and whether what is grasped can be lifted.

One object alone on the table at a random place and heading, seen by a noisy depth camera from one
side; a proposer's grasps go through the planner (a flow of 20 cm straight up) and the executor;
the simulator's state says whether the object hangs in the hand half a second later. Every proposer
sees the same scenes. Peers: the hand straight down over the middle of the seen points, closing
across their narrow side; and antipodal pairs of seen points drawn at random.

Smaller: ``python tests/benchmarks/grasps.py --poses 3 --shapes mug,plate --pictures /tmp/out``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
import time
from typing import Any

import numpy as np
from rows import row

from flow_manip_control.execution import PlanExecutor
from flow_manip_core.errors import FlowManipError, NoGraspError
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import make_transform
from flow_manip_mujoco.arm import CellArm, CellGripper
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.tasks import is_lifted
from flow_manip_planning.flow_planner import create_flow_planner
from flow_manip_planning.grasp import GraspProposer
from flow_manip_planning.grasp.antipodal import AntipodalGrasps
from flow_manip_planning.grasp.completion import estimate_normals
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import perceive, thin_out
from flow_manip_task.evaluation import wilson_interval

SHAPES = {
    'cube': 'red_cube',
    'block': 'purple_block',
    'box': 'orange_box',
    'can': 'green_can',
    'ball': 'orange_ball',
    'bottle': 'green_bottle',
    'mug': 'yellow_mug',
    'bowl': 'pink_bowl',
    'plate': 'black_plate',
    'basket': 'brown_basket',
}
POSES, SEED = 20, 0
LIFT = 0.2  # [m] a plate held by its rim hangs up to 18 cm below the hand
CLEAR = 0.02  # [m] of its lowest point over the table
HOLD = 0.5  # [s]
DOWN = np.diag([1.0, -1.0, -1.0])


@dataclass
class Score:
    """What one proposer did.

    Attributes:
        lifted: per shape, 1 for every pose that was lifted.
        seconds: of every call of `propose`.
        proposals: how many grasps all calls returned.
        failures: why poses failed, per shape.
    """

    lifted: dict[str, list[int]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    proposals: int = 0
    failures: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Poses tried."""
        return sum(map(len, self.lifted.values()))

    @property
    def rate(self) -> float:
        """Share of the poses that were lifted."""
        return sum(map(sum, self.lifted.values())) / self.n


class TopDown:
    """The peer that looks at the centroid only: straight down, closing across the narrow side.

    It opens wide and closes until something is between the fingers.
    """

    def __init__(self, context: Context) -> None:
        """Take the gripper's size."""
        self._gripper = context.robot.gripper

    def propose(self, observation: Observation, mask: Mask, **_: Any) -> list[Grasp]:
        """Return the one grasp in both finger orders."""
        points = thin_out(mask.points(observation), 0.003)
        center = points.mean(axis=0)
        _, _, axes = np.linalg.svd(points[:, :2] - center[:2], full_matrices=False)
        closing = np.array([*axes[1], 0.0])
        rotation = np.stack([np.cross(closing, DOWN[2]), closing, DOWN[2]], axis=1)
        low = max(float(np.percentile(points[:, 2], 98)) - 0.03, 0.006)
        tcp = np.array([*center[:2], low + self._gripper.tip_offset])
        return [
            Grasp(make_transform(tcp, rotation * signs), 0.02, 0.5, self._gripper.max_width)
            for signs in (np.ones(3), np.array([-1.0, -1.0, 1.0]))
        ]


class RandomAntipodal:
    """The peer that pairs seen points whose normals face each other, from any side above."""

    TRIES, WANTED = 4000, 64

    def __init__(self, context: Context) -> None:
        """Take the gripper's size and the robot."""
        self._context = context
        self._robot = RobotModel.from_context(context)

    def propose(
        self, observation: Observation, mask: Mask, *, seed: int = 0, **_: Any
    ) -> list[Grasp]:
        """Return up to 64 grasps in random order.

        Raises:
            NoGraspError: no pair of points faces each other.
        """
        rng = np.random.default_rng(seed)
        surroundings = perceive(observation, mask, self._context, self._robot)
        points = thin_out(surroundings.object_points, 0.003)
        normals = estimate_normals(points, observation.T_world_camera[:3, 3])
        pairs = rng.integers(len(points), size=(self.TRIES, 2))
        offset = points[pairs[:, 1]] - points[pairs[:, 0]]
        length = np.linalg.norm(offset, axis=1)
        fits = (length > 0.004) & (length < self._context.robot.gripper.max_width - 0.004)
        closing = offset / np.maximum(length, 1e-9)[:, None]
        cone = np.cos(np.radians(35))
        facing = [np.abs((normals[pairs[:, i]] * closing).sum(axis=1)) > cone for i in (0, 1)]
        chosen = np.flatnonzero(fits & facing[0] & facing[1])[: self.WANTED]
        if len(chosen) == 0:
            raise NoGraspError(f'none of {self.TRIES} pairs of points faces each other')
        grasps = []
        for index in chosen:
            turn = rng.normal(size=3) * 0.5 + DOWN[2]
            approach = turn - (turn @ closing[index]) * closing[index]
            approach /= np.linalg.norm(approach)
            rotation = np.stack(
                [np.cross(closing[index], approach), closing[index], approach], axis=1
            )
            middle = points[pairs[index]].mean(axis=0)
            grasps.append(Grasp(make_transform(middle, rotation), float(length[index]), 0.5))
        return grasps


class Bench:
    """One cell in which proposers are tried."""

    def __init__(self, pictures: Path | None = None) -> None:
        """Build the cell; pictures of failures go to a folder if one is given."""
        self.context = Context(load_robot('franka'), load_rig('tabletop'))
        self.cell = SimulatedCell(self.context)
        self._executor = PlanExecutor(CellArm(self.cell), CellGripper(self.cell), self.context)
        self._pictures = pictures

    def try_out(
        self,
        name: str,
        proposer: GraspProposer,
        shapes: dict[str, str],
        poses: int,
        seed: int,
        part: str = '',
    ) -> Score:
        """Lift every shape at every pose with one proposer's grasps."""
        score = Score()
        timed = _Timed(proposer, score, part)
        planner = create_flow_planner({'backend': 'rigid_path'}, self.context, timed)
        for shape, item in shapes.items():
            outcomes = [self._lift(planner, item, seed + number) for number in range(poses)]
            score.lifted[shape] = [int(outcome == '') for outcome in outcomes]
            score.failures[shape] = Counter(o for o in outcomes if o)
            for number, outcome in enumerate(outcomes):
                if outcome:
                    print(f'    {name} {shape} seed {seed + number}: {outcome}', flush=True)
            done = sum(score.lifted[shape])
            print(f'  {name:<17} {shape:<8} {done}/{poses}', flush=True)
        return score

    def _lift(self, planner: Any, item: str, seed: int) -> str:
        """Lift one object at one pose; return what went wrong, '' if nothing did."""
        self.cell.reset(seed, Scene((item,)))
        observation = self.cell.observe(noise=True)
        mask = self.cell.object_mask(item)
        points = mask.points(observation)
        rise = np.tile(np.eye(4), (21, 1, 1))
        rise[:, 2, 3] = np.linspace(0.0, LIFT, 21)
        times = np.linspace(0.0, 2.0, 21)
        flow = flow_from_transforms(points[:: max(1, len(points) // 150)], rise, times)
        plan = None
        try:
            plan = planner.plan(observation, mask, flow, seed=seed)
            self._executor.execute(plan)
            self.cell.step(round(HOLD / self.cell.timestep))
            lifted = is_lifted(self.cell, item, CLEAR)
            reason = '' if lifted else 'not in the hand at the end'
        except FlowManipError as error:
            reason = f'{error.name} {error}'
        if reason and self._pictures is not None:
            self._keep(f'{item}_{seed}', observation, plan)
        return reason

    def _keep(self, name: str, observation: Observation, plan: Any) -> None:
        """Write what the camera saw before, with the grasp drawn in, beside what it sees after."""
        import cv2

        assert self._pictures is not None
        self._pictures.mkdir(parents=True, exist_ok=True)
        before = observation.color.copy()
        if plan is not None:
            _draw_grasp(before, observation, plan.grasp, self.context)
        both = np.concatenate([before, self.cell.picture()], axis=1)
        cv2.imwrite(str(self._pictures / f'{name}.png'), both[..., ::-1])


class _Timed:
    """A proposer with a stop watch."""

    def __init__(self, proposer: GraspProposer, score: Score, part: str) -> None:
        self._proposer, self._score, self._part = proposer, score, part

    def propose(self, *args: Any, **kwargs: Any) -> list[Grasp]:
        """Propose, and note how long it took and how many came."""
        begun = time.perf_counter()
        try:
            grasps = self._proposer.propose(*args, **{**kwargs, 'part': self._part})
            self._score.proposals += len(grasps)
            return grasps
        finally:
            self._score.seconds.append(time.perf_counter() - begun)


def _draw_grasp(
    image: np.ndarray, observation: Observation, grasp: Grasp, context: Context
) -> None:
    """Draw the fingers and the approach."""
    import cv2

    from flow_manip_core.camera import project_from

    gripper = context.robot.gripper
    half, tip = grasp.width / 2, gripper.tip_offset
    palm = tip - gripper.finger_length
    lines = [(-half, tip), (-half, palm), (half, palm), (half, tip)]
    local = np.array([[0.0, y, z, 1.0] for y, z in lines] + [[0, 0, palm, 1], [0, 0, -0.1, 1]])
    world = (local @ grasp.T_world_tcp.T)[:, :3]
    pixels = np.rint(project_from(observation.camera, observation.T_world_camera, world))
    for a, b in ((0, 1), (1, 2), (2, 3), (4, 5)):
        one, other = (tuple(int(v) for v in pixels[i]) for i in (a, b))
        cv2.line(image, one, other, (255, 0, 255), 2)


def proposers(context: Context) -> dict[str, GraspProposer]:
    """Return ours and the peers."""
    return {
        'antipodal': AntipodalGrasps(AntipodalGrasps.Config(), context),
        'top_down': TopDown(context),
        'random_antipodal': RandomAntipodal(context),
    }


def run(
    shapes: dict[str, str] = SHAPES,
    poses: int = POSES,
    seed: int = SEED,
    only: tuple[str, ...] = (),
    pictures: Path | None = None,
    part: str = '',
) -> list[dict[str, Any]]:
    """Measure and return the rows."""
    bench = Bench(pictures)
    scores = {
        name: bench.try_out(name, proposer, shapes, poses, seed, part)
        for name, proposer in proposers(bench.context).items()
        if not only or name in only
    }
    rows = []
    for name, score in scores.items():
        successes = sum(map(sum, score.lifted.values()))
        low, high = wilson_interval(successes, score.n)
        peers = {} if name != 'antipodal' or len(scores) == 1 else _best_peer(scores)
        per_shape = {shape: sum(hits) for shape, hits in score.lifted.items()}
        common = {'n': score.n, 'seed': seed}
        rows.append(
            row(
                f'lifted_{name}',
                score.rate,
                '',
                limit=0.9 if name == 'antipodal' else None,
                wilson_low=low,
                wilson_high=high,
                poses_per_shape=poses,
                lifted_per_shape=per_shape,
                failures={s: dict(c) for s, c in score.failures.items() if c},
                **peers,
                **common,
            )
        )
        if score.seconds:
            rate = score.proposals / sum(score.seconds)
            limit = 20.0 if name == 'antipodal' else None
            rows.append(row(f'proposals_per_second_{name}', rate, '1/s', limit=limit, **common))
            rows.append(row(f'propose_{name}', median(score.seconds), 's', **common))
    return rows


def _best_peer(scores: dict[str, Score]) -> dict[str, Any]:
    """Return the fields that compare with the better of the peers."""
    others = {name: score.rate for name, score in scores.items() if name != 'antipodal'}
    best = max(others, key=lambda name: others[name])
    return {'peer': best, 'peer_value': others[best]}


def main() -> None:
    """Run a part of it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--poses', type=int, default=POSES, help='per shape')
    parser.add_argument('--seed', type=int, default=SEED, help='of the first pose')
    parser.add_argument('--shapes', default=','.join(SHAPES), help='some of them')
    parser.add_argument('--only', default='', help='proposers, all if empty')
    parser.add_argument('--pictures', type=Path, help='folder for pictures of failures')
    parser.add_argument('--part', default='', help='to hold everything by, e.g. handle')
    given = parser.parse_args()
    shapes = {name: SHAPES[name] for name in given.shapes.split(',')}
    only = tuple(filter(None, given.only.split(',')))
    for entry in run(shapes, given.poses, given.seed, only, given.pictures, given.part):
        print(f'{entry["name"]:<36} {entry["value"]:.4g} {entry["unit"]} (n {entry["n"]})')


if __name__ == '__main__':
    main()
