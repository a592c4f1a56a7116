# SPDX-License-Identifier: Apache-2.0
"""Hidden points: where the object ends when 50, 70 or 90 % of them are not seen.

Random flows of 150 points over 50 steps with 3 mm noise. Points are hidden anyhow (`scattered`),
or by something that passes in front: whole sides of the object for a while (`passing`); the first
step is seen as a whole, since tracks start there, or as little as the others (`late`).
`point_tracking` carries the points in joint space; the rigid fits are least squares per step
against the first frame and against the step before, and `fit_motion`, the robust fit of
`rigid_path`. An error counts where a method answers; how often one does not stands beside it.

Other numbers of flows: ``python tests/benchmarks/occlusion.py --flows 50``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rows import row
from trajectory import make_trial, Trial

from flow_manip_core.errors import DegenerateFlowError, FlowManipError, NoPathError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.rigid import fit_flow_transforms, fit_rigid_transform
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import invert_transform
from flow_manip_planning.flow_planner.following import tracked_path, TrackedConfig
from flow_manip_planning.flow_planner.point_tracking import point_targets
from flow_manip_planning.flow_to_poses import fit_motion
from flow_manip_planning.inverse_kinematics import follow_poses
from flow_manip_planning.kinematics import pose_errors
from flow_manip_planning.path_optimization import DREAM2FLOW, PathOptimizer
from flow_manip_planning.robot_model import RobotModel

Array = NDArray[np.float64]
FLOWS, SEED, NOISE = 12, 0, 0.003
SHARES = (0.5, 0.7, 0.9)
PATTERNS = ('scattered', 'passing', 'late')
Method = Callable[[Trial, ObjectFlow], Array]


def run(flows: int = FLOWS, seed: int = SEED) -> list[dict[str, Any]]:
    """Measure and return the rows."""
    robot = RobotModel.from_context(Context(load_robot('franka'), load_rig('tabletop')))
    trials = [make_trial(robot, seed + k) for k in range(flows)]
    methods: dict[str, Method] = {
        'point_tracking': lambda trial, flow: tracked_in_joints(robot, trial, flow),
        'first_frame': lambda trial, flow: fit_flow_transforms(flow)[0],
        'adjacent': lambda trial, flow: adjacent_fits(flow),
        'fit_motion': lambda trial, flow: fit_motion(flow).poses,
    }
    rows = []
    for pattern in PATTERNS:
        for share in SHARES:
            seen = [hidden_flow(t, pattern, share, seed + k) for k, t in enumerate(trials)]
            errors = {name: _errors(work, trials, seen) for name, work in methods.items()}
            rows += _rows(f'{pattern}_{round(100 * share)}', errors, flows, seed)
    return rows


def hidden_flow(trial: Trial, pattern: str, share: float, seed: int) -> ObjectFlow:
    """Return the trial's flow with noise, and NaN where it is hidden."""
    rng = np.random.default_rng([11, seed])
    num_steps, num_points = trial.flow.confidence.shape
    if pattern == 'passing':
        hidden = _passing(trial, share, rng)
    else:
        hidden = rng.uniform(size=(num_steps, num_points)) < share
    hidden[0] &= pattern == 'late'
    points = trial.flow.points + NOISE * rng.normal(size=trial.flow.points.shape)
    points[hidden] = np.nan
    return replace(trial.flow, points=points, confidence=(~hidden).astype(np.float32))


