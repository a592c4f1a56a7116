# SPDX-License-Identifier: Apache-2.0
"""From flow to poses: 41 steps of 1024 points, 40 % of them wrong.

Weighted least squares of all steps at once against scipy's `Rotation.align_vectors` in a loop and
against the textbook's batched SVD in numpy; the same made robust; how far poses and joint axes are
off; and how often free motion is taken for a joint or a joint for free motion.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rows import row
from scipy.spatial.transform import Rotation

from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.rigid import fit_rigid_transforms
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_planning.flow_to_poses import fit_motion, FitConfig
from flow_manip_planning.flow_to_poses.consensus import find_consensus

Array = NDArray[np.float64]
STEPS, POINTS, OUTLIERS, NOISE = 41, 1024, 0.4, 0.003
REPEATS, SEED = 101, 0
MOTIONS = 40  # of each kind and noise
CENTER = np.array([0.5, 0.1, 0.1])
SHARE = np.linspace(0, 1, STEPS) ** 2 * (3 - 2 * np.linspace(0, 1, STEPS))


def run() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    return [*speed_rows(), *error_rows(), *joint_rows()]


def speed_rows() -> list[dict[str, Any]]:
    """Milliseconds per flow; medians, runs of the compared taken in turns."""
    flow, _ = disturbed(carried(np.random.default_rng(SEED)), POINTS, NOISE, OUTLIERS, SEED)
    points = flow.points.astype(np.float64)
    weights = np.random.default_rng(SEED).uniform(0.5, 1.0, (STEPS, POINTS))
    config, still = FitConfig(), FitConfig(joints=False)
    rng = np.random.default_rng(SEED)
    timed = in_turns(
        {
            'weighted': lambda: fit_rigid_transforms(points[0], points, weights),
            'scipy': lambda: align_vectors_loop(points[0], points, weights),
            'numpy': lambda: batched_svd(points[0], points, weights),
            'consensus': lambda: find_consensus(points[0], points, weights, config, rng),
            'robust': lambda: fit_motion(flow, still),
            'motion': lambda: fit_motion(flow, config),
        }
    )
    middle = {name: median(values) for name, values in timed.items()}
    loop = {'peer': 'scipy align_vectors loop', 'peer_value': middle['scipy']}
    plain = {'peer': 'batched numpy SVD', 'peer_value': middle['numpy']}

    def timing(name: str, call: str, **more: Any) -> dict[str, Any]:
        best = min(timed[call])  # what it takes where nothing else runs
        return row(name, middle[call], 'ms', n=REPEATS, seed=SEED, best=best, **more)

    return [
        timing('weighted', 'weighted', limit=1.0, **loop),
        timing('weighted_numpy', 'weighted', limit=1.0, **plain),
        timing('robust_fit', 'consensus', limit=10.0, **loop),
        timing('robust_motion', 'robust', limit=10.0),
        timing('motion_with_joints', 'motion'),
    ]


def error_rows() -> list[dict[str, Any]]:
    """How far the middle [mm] and the turn [degrees] are off, with outliers, in the mean."""
    config = FitConfig(joints=False, smoothing=0.0)
    rows, errors = [], []
    for seed in range(MOTIONS):
        truth = carried(np.random.default_rng(seed))
        flow, wrong = disturbed(truth, POINTS, NOISE, OUTLIERS, seed)
        points = flow.points.astype(np.float64)
        best = fit_rigid_transforms(points[0], points, ~wrong).transforms
        everything = fit_rigid_transforms(points[0], points).transforms
        ours = fit_motion(flow, config).poses
        errors.append([pose_errors(poses, truth) for poses in (ours, best, everything)])
    mean = np.sqrt((np.array(errors) ** 2).mean(axis=0))
    common = {'n': MOTIONS, 'seed': SEED, 'noise': NOISE, 'outliers': OUTLIERS}
    for index, (name, unit) in enumerate((('position', 'mm'), ('rotation', 'deg'))):
        for peer, other in (('fit of the right points', 1), ('fit of all points', 2)):
            rows.append(
                row(
                    f'{name}_error',
                    mean[0, index],
                    unit,
                    peer=peer,
                    peer_value=mean[other, index],
                    **common,
                )
            )
    return rows


def joint_rows() -> list[dict[str, Any]]:
    """Share of motions whose kind is told right, and the error of axes [degrees]."""
    rows = []
    for noise, outliers, points in ((0.0, 0.0, 256), (0.003, 0.4, 256), (0.01, 0.0, 256)):
        right = {'free': 0, 'revolute': 0, 'prismatic': 0}
        off = []
        for seed in range(MOTIONS):
            rng = np.random.default_rng([1, seed])
            axis, door = hinged(rng)
            direction, drawer = drawn(rng)
            for kind, poses, line in (
                ('free', carried(rng), None),
                ('revolute', door, axis),
                ('prismatic', drawer, direction),
            ):
                joint = fit_motion(disturbed(poses, points, noise, outliers, seed)[0]).joint
                if (joint.kind if joint else 'free') != kind:
                    continue
                right[kind] += 1
                if joint is not None:
                    off.append(np.degrees(np.arccos(min(1.0, abs(float(joint.axis @ line))))))
        common = {'n': MOTIONS, 'seed': SEED, 'noise': noise, 'outliers': outliers}
        name = f'{1000 * noise:.0f}mm_{100 * outliers:.0f}percent'
        for kind, count in right.items():
            rows.append(row(f'{kind}_{name}', count / MOTIONS, '', limit=1.0, **common))
        worst = float(np.max(off))
        rows.append(row(f'axis_{name}', float(np.median(off)), 'deg', worst=worst, **common))
    return rows


def in_turns(calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return the milliseconds of every run of each call."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPEATS + 3):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            taken[name].append(1000 * (time.perf_counter() - begun))
    return {name: values[3:] for name, values in taken.items()}


def align_vectors_loop(source: Array, target: Array, weights: Array) -> Array:
    """Fit step by step with scipy."""
    poses = np.tile(np.eye(4), (len(target), 1, 1))
    for pose, points, w in zip(poses, target, weights):
        total = w.sum()
        before, after = w @ source / total, w @ points / total
        rotation, _ = Rotation.align_vectors(points - after, source - before, w)
        pose[:3, :3] = rotation.as_matrix()
        pose[:3, 3] = after - pose[:3, :3] @ before
    return poses


def batched_svd(source: Array, target: Array, weights: Array) -> Array:
    """Fit all steps as one writes it down: centred points, einsum, SVD."""
    w = weights / weights.sum(axis=1, keepdims=True)
    before, after = w @ source, np.einsum('tn,tnc->tc', w, target)
    p, q = source - before[:, None], target - after[:, None]
    covariance = np.einsum('tn,tni,tnj->tij', w, q, p, optimize=True)
    u, _, vt = np.linalg.svd(covariance)
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    poses = np.tile(np.eye(4), (len(target), 1, 1))
    poses[:, :3, :3] = u @ vt
    poses[:, :3, 3] = after - (poses[:, :3, :3] @ before[..., None])[..., 0]
    return poses


def carried(rng: np.random.Generator) -> Array:
    """Poses of an object that is picked up, turned and put down."""
    delta = np.append(rng.uniform(-0.25, 0.25, 2), rng.uniform(-0.02, 0.1))
    lift, turn = rng.uniform(0.05, 0.15), rng.uniform(-1.5, 1.5)
    poses = []
    for s in SHARE:
        rotation = rotation_about([0, 0, 1], turn * s)
        end = CENTER + s * delta + [0, 0, lift * np.sin(np.pi * s)]
        poses.append(make_transform(end - rotation @ CENTER, rotation))
    return np.array(poses)


def hinged(rng: np.random.Generator) -> tuple[Array, Array]:
    """Axis and poses of a door or a lid."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    side = np.cross(axis, rng.normal(size=3))
    point = CENTER + rng.uniform(0.08, 0.4) * side / np.linalg.norm(side)
    angle = rng.uniform(0.5, 1.5)
    rotations = [rotation_about(axis, angle * s) for s in SHARE]
    return axis, np.array([make_transform(point - R @ point, R) for R in rotations])


