# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest

from flow_manip_planning.motion_planner.thinning import thin


def test_points_on_straight_lines_are_left_out():
    corners = np.array([[0.0, 0.0], [1.0, 0.5], [1.0, 2.0]])
    path = np.concatenate([np.linspace(a, b, 20) for a, b in pairwise(corners)])
    np.testing.assert_allclose(thin(path, 1e-6), corners)


@pytest.mark.parametrize('tolerance', [0.3, 0.05, 0.005])
def test_no_point_is_farther_from_the_thin_way_than_allowed(tolerance):
    at = np.linspace(0, 6, 400)
    path = np.stack([np.sin(at), np.cos(2 * at), 0.3 * at], axis=1)
    kept = thin(path, tolerance)
    np.testing.assert_array_equal(kept[[0, -1]], path[[0, -1]])
    line = np.concatenate([np.linspace(a, b, 300) for a, b in pairwise(kept)])
    away = np.abs(path[:, None] - line).max(axis=2).min(axis=1)
    assert away.max() <= tolerance + 2e-3
    assert len(kept) < len(path) / 4


def test_a_way_back_and_forth_keeps_its_turn():
    path = np.array([[0.0], [0.5], [1.0], [0.5], [0.0]])
    np.testing.assert_allclose(thin(path, 0.01), [[0.0], [1.0], [0.0]])


def test_two_points_stay():
    path = np.array([[0.0, 1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(thin(path, 0.1), path)
