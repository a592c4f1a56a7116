# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.camera import CameraModel, project_from
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import make_transform, rotation_about

CAMERA = CameraModel(64, 48, 60.0, 61.0, 31.5, 23.5)


def make_observation(**changes):
    fields = {
        'color': np.zeros((48, 64, 3), np.uint8),
        'depth': np.ones((48, 64), np.float32),
        'camera': CAMERA,
        'T_world_camera': np.eye(4),
    }
    return Observation(**{**fields, **changes})


def test_lifting_undoes_projecting():
    points = np.random.default_rng(0).uniform([-1, -1, 0.5], [1, 1, 3], (100, 3))
    lifted = CAMERA.deproject(CAMERA.project(points), points[:, 2])
    np.testing.assert_allclose(lifted, points, atol=1e-12)


def test_points_behind_the_camera_have_no_pixel():
    assert np.isnan(CAMERA.project([[0, 0, -1.0], [0, 0, 0.0]])).all()


def test_the_field_of_view_spans_the_image():
    camera = CameraModel.from_fov(640, 480, np.radians(45))
    top = camera.deproject([319.5, -0.5], 1.0)
    assert np.degrees(np.arctan(-top[1])) == pytest.approx(22.5)


@pytest.mark.parametrize(
    'values', [(0, 48, 1, 1, 0, 0), (64, 48, 0, 1, 0, 0), (64, 48, np.nan, 1, 0, 0)]
)
def test_impossible_intrinsics_are_refused(values):
    with pytest.raises(InvalidInputError):
        CameraModel(*values)


def test_a_skewed_camera_is_refused():
    with pytest.raises(InvalidInputError, match='skew'):
        CameraModel.from_matrix(64, 48, [[60, 1, 31], [0, 60, 23], [0, 0, 1]])


def test_world_points_of_a_moved_camera_come_back_to_their_pixels():
    T_world_camera = make_transform([0.3, 0.1, 2.0], rotation_about([1, 0, 0], np.pi))
    observation = make_observation(T_world_camera=T_world_camera)
    points = observation.points_world()
    assert points[..., 2] == pytest.approx(1.0)
    pixels = project_from(CAMERA, T_world_camera, points)
    np.testing.assert_allclose(pixels[10, 20], [20, 10], atol=1e-9)


def test_depth_that_is_not_positive_is_unknown():
    depth = np.ones((48, 64), np.float32)
    depth[0, :2] = [0.0, -1.0]
    assert np.isnan(make_observation(depth=depth).points_world()[0, :2]).all()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'color': np.zeros((48, 64, 3), np.float32)}, 'colour is'),
        ({'depth': np.ones((48, 63), np.float32)}, 'depth is'),
        ({'T_world_camera': np.eye(4) * 2}, 'rigid'),
        ({'joint_positions': {'a': np.nan}}, 'not finite'),
    ],
)
def test_observations_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        make_observation(**changes)


def test_a_mask_knows_its_box_and_points():
    pixels = np.zeros((48, 64), bool)
    pixels[10:13, 20:24] = True
    mask = Mask(pixels, 'cube')
    depth = np.ones((48, 64), np.float32)
    depth[10, 20] = np.nan
    assert mask.box == (20, 10, 4, 3)
    assert mask.points(make_observation(depth=depth)).shape == (11, 3)


def test_an_empty_mask_is_refused():
    with pytest.raises(InvalidInputError, match='empty'):
        Mask(np.zeros((4, 4), bool), 'cube')
