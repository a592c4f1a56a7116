# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_planning.flow_to_poses.denoising import denoise_poses, PoseNoise, SeriesSmoother

STEPS = 41
TIMES = 0.1 * np.arange(STEPS)
SHARE = TIMES / TIMES[-1]
EASED = 10 * SHARE**3 - 15 * SHARE**4 + 6 * SHARE**5
ALL = np.ones(STEPS, dtype=bool)
CENTER = np.array([0.5, 0.1, 0.1])


def truth(turn=1.0, axis=(0, 0.6, 0.8)):
    """Poses of a thing that is carried over an arc, from rest to rest, and turned."""
    poses = []
    for s in EASED:
        R = rotation_about(axis, turn * s)
        end = CENTER + np.array([0.1 * s, 0.3 * s, 0.1 * np.sin(np.pi * s)])
        poses.append(make_transform(end - R @ CENTER, R))
    return np.array(poses)


def noise_of(position=0.002, turn=(0.1, 0.03, 0.03), known=ALL):
    return PoseNoise(CENTER, np.eye(3), position, np.array(turn), known)


def disturbed(poses, noise, seed):
    """Poses as fits would find them, all relative to a first one that is as uncertain."""
    rng = np.random.default_rng(seed)
    turns = Rotation.from_rotvec(noise.turn * rng.normal(size=(STEPS, 3))).as_matrix()
    moved = poses.copy()
    moved[:, :3, :3] = poses[:, :3, :3] @ turns
    shifts = noise.position * rng.normal(size=(STEPS, 3))
    middles = poses[:, :3, :3] @ CENTER + poses[:, :3, 3] + shifts
    moved[:, :3, 3] = middles - moved[:, :3, :3] @ CENTER
    return moved @ np.linalg.inv(moved[0])


def errors(poses, right):
    away = (poses - right)[:, :3, :3] @ CENTER + (poses - right)[:, :3, 3]
    turned = Rotation.from_matrix(poses[:, :3, :3].swapaxes(1, 2) @ right[:, :3, :3]).magnitude()
    return np.sqrt((away**2).sum(axis=1).mean()), np.sqrt((turned**2).mean())


def test_noise_is_smoothed_away_and_the_motion_stays():
    ratios = []
    for seed in range(8):
        noisy = disturbed(truth(), noise_of(), seed)
        smooth = denoise_poses(TIMES, noisy, noise_of())
        ratios.append(np.divide(errors(smooth, truth()), errors(noisy, truth())))
        np.testing.assert_array_equal(smooth[0], np.eye(4))
        assert np.linalg.det(smooth[:, :3, :3]) == pytest.approx(np.ones(STEPS))
        bends = [np.abs(np.diff(p[:, :3, 3], n=2, axis=0)).mean() for p in (smooth, noisy)]
        assert bends[0] < 0.3 * bends[1]
    assert np.mean(ratios, axis=0)[0] < 0.6
    assert np.mean(ratios, axis=0)[1] < 0.6


def test_what_is_hardly_off_stays_as_it_is():
    exact = noise_of(1e-6, (1e-5, 1e-5, 1e-5))
    np.testing.assert_allclose(denoise_poses(TIMES, truth(), exact), truth(), atol=1e-5)
    corner = np.tile(np.eye(4), (STEPS, 1, 1))
    corner[:, 1, 3] = np.abs(SHARE - 0.5)
    corner[:, 1, 3] -= corner[0, 1, 3]
    np.testing.assert_allclose(denoise_poses(TIMES, corner, exact), corner, atol=1e-4)


def test_a_thing_that_does_not_turn_gets_no_turn():
    turns = []
    for seed in range(8):
        noisy = disturbed(truth(turn=0.0), noise_of(), seed)
        smooth = denoise_poses(TIMES, noisy, noise_of())
        turns.append([errors(p, truth(turn=0.0))[1] for p in (smooth, noisy)])
    assert np.mean(turns, axis=0)[0] < 0.15 * np.mean(turns, axis=0)[1]


def test_a_turn_of_which_nothing_is_known_does_not_happen():
    noise = noise_of(turn=(np.inf, 0.01, 0.01))
    spun = truth(turn=0.8, axis=(0, 0, 1))
    rng = np.random.default_rng(0)
    for step in range(1, STEPS):
        spun[step, :3, :3] = spun[step, :3, :3] @ rotation_about([1, 0, 0], 0.1 * rng.normal())
    smooth = Rotation.from_matrix(denoise_poses(TIMES, spun, noise)[:, :3, :3])
    steps = (smooth[:-1].inv() * smooth[1:]).as_rotvec()
    assert np.abs(steps[:, 0]).max() < 1e-3
    tip = truth(turn=0.8, axis=(0, 0, 1))[-1, :3, 0]
    assert smooth[-1].as_matrix()[:, 0] @ tip > np.cos(0.02)


def test_steps_that_were_not_seen_are_bridged():
    known = ALL.copy()
    known[12:20] = False
    noise = noise_of(1e-4, (1e-3, 1e-3, 1e-3), known)
    noisy = disturbed(truth(), noise, 2)
    noisy[12:20, :3, 3] += 0.03
    metres, _ = errors(denoise_poses(TIMES, noisy, noise)[12:20], truth()[12:20])
    assert metres < 0.002


def test_a_motion_that_is_cut_out_of_a_longer_one_keeps_its_speed_at_the_ends():
    steady = np.outer(SHARE, [0.2, 0.1, 0.0])
    rng = np.random.default_rng(0)
    for _ in range(4):
        noisy = steady + 0.003 * rng.normal(size=steady.shape)
        smooth = SeriesSmoother(TIMES, ALL).smooth(noisy, np.full(3, 0.003))
        off = smooth - steady
        assert np.sqrt((off**2).mean()) < 0.002
        assert np.abs(off[[0, -1]]).max() < 0.006


def test_rest_is_averaged_over():
    rng = np.random.default_rng(4)
    ends = []
    for _ in range(10):
        early = np.minimum(2 * SHARE, 1.0)[:, None]
        values = 0.2 * (10 * early**3 - 15 * early**4 + 6 * early**5)
        noisy = values + 0.004 * rng.normal(size=values.shape)
        smooth = SeriesSmoother(TIMES, ALL).smooth(noisy, np.array([0.004]))
        ends.append([smooth[-1] - values[-1], noisy[-1] - values[-1]])
    off = np.sqrt((np.array(ends) ** 2).mean(axis=0))
    assert off[0, 0] < 0.6 * off[1, 0]


def test_two_and_three_steps_are_left_alone():
    poses = truth()[[0, 20, 40]]
    noise = noise_of(known=np.ones(3, dtype=bool))
    np.testing.assert_array_equal(denoise_poses(np.arange(3.0), poses, noise), poses)
