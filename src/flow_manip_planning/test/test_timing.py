# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest
from scipy.interpolate import CubicSpline, PchipInterpolator

from flow_manip_core.errors import LimitsError
from flow_manip_core.plan import Trajectory
from flow_manip_planning.timing import check_limits, corner_spline, time_path

NAMES = ('a', 'b', 'c')
MAX_VELOCITY = np.array([2.0, 1.5, 2.5])
MAX_ACCELERATION = np.array([5.0, 4.0, 8.0])


def assert_sound(trajectory):
    assert trajectory.times[0] == 0.0
    assert np.abs(trajectory.velocities[[0, -1]]).max() == 0.0
    assert (np.abs(trajectory.velocities) <= MAX_VELOCITY * (1 + 1e-6)).all()
    assert (np.abs(trajectory.accelerations) <= MAX_ACCELERATION * (1 + 1e-6)).all()
    # Velocities are those of the positions: the trapezoid rule gives the way back.
    step = np.diff(trajectory.times)[:, None]
    way = np.cumsum(step * (trajectory.velocities[1:] + trajectory.velocities[:-1]) / 2, axis=0)
    np.testing.assert_allclose(way, trajectory.positions[1:] - trajectory.positions[0], atol=4e-3)


@pytest.mark.parametrize('seed', range(12))
def test_random_paths_stay_within_the_limits(seed):
    rng = np.random.default_rng(seed)
    corners = np.cumsum(rng.normal(size=(rng.integers(2, 7), 3)), axis=0)
    trajectory = time_path(corner_spline(corners, 0.2), NAMES, MAX_VELOCITY, MAX_ACCELERATION)
    assert_sound(trajectory)
    np.testing.assert_allclose(trajectory.positions[0], corners[0])
    np.testing.assert_allclose(trajectory.positions[-1], corners[-1], atol=1e-9)


@pytest.mark.parametrize('seed', [1, 10, 13, 51, 100, 153, 189, 280, 320])
def test_tightly_rounded_corners_neither_stall_nor_break_a_limit(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-1, 1, (rng.integers(3, 9), 3))
    curve = corner_spline(corners, rng.choice([0.4, 0.15, 0.05]))
    trajectory = time_path(curve, NAMES, np.full(3, 1.7), np.array([3.0, 2.25, 4.5]))
    check_limits(trajectory, np.full(3, 1.7), np.array([3.0, 2.25, 4.5]))
    np.testing.assert_allclose(trajectory.positions[-1], corners[-1], atol=1e-9)


def test_a_straight_line_takes_nearly_the_shortest_possible_time():
    line = CubicSpline([0.0, 1.0, 2.0, 3.0], np.linspace(0, 1, 4)[:, None] * [3.0, 0.0, 0.0])
    trajectory = time_path(line, NAMES, MAX_VELOCITY, MAX_ACCELERATION)
    # Full acceleration to full speed and back: d / v + v / a.
    assert 3.0 / 2.0 + 2.0 / 5.0 <= trajectory.duration < 1.06 * (3.0 / 2.0 + 2.0 / 5.0)


def test_wished_times_are_kept_where_the_joints_can_follow():
    times = np.linspace(0.0, 8.0, 40)
    gentle = CubicSpline(times, np.sin(times / 4)[:, None] * [0.5, 0.3, 0.2])
    trajectory = time_path(gentle, NAMES, MAX_VELOCITY, MAX_ACCELERATION, max_speed=1.0)
    assert 8.0 <= trajectory.duration < 8.2
    assert_sound(trajectory)


def test_wished_times_that_are_too_fast_are_stretched():
    times = np.linspace(0.0, 0.2, 20)
    hasty = CubicSpline(times, np.sin(times * 5)[:, None] * [2.0, 1.0, -1.0])
    trajectory = time_path(hasty, NAMES, MAX_VELOCITY, MAX_ACCELERATION, max_speed=1.0)
    assert trajectory.duration > 0.6
    assert_sound(trajectory)


def test_a_path_with_a_pause_is_timed():
    times = np.linspace(0, 4, 41)
    moved = np.clip(times, 0, 1) + np.clip(times - 3, 0, 1)
    trajectory = time_path(
        CubicSpline(times, moved[:, None] * [0.3, 0.1, 0.2]),
        NAMES,
        MAX_VELOCITY,
        MAX_ACCELERATION,
        max_speed=1.0,
    )
    assert 4.0 <= trajectory.duration < 4.6
    assert_sound(trajectory)


@pytest.mark.parametrize('seed', range(8))
def test_knots_closer_than_an_even_grid_neither_stall_nor_break_a_limit(seed):
    # Steps of a flow that turns fast here and rests there, with the errors of inverse kinematics.
    rng = np.random.default_rng(seed)
    times = np.cumsum(np.concatenate([[0.0], rng.choice([0.02, 0.06, 0.125], 150)]))
    share = np.clip(times / times[-1] * 2.0, 0.0, 1.0)
    moved = (10 * share**3 - 15 * share**4 + 6 * share**5)[:, None] * [1.5, -1.0, 2.0]
    path = CubicSpline(times, moved + 1e-3 * rng.normal(size=moved.shape))
    trajectory = time_path(path, NAMES, MAX_VELOCITY, MAX_ACCELERATION, max_speed=1.0)
    assert_sound(trajectory)
    assert trajectory.duration < 2.5 * times[-1]


def test_a_rest_of_a_flow_lasts_as_long_as_in_the_flow():
    times = np.linspace(0, 4, 33)
    share = np.clip(times, 0, 1) + np.clip(times - 3, 0, 1)
    moved = PchipInterpolator(times, share[:, None] * [0.3, 0.1, 0.2])
    dense = np.unique(np.concatenate([times, np.linspace(0, 1, 60), np.linspace(3, 4, 60)]))
    trajectory = time_path(
        CubicSpline(dense, moved(dense)), NAMES, MAX_VELOCITY, MAX_ACCELERATION, max_speed=1.0
    )
    still = (np.abs(trajectory.velocities) < 1e-2).all(axis=1)
    resting = trajectory.times[still & (np.abs(trajectory.positions[:, 0] - 0.3) < 1e-3)]
    assert 1.9 < np.ptp(resting) < 2.2
    assert_sound(trajectory)


def test_rounded_corners_stay_close_to_the_corners():
    corners = np.array([[0.0, 0, 0], [1.0, 0, 0], [1.0, 1.0, 0], [0.0, 1.0, 0.5]])
    curve = corner_spline(corners, 0.1)(np.linspace(0, 1, 400))
    distances = []
    for a, b in pairwise(corners):
        share = np.clip((curve - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        distances.append(np.linalg.norm(curve - (a + share[:, None] * (b - a)), axis=1))
    assert np.min(distances, axis=0).max() < 0.1


def test_a_broken_limit_is_named_with_its_numbers():
    still, moving = np.zeros((2, 3)), np.array([[0.0, 0, 0], [0.0, 1.6, 0]])
    trajectory = Trajectory(NAMES, np.array([0.0, 1.0]), still, moving, still)
    with pytest.raises(LimitsError, match=r'b would need velocity 1\.600, its limit is 1\.500'):
        check_limits(trajectory, MAX_VELOCITY, MAX_ACCELERATION)
