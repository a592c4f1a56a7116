# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.observation import Mask
from flow_manip_world_model.scene import build_scene, fill_depth, fit_support, image_directions


def test_the_support_is_found_beside_large_things(shapes, context):
    table = shapes['table']({'box': shapes['box'](0.5, 0.0, (0.3, 0.3, 0.02))}, noise=0.001)
    observation, masks = table.observe()
    scene = build_scene(observation, context.rig, masks['box'])
    assert scene.support.height == pytest.approx(0.0, abs=0.001)
    assert np.abs(scene.support.slope).max() < 0.005


def test_the_support_height_is_refined_when_the_rig_is_off(shapes):
    table = shapes['table']({'box': shapes['box'](0.5, 0.0, (0.05, 0.05, 0.05), base=0.02)}, 0.02)
    observation, masks = table.observe()
    scene = build_scene(observation, shapes['rig'](support=0.0).rig, masks['box'])
    assert scene.support.height_at([0.5, 0.0]) == pytest.approx(0.02, abs=0.002)


def test_a_tilted_support_is_fitted():
    rng = np.random.default_rng(0)
    xy = rng.uniform(-0.3, 0.3, size=(3000, 2))
    points = np.column_stack([xy, 0.01 + 0.03 * xy[:, 0] + 0.0005 * rng.normal(size=3000)])
    plane = fit_support(points, 0.0)
    assert plane.slope[0] == pytest.approx(0.03, abs=0.002)
    assert plane.height_at([0.2, 0.0]) == pytest.approx(0.016, abs=0.001)


def test_without_points_near_it_the_support_is_where_the_rig_says():
    assert fit_support(np.array([[0.5, 0.0, 0.3]]), 0.07).height == 0.07


def test_the_moving_object_is_no_obstacle_and_others_are(shapes, context):
    things = {
        'cube': shapes['box'](0.45, -0.15, (0.04, 0.04, 0.04)),
        'can': shapes['cylinder'](0.5, 0.15, 0.035, 0.1),
    }
    observation, masks = shapes['table'](things).observe()
    scene = build_scene(observation, context.rig, masks['cube'])
    height = scene.grid.sample(scene.filled, np.array([[0.45, -0.15], [0.5, 0.15]]), np.nan)
    np.testing.assert_allclose(height, [0.0, 0.1], atol=0.004)


def test_what_is_hidden_behind_a_thing_counts_as_filled_and_not_seen(shapes, context):
    things = {
        'can': shapes['cylinder'](0.5, 0.0, 0.035, 0.12),
        'cube': shapes['box'](0.45, -0.25, (0.04, 0.04, 0.04)),
    }
    observation, masks = shapes['table'](things).observe()
    scene = build_scene(observation, context.rig, masks['cube'])
    behind, before = np.array([0.43, 0.0]), np.array([0.58, 0.0])  # the camera is at large x
    assert 0.05 < scene.grid.sample(scene.filled, behind, np.nan) < 0.125
    assert scene.grid.sample(scene.filled, before, np.nan) == pytest.approx(0.0, abs=0.003)
    assert not scene.grid.sample(scene.seen, behind, False)
    assert scene.grid.sample(scene.seen, before, False)


def test_the_own_shadow_is_free_to_cross_but_not_seen(shapes, context):
    observation, masks = shapes['table'](
        {'can': shapes['cylinder'](0.5, 0.0, 0.035, 0.12)}
    ).observe()
    scene = build_scene(observation, context.rig, masks['can'])
    behind = np.array([0.43, 0.0])
    assert scene.grid.sample(scene.filled, behind, np.nan) == pytest.approx(0.0, abs=0.003)
    assert not scene.grid.sample(scene.seen, behind, False)


def test_directions_are_those_of_the_image(shapes, context):
    observation, _ = shapes['table']({'can': shapes['cylinder'](0.5, 0.0, 0.03, 0.1)}).observe()
    right, away = image_directions(observation.T_world_camera)
    np.testing.assert_allclose(right, [0.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(away, [-1.0, 0.0], atol=1e-9)


def test_a_camera_that_looks_straight_down_calls_the_upper_side_away():
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    right, away = image_directions(pose)
    np.testing.assert_allclose([*right, *away], [1.0, 0.0, 0.0, 1.0], atol=1e-9)


def test_holes_in_depth_take_the_nearest_value():
    depth = np.full((4, 6), np.nan, dtype=np.float32)
    depth[:, 0], depth[:, 5] = 1.0, 2.0
    np.testing.assert_array_equal(fill_depth(depth)[0], [1, 1, 1, 2, 2, 2])


def test_a_scene_outside_the_workspace_is_refused(shapes):
    observation, masks = shapes['table'](
        {'can': shapes['cylinder'](0.5, 0.0, 0.03, 0.1)}
    ).observe()
    far = shapes['rig'](lower=(5.0, 5.0, -0.1), upper=(6.0, 6.0, 1.0)).rig
    with pytest.raises(InvalidInputError, match='no point of the observation'):
        build_scene(observation, far, masks['can'])
    with pytest.raises(InvalidInputError, match='mask is'):
        build_scene(observation, far, Mask(np.ones((3, 3), dtype=bool), 'odd'))
