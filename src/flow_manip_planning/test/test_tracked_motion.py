# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import DegenerateFlowError
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.rigid import fit_flow_transforms
from flow_manip_planning.path_optimization.tracked_motion import fit_tracked_motion

STEPS, POINTS = 41, 120
SHARE = np.linspace(0, 1, STEPS) ** 2 * (3 - 2 * np.linspace(0, 1, STEPS))


def moved(seed, hidden=0.0, noise=0.0, outliers=0.0, start_seen=True):
    """Return a flow of a turning, lifted box, its poses and the middle of its points."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([0.45, -0.05, 0.0], [0.55, 0.05, 0.1], (POINTS, 3))
    axis, shift = rng.normal(size=3), rng.uniform(-0.3, 0.3, 3)
    axis *= 1.2 / np.linalg.norm(axis)
    middle = points.mean(axis=0)
    poses = np.tile(np.eye(4), (STEPS, 1, 1))
    for pose, s in zip(poses, SHARE):
        pose[:3, :3] = Rotation.from_rotvec(axis * s).as_matrix()
        pose[:3, 3] = middle - pose[:3, :3] @ middle + s * shift
        pose[2, 3] += 0.1 * np.sin(np.pi * s)
    flow = flow_from_transforms(points, poses, np.linspace(0, 5, STEPS))
    seen = rng.uniform(size=(STEPS, POINTS)) >= hidden
    seen[0] |= start_seen
    noisy = flow.points + noise * rng.normal(size=flow.points.shape)
    wrong = rng.uniform(size=seen.shape) < outliers
    wrong[0] = False
    noisy[wrong] += 0.1 * rng.normal(size=(int(wrong.sum()), 3))
    noisy[~seen] = np.nan
    return replace(flow, points=noisy, confidence=seen.astype(np.float32)), poses, middle


def errors(found, poses, middle):
    """Return the (T,) distances of the middle and the (T,) angles between poses."""
    away = (found - poses)[:, :3, :3] @ middle + (found - poses)[:, :3, 3]
    turns = Rotation.from_matrix(found[:, :3, :3].swapaxes(1, 2) @ poses[:, :3, :3])
    return np.linalg.norm(away, axis=1), turns.magnitude()


def test_clean_points_give_the_exact_motion():
    flow, poses, middle = moved(0)
    motion = fit_tracked_motion(flow)
    metres, radians = errors(motion.poses, poses, middle)
    assert metres.max() < 2e-4
    assert radians.max() < 2e-3
    np.testing.assert_array_equal(motion.poses[0], np.eye(4))
    np.testing.assert_allclose(motion.points, flow.points[0, motion.names], atol=1e-4)


@pytest.mark.parametrize('hidden', [0.5, 0.7, 0.9])
def test_hidden_points_and_noise_leave_the_end_where_its_deviation_says(hidden):
    for seed in range(3):
        flow, poses, middle = moved(seed, hidden, 0.003)
        motion = fit_tracked_motion(flow)
        metres, radians = errors(motion.poses, poses, middle)
        assert metres[-1] < 3.5 * motion.end_deviation[0]
        assert radians[-1] < 3.5 * motion.end_deviation[1]
        assert motion.end_deviation[0] < 0.005


def test_it_is_better_than_fits_against_the_first_step():
    ours, theirs = [], []
    for seed in range(4):
        flow, poses, middle = moved(seed, 0.9, 0.003)
        ours.append(errors(fit_tracked_motion(flow).poses, poses, middle)[0].max())
        theirs.append(errors(fit_flow_transforms(flow)[0], poses, middle)[0].max())
    assert np.mean(ours) < 0.7 * np.mean(theirs)


def test_points_that_nobody_saw_at_the_start_count_too():
    flow, poses, middle = moved(1, 0.9, 0.001, start_seen=False)
    with pytest.raises(DegenerateFlowError):
        fit_flow_transforms(flow)
    metres, radians = errors(fit_tracked_motion(flow).poses, poses, middle)
    assert metres.max() < 0.004
    assert radians.max() < 0.06


def test_outliers_lose_their_weight():
    flow, poses, middle = moved(2, 0.3, 0.002, outliers=0.25)
    motion = fit_tracked_motion(flow)
    metres, radians = errors(motion.poses, poses, middle)
    assert metres[-1] < 0.004
    assert radians[-1] < 0.04
    clean, _, _ = moved(2, 0.3, 0.0)
    wrong = np.linalg.norm(flow.points - clean.points, axis=-1)[:, motion.names] > 0.05
    used = motion.confidence > 0
    assert motion.weights[used & wrong].mean() < 0.1
    assert motion.weights[used & ~wrong].mean() > 0.6


def test_steps_that_show_nothing_are_bridged_smoothly():
    flow, poses, middle = moved(3, 0.2, 0.001)
    confidence = flow.confidence.copy()
    confidence[18:23] = 0.0
    metres, _ = errors(
        fit_tracked_motion(replace(flow, confidence=confidence)).poses, poses, middle
    )
    assert metres[18:23].max() < 0.003


def test_the_measured_noise_is_that_of_the_points():
    for noise in (0.002, 0.01):
        motion = fit_tracked_motion(moved(4, 0.5, noise)[0])
        assert motion.noise == pytest.approx(noise, rel=0.2)


def test_many_points_are_thinned_to_those_seen_most():
    flow, _, _ = moved(5)
    points = np.repeat(flow.points, 4, axis=1)
    confidence = np.repeat(flow.confidence, 4, axis=1)
    confidence[1:20, :200] = 0.0
    many = replace(
        flow, points=points, confidence=confidence, point_ids=np.empty(0, dtype=np.uint32)
    )
    motion = fit_tracked_motion(many)
    assert len(motion.names) == 300
    assert (motion.names >= 200).sum() == 280


def test_two_steps_are_enough():
    flow, poses, middle = moved(6)
    short = replace(flow, points=flow.points[[0, 6]], confidence=flow.confidence[[0, 6]],
                    times=flow.times[[0, 6]])  # fmt: skip
    metres, _ = errors(fit_tracked_motion(short).poses, poses[[0, 6]], middle)
    assert metres.max() < 1e-3
