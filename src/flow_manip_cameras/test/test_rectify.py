# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_cameras.rectify import Rectifier
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError

CAMERA = CameraModel(160, 120, 120.0, 121.0, 80.0, 59.0)
K1, K2 = 0.2, -0.05


def project(x, y):
    r2 = x * x + y * y
    factor = 1 + K1 * r2 + K2 * r2 * r2
    return CAMERA.fx * x * factor + CAMERA.cx, CAMERA.fy * y * factor + CAMERA.cy


def test_no_distortion_needs_no_rectifier():
    assert Rectifier.from_coefficients(CAMERA, 'plumb_bob', [0.0] * 5) is None


def test_asking_a_lens_model_on_a_grid_agrees_with_its_formula():
    exact = Rectifier.from_coefficients(CAMERA, 'plumb_bob', [K1, K2, 0.0, 0.0, 0.0])
    asked = Rectifier.from_projection(CAMERA, project)
    np.testing.assert_allclose(asked._map_u, exact._map_u, atol=0.05)
    np.testing.assert_allclose(asked._map_v, exact._map_v, atol=0.05)


def test_depth_is_moved_without_mixing_surfaces():
    rectifier = Rectifier.from_projection(CAMERA, project)
    depth = np.full((120, 160), 1.0, np.float32)
    depth[:, 100:] = 2.0
    depth[40:50, 20:30] = np.nan
    moved = rectifier.depth(depth)
    assert set(np.unique(moved[np.isfinite(moved)])) == {1.0, 2.0}
    assert np.isnan(moved[45, 25])
    assert np.isfinite(moved[60, 80])


def test_a_straight_edge_becomes_straight_again():
    # A vertical line of the world at x / z = 0.5, seen bent.
    v, u = np.mgrid[0:120, 0:160]
    image = np.zeros((120, 160, 3), np.uint8)
    for row in np.linspace(-0.49, 0.5, 2000):
        column, line = project(0.5, row)
        image[(np.abs(u - column) < 1.5) & (np.abs(v - line) < 1.0)] = 255
    straight = Rectifier.from_projection(CAMERA, project).color(image)
    columns = [np.average(np.arange(160), weights=straight[r, :, 0] + 1e-9) for r in (20, 60, 100)]
    np.testing.assert_allclose(columns, 0.5 * CAMERA.fx + CAMERA.cx, atol=0.7)


@pytest.mark.parametrize(
    ('model', 'd'),
    [('thin_prism', [0.1] * 5), ('plumb_bob', [0.1] * 3), ('plumb_bob', [np.nan] * 5)],
)
def test_a_model_that_is_not_known_is_refused(model, d):
    with pytest.raises(InvalidInputError, match='distortion'):
        Rectifier.from_coefficients(CAMERA, model, d)
