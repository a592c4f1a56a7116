# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.errors import NoSupportError
from flow_manip_perception.support_plane import fit_support_plane


def table(rng, count=4000, tilt=0.0, noise=0.001, height=0.0):
    points = rng.uniform([0.3, -0.3, 0], [0.7, 0.3, 0], (count, 3))
    points[:, 2] = height + tilt * (points[:, 0] - 0.5) + rng.normal(size=count) * noise
    return points


@pytest.mark.parametrize('tilt', [0.0, 0.06, -0.1])
@pytest.mark.parametrize('noise', [0.0, 0.001, 0.003])
def test_recovers_a_known_plane_under_clutter(tilt, noise):
    rng = np.random.default_rng(0)
    clutter = rng.uniform([0.4, -0.2, 0.02], [0.6, 0.2, 0.2], (2500, 3))
    plane = fit_support_plane(np.concatenate([table(rng, tilt=tilt, noise=noise), clutter]), 0.0)
    expected = np.array([-tilt, 0, 1]) / np.hypot(tilt, 1)
    assert np.degrees(np.arccos(min(plane.normal @ expected, 1.0))) < 0.5
    flat = table(rng, tilt=tilt, noise=0.0)
    assert np.abs(plane.heights(flat)).max() < 0.001 + noise
    assert plane.normal[2] > 0


def test_heights_grow_along_the_normal():
    plane = fit_support_plane(table(np.random.default_rng(1), height=0.03), 0.0)
    assert plane.heights(np.array([0.5, 0.0, 0.13])) == pytest.approx(0.1, abs=1e-3)


def test_a_bend_of_the_sensor_is_taken_out():
    rng = np.random.default_rng(2)
    points = table(rng, noise=0.0005)
    points[:, 2] += 0.08 * (points[:, 1] ** 2 - 0.03)
    plane = fit_support_plane(points, 0.0)
    assert plane.warp.any()
    assert np.abs(plane.heights(points)).mean() < 0.001


def test_a_lower_shelf_and_a_wall_are_no_support():
    rng = np.random.default_rng(3)
    with pytest.raises(NoSupportError, match='height'):
        fit_support_plane(table(rng, height=-0.5), 0.0)
    wall = table(rng)[:, [2, 1, 0]]
    with pytest.raises(NoSupportError, match='leans by'):
        fit_support_plane(wall, 0.5, max_height_error=0.02)


def test_too_few_points_say_how_many():
    with pytest.raises(NoSupportError, match='only 12 points'):
        fit_support_plane(np.zeros((12, 3)), 0.0)


def test_rays_meet_the_plane():
    plane = fit_support_plane(table(np.random.default_rng(4), noise=0.0), 0.0)
    hit = plane.intersect(np.array([0, 0, 1.0]), np.array([[0.5, 0, -1.0], [0, 0, 1.0]]))
    np.testing.assert_allclose(hit[0], [0.5, 0, 0], atol=1e-6)
    assert np.isnan(hit[1]).all()
