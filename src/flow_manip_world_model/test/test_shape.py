# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.errors import TooFewPointsError
from flow_manip_core.observation import Mask
from flow_manip_world_model.points import farthest_points, grow_mask, object_points
from flow_manip_world_model.scene import build_scene
from flow_manip_world_model.shape import convex_outline, estimate_shape, rectangle_center


@pytest.mark.parametrize('place', [(0.4, -0.2), (0.55, 0.1), (0.7, 0.25)])
@pytest.mark.parametrize(
    ('kind', 'arguments', 'radius', 'height'),
    [
        ('box', ((0.045, 0.045, 0.045), 0.4), 0.0318, 0.045),
        ('cylinder', (0.033, 0.12), 0.033, 0.12),
        ('bowl', (0.07, 0.05), 0.07, 0.05),
        ('bowl', (0.09, 0.015), 0.09, 0.015),
    ],
)
def test_the_hidden_side_is_completed(shapes, context, kind, arguments, radius, height, place):
    table = shapes['table']({'thing': shapes[kind](*place, *arguments)}, noise=0.001)
    observation, masks = table.observe()
    scene = build_scene(observation, context.rig, masks['thing'])
    shape = estimate_shape(scene, masks['thing'])
    assert shape.symmetric
    assert np.linalg.norm(shape.center - place) < 0.007
    assert shape.radius == pytest.approx(radius, abs=0.006)
    assert shape.height == pytest.approx(height, abs=0.004)
    assert shape.bottom == pytest.approx(0.0, abs=0.002)


def test_an_object_stands_on_what_is_below_it_and_not_on_the_table(shapes, context):
    things = {
        'box': shapes['box'](0.5, 0.0, (0.15, 0.15, 0.05)),
        'cube': shapes['box'](0.5, 0.0, (0.04, 0.04, 0.04), base=0.05),
    }
    observation, masks = shapes['table'](things).observe()
    shape = estimate_shape(build_scene(observation, context.rig, masks['cube']), masks['cube'])
    assert shape.bottom == pytest.approx(0.05, abs=0.003)
    assert shape.height == pytest.approx(0.04, abs=0.003)


def test_too_few_points_are_refused_with_the_number(shapes, context):
    observation, masks = shapes['table'](
        {'can': shapes['cylinder'](0.5, 0.0, 0.03, 0.1)}
    ).observe()
    rows, columns = np.nonzero(masks['can'].pixels)
    small = np.zeros_like(masks['can'].pixels)
    small[rows[:12], columns[:12]] = True
    with pytest.raises(
        TooFewPointsError, match=r"'speck' shows \d+ points with depth on 12 pixels; 40 are needed"
    ):
        object_points(observation.points_world(), Mask(small, 'speck'))


def test_a_small_mask_is_eroded_less(shapes):
    pixels = np.zeros((40, 40), dtype=bool)
    pixels[10:18, 10:18] = True
    points = np.zeros((40, 40, 3))
    points[..., 0], points[..., 1] = np.meshgrid(np.arange(40) * 1e-3, np.arange(40) * 1e-3)
    assert grow_mask(pixels, -2).sum() < 40
    assert len(object_points(points, Mask(pixels, 'small'))) >= 30


def test_farthest_points_cover_and_never_repeat():
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(500, 3))
    chosen = farthest_points(points, 64)
    assert len(np.unique(chosen)) == 64
    distance = np.linalg.norm(points[:, None] - points[chosen], axis=-1).min(axis=1)
    random = np.linalg.norm(points[:, None] - points[:64], axis=-1).min(axis=1)
    assert distance.max() < random.max()
    np.testing.assert_array_equal(np.sort(farthest_points(points[:5], 64)), np.arange(5))


def test_duplicates_do_not_stop_farthest_points():
    assert sorted(farthest_points(np.zeros((4, 3)), 4)) == [0, 1, 2, 3]


def test_the_smallest_rectangle_around_a_turned_one_has_its_centre():
    corners = np.array([[-2, -1], [2, -1], [2, 1], [-2, 1]], dtype=float)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    center = rectangle_center(corners @ turn.T + [3.0, 4.0])
    np.testing.assert_allclose(center, [3.0, 4.0], atol=1e-2)


def test_a_line_still_has_an_outline():
    outline = convex_outline(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]))
    assert len(outline) >= 3