def drawn(rng: np.random.Generator) -> tuple[Array, Array]:
    """Direction and poses of a drawer."""
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    way = rng.uniform(0.08, 0.25)
    return direction, np.array([make_transform(way * s * direction) for s in SHARE])


def disturbed(
    poses: Array, num_points: int, noise: float, outliers: float, seed: int
) -> tuple[ObjectFlow, NDArray[np.bool_]]:
    """Return the flow of a 6 cm cube's inside, and (T, N) which points are outliers."""
    rng = np.random.default_rng([2, seed])
    start = CENTER + rng.uniform(-0.03, 0.03, (num_points, 3))
    points = flow_from_transforms(start, poses, 0.1 * np.arange(STEPS)).points
    points = points + noise * rng.normal(size=points.shape)
    wrong = rng.random(points.shape[:2]) < outliers
    wrong[0] = False
    points[wrong] = rng.uniform(-0.5, 1.0, (int(wrong.sum()), 3))
    confidence = np.ones(points.shape[:2])
    return ObjectFlow(points, confidence, 0.1 * np.arange(STEPS)), wrong


def pose_errors(poses: Array, truth: Array) -> tuple[float, float]:
    """Return root mean square millimetres of the middle and degrees of the turn."""
    middle = [T[:, :3, :3] @ CENTER + T[:, :3, 3] for T in (poses, truth)]
    turned = Rotation.from_matrix(poses[:, :3, :3].swapaxes(1, 2) @ truth[:, :3, :3])
    away = ((middle[0] - middle[1]) ** 2).sum(axis=1).mean()
    return 1000 * float(np.sqrt(away)), float(
        np.degrees(np.sqrt((turned.magnitude() ** 2).mean()))
    )
