# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_world_model.flow.diffusion.codec import FlowCodec
from flow_manip_world_model.flow.diffusion.config import CodecConfig, ImageConfig
from flow_manip_world_model.flow.diffusion.views import HEIGHT, make_views, OBJECT, REFERENCES, XYZ

CODEC = CodecConfig(grid=8, frames=4, coordinates='motion')
CONV = ImageConfig(kind='conv', height=96, width=128, crop=40)


@pytest.fixture(scope='module')
def scene(shapes):
    table = shapes['table'](
        {
            'box': shapes['box'](0.45, 0.1, (0.06, 0.08, 0.05)),
            'plate': shapes['bowl'](0.55, -0.15, 0.1, 0.02),
        }
    )
    observation, masks = table.observe()
    return observation, masks, FlowCodec(CODEC).anchors(observation, masks['box'])


def test_every_pixel_knows_where_it_is_in_space(scene):
    observation, masks, anchors = scene
    views = make_views(observation, masks['box'], anchors, CONV)
    middle = anchors.points(observation)[anchors.valid].mean(axis=0)
    # Colour, depth and mask of the small image are those of the large one, five times as wide.
    camera = observation.points_world()[2::5, 2::5]
    expected = transform_points(invert_transform(observation.T_world_camera), camera) - middle
    known = views.scene[7] > 0.5
    np.testing.assert_array_equal(known, np.isfinite(camera[..., 2]))
    shown = views.scene[XYZ].transpose(1, 2, 0) * CONV.reach
    near = known & (np.abs(expected).max(axis=-1) < 1.0)
    assert near.mean() > 0.8
    np.testing.assert_allclose(shown[near], expected[near], atol=0.005)
    np.testing.assert_allclose(views.scene[6][near] * HEIGHT, camera[..., 2][near], atol=0.005)
    assert views.scene[6][masks['box'].pixels[2::5, 2::5]].mean() * HEIGHT > 0.03


def test_the_mask_is_shown_and_references_only_where_asked_for(scene):
    observation, masks, anchors = scene
    views = make_views(observation, masks['box'], anchors, CONV, [masks['plate']])
    share = masks['box'].pixels.mean()
    assert views.scene[OBJECT].mean() == pytest.approx(share, rel=0.05)
    assert (views.scene[REFERENCES] == 0).all()
    told = replace(CONV, references=True)
    views = make_views(observation, masks['box'], anchors, told, [masks['plate']])
    assert views.scene[REFERENCES].mean() == pytest.approx(masks['plate'].pixels.mean(), rel=0.05)


def test_anchors_lie_on_the_object_in_the_crop(scene):
    observation, masks, anchors = scene
    views = make_views(observation, masks['box'], anchors, CONV)
    places = np.round((views.places + 1.0) / 2.0 * CONV.crop - 0.5).astype(int)
    u, v = places[anchors.valid].T
    assert views.crop[OBJECT][v, u].min() > 0.4
    # With half a side of margin on either side, the object takes the middle half.
    assert np.abs(views.places).max() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(views.crop[XYZ][:, v, u].T, views.points[anchors.valid], atol=0.03)


def test_points_and_facts_are_about_the_objects_middle(scene):
    observation, masks, anchors = scene
    views = make_views(observation, masks['box'], anchors, CONV)
    np.testing.assert_allclose(views.points[anchors.valid].mean(axis=0), 0.0, atol=1e-5)
    up, middle = views.facts[:3], views.facts[3:6]
    np.testing.assert_allclose(observation.T_world_camera[:3, :3] @ up, [0, 0, 1], atol=1e-5)
    world = transform_points(observation.T_world_camera, middle)
    np.testing.assert_allclose(world, [0.47, 0.1, 0.04], atol=0.03)


def test_a_box_at_the_edge_of_the_image_is_filled_up_with_nothing(scene, shapes):
    table = shapes['table']({'box': shapes['box'](0.4, 0.5, (0.08, 0.2, 0.05))})
    observation, masks = table.observe()
    assert masks['box'].box[0] == 0 or sum(masks['box'].box[::2]) == 640
    anchors = FlowCodec(CODEC).anchors(observation, masks['box'])
    views = make_views(observation, masks['box'], anchors, CONV)
    outside = views.crop[7] == 0
    assert outside.any()
    assert (views.crop[3:, outside] == 0).all()
    assert np.isfinite(views.crop).all()


def test_clip_is_shown_the_picture_and_points_between_minus_one_and_one(scene):
    observation, masks, anchors = scene
    views = make_views(observation, masks['box'], anchors, ImageConfig())
    assert views.scene.shape == (3, 224, 224)
    assert views.crop.shape[1:] == (0, 0)
    assert np.abs(views.points[..., :2]).max() <= 1.0
    np.testing.assert_allclose(views.points[..., 2], anchors.depth, rtol=1e-6)
    white = replace(observation, color=np.full_like(observation.color, 255))
    shown = make_views(white, masks['box'], anchors, ImageConfig()).scene
    np.testing.assert_allclose(shown.max(axis=(1, 2)), [1.93, 2.075, 2.146], atol=0.01)
