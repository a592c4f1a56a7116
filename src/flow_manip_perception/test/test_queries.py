# SPDX-License-Identifier: Apache-2.0
"""Queries: grids and farthest points."""

import time

import numpy as np
import pytest

from flow_manip_core.errors import InvalidInputError
from flow_manip_perception.tracking.queries import farthest_queries, grid_queries


def test_a_grid_has_the_middles_of_equal_cells():
    points = grid_queries((64, 32), 4)
    assert points.shape == (16, 2)
    np.testing.assert_allclose(points[0], [7.5, 3.5])
    np.testing.assert_allclose(points[-1], [55.5, 27.5])


def test_farthest_points_lie_in_the_mask_apart_and_are_the_same_every_time():
    mask = np.zeros((120, 160), bool)
    mask[20:100, 30:130] = True
    mask[50:60, 60:70] = False
    points = farthest_queries(mask, seed=3)
    assert len(points) == np.ceil(0.01 * mask.sum())
    assert mask[points[:, 1].astype(int), points[:, 0].astype(int)].all()
    away = np.linalg.norm(points[:, None] - points[None], axis=2)
    away[np.diag_indices(len(points))] = np.inf
    # One point per 100 px: evenly spread ones would be 10 px apart, drawn at random some touch.
    assert away.min() > 6.0
    assert np.array_equal(points, farthest_queries(mask, seed=3))
    assert not np.array_equal(points, farthest_queries(mask, seed=4))


def test_numbers_of_farthest_points_are_bounded_on_both_sides():
    large, small = np.ones((480, 640), bool), np.zeros((480, 640), bool)
    small[5, 5:12] = True
    begun = time.perf_counter()
    assert len(farthest_queries(large)) == 1024
    assert time.perf_counter() - begun < 1.0
    assert len(farthest_queries(small, min_points=64)) == 7
    assert len(farthest_queries(small)) == 1


@pytest.mark.parametrize(
    'call',
    [
        lambda: farthest_queries(np.zeros((4, 4), bool)),
        lambda: farthest_queries(np.ones((4, 4), bool), ratio=0.0),
        lambda: grid_queries((10, 10), 0),
        lambda: grid_queries((10, 10), 11),
    ],
)
def test_what_cannot_be_sampled_is_refused(call):
    with pytest.raises(InvalidInputError):
        call()