def _passing(trial: Trial, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Hide the points on one side of planes that sweep over the object, to and fro."""
    num_steps = trial.flow.num_steps
    local = trial.flow.points[0] - trial.flow.points[0].mean(axis=0)
    side = rng.normal(size=3)
    turn = np.linspace(0, rng.uniform(1, 3) * np.pi, num_steps)
    across = np.cross(side, rng.normal(size=3))
    directions = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * across
    heights = directions @ local.T
    return heights > np.quantile(heights, 1.0 - share, axis=1, keepdims=True)


def tracked_in_joints(robot: RobotModel, trial: Trial, flow: ObjectFlow) -> Array:
    """Return the object's poses in the hand of `point_tracking`, without obstacles."""
    path = tracked_path(flow, TrackedConfig(max_end_doubt=0.1))
    hands = path.poses @ trial.grasp
    start = trial.ends[:1]
    q, met = follow_poses(robot.chain, hands[None, 1:], start, start)
    if not met.all():
        raise NoPathError('the fitted motion is out of reach')
    guess = np.concatenate([start, q[0]])
    targets = point_targets(path, flow, path.times, trial.grasp)
    far = replace(trial.scene, obstacles=np.empty((0, 3)), support_height=-1.0)
    found = PathOptimizer(robot, far, DREAM2FLOW).track(guess, targets, times=path.times)
    return robot.chain.tip(found.q) @ invert_transform(trial.grasp)


def adjacent_fits(flow: ObjectFlow) -> Array:
    """Return poses chained from fits to the step before, on what is visible at both."""
    points, visible = flow.points.astype(np.float64), flow.visible
    poses = np.tile(np.eye(4), (flow.num_steps, 1, 1))
    for step in range(1, flow.num_steps):
        both = visible[step - 1] & visible[step]
        poses[step] = (
            fit_rigid_transform(points[step - 1][both], points[step][both]) @ poses[step - 1]
        )
    return poses


def _errors(work: Method, trials: list[Trial], flows: list[ObjectFlow]) -> Array:
    """Return (A, 3) end error [mm], end turn [deg] and largest error on the way [mm]."""
    found = []
    for trial, flow in zip(trials, flows):
        try:
            poses = work(trial, flow)
        except (DegenerateFlowError, NoPathError) as error:
            print(f'  {type(error).__name__}: {error}', flush=True)
            continue
        except FlowManipError as error:
            raise RuntimeError(f'an error that nobody expects here: {error}') from error
        middle = trial.shape.mean(axis=0)
        off = (poses - trial.poses)[:, :3, :3] @ middle + (poses - trial.poses)[:, :3, 3]
        away = 1e3 * np.linalg.norm(off, axis=1)
        turn = np.degrees(np.linalg.norm(pose_errors(trial.poses[-1], poses[-1])[3:]))
        found.append([away[-1], turn, away.max()])
    return np.array(found).reshape(-1, 3)


def _rows(name: str, errors: dict[str, Array], flows: int, seed: int) -> list[dict[str, Any]]:
    """Return a row per measure, method against the best of the others that always answers."""
    rows = []
    ours = errors.pop('point_tracking')
    for column, (what, unit) in enumerate(
        (('end_error', 'mm'), ('end_turn', 'deg'), ('way_error', 'mm'))
    ):
        value = median(ours[:, column]) if len(ours) else float('nan')
        for peer, theirs in errors.items():
            theirs_value = median(theirs[:, column]) if len(theirs) else None
            rows.append(
                row(
                    f'{name}_{what}', value, unit, n=flows, seed=seed, peer=peer,
                    peer_value=theirs_value, answered=len(ours), peer_answered=len(theirs),
                )
            )  # fmt: skip
    return rows


def main() -> None:
    """Run a part of it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--flows', type=int, default=FLOWS)
    parser.add_argument('--seed', type=int, default=SEED)
    given = parser.parse_args()
    for entry in run(given.flows, given.seed):
        theirs = 'no answer' if entry['peer_value'] is None else f'{entry["peer_value"]:.3g}'
        print(
            f'{entry["name"]:<28} {entry["value"]:.3g} {entry["unit"]} '
            f'({entry["answered"]}/{entry["n"]})  {entry["peer"]}: {theirs} '
            f'({entry["peer_answered"]}/{entry["n"]})'
        )


if __name__ == '__main__':
    main()
