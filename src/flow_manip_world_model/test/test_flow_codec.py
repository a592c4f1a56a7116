# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.errors import ConfigurationError, InvalidInputError, TooFewPointsError
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.observation import Mask
from flow_manip_core.transforms import make_transform, rotation_about, transform_points
from flow_manip_world_model.flow.diffusion.codec import FlowCodec, masked_depth
from flow_manip_world_model.flow.diffusion.config import CodecConfig

FRAMES = 6
IMAGE = CodecConfig(grid=8, frames=FRAMES)
MOTION = CodecConfig(grid=8, frames=FRAMES, coordinates='motion')


@pytest.fixture(scope='module')
def scene(shapes):
    table = shapes['table']({'box': shapes['box'](0.45, 0.05, (0.06, 0.08, 0.05))}, width=320)
    observation, masks = table.observe()
    return observation, masks['box']


def some_flow(observation, mask, *, steps=FRAMES + 1, times=None):
    """Lift, carry and turn every pixel of the box."""
    points = observation.points_world()[mask.pixels]
    middle = points.mean(axis=0)
    poses = []
    for share in np.linspace(0.0, 1.0, steps):
        turn = rotation_about([0.2, 0.1, 1.0], 0.8 * share)
        moved = middle + np.array([0.15 * share, -0.2 * share, 0.1 * np.sin(np.pi * share)])
        poses.append(make_transform(moved, turn) @ make_transform(-middle))
    times = np.linspace(0.0, 2.0, steps) if times is None else times
    return flow_from_transforms(points, np.array(poses), times, object='box')


@pytest.mark.parametrize('config', [IMAGE, MOTION])
def test_a_flow_comes_back_as_it_was_for_the_points_of_the_grid(scene, config):
    observation, mask = scene
    flow = some_flow(observation, mask)
    codec = FlowCodec(config)
    encoded = codec.encode(flow, observation)
    back = codec.decode(encoded.values, encoded.anchors, observation, object='box')
    chosen = encoded.chosen[encoded.anchors.valid]
    assert len(chosen) > 30
    assert len(set(chosen)) == len(chosen)
    np.testing.assert_allclose(back.points, flow.points[:, chosen], atol=2e-6)
    np.testing.assert_array_equal(back.confidence, 1.0)
    assert back.object == 'box'


def test_uneven_times_are_resampled_evenly(scene):
    observation, mask = scene
    even = some_flow(observation, mask, steps=121)
    shares = np.linspace(0.0, 1.0, 121)
    kept = np.unique(np.r_[0, np.random.default_rng(0).integers(1, 120, 60), 120])
    uneven = ObjectFlow(even.points[kept], even.confidence[kept], 2.0 * shares[kept])
    codec = FlowCodec(MOTION)
    expected = codec.encode(even, observation).values
    np.testing.assert_allclose(codec.encode(uneven, observation).values, expected, atol=0.02)


def test_what_rests_is_zero_in_motion_coordinates(scene):
    observation, mask = scene
    flow = some_flow(observation, mask)
    still = replace(flow, points=np.repeat(flow.points[:1], len(flow.points), axis=0))
    values = FlowCodec(MOTION).encode(still, observation).values
    np.testing.assert_allclose(values[..., :3], 0.0, atol=1e-6)
    np.testing.assert_array_equal(values[..., 3], 1.0)


def test_a_unit_of_motion_is_about_the_scale_along_each_axis(scene):
    observation, mask = scene
    still = some_flow(observation, mask, steps=2)
    for axis in np.eye(3):
        step = observation.T_world_camera[:3, :3] @ axis * MOTION.scale * 0.2
        points = np.stack([still.points[0], still.points[0] + step])
        moved = ObjectFlow(points, still.confidence, still.times)
        last = FlowCodec(MOTION).encode(moved, observation).values[-1, ..., :3]
        # Motion along the axis moves what is off the centre of the image too: hence the room.
        np.testing.assert_allclose(last.mean(axis=(0, 1)), 0.2 * axis, atol=0.02)


def test_image_coordinates_are_the_papers(scene):
    observation, mask = scene
    values = FlowCodec(IMAGE).encode(some_flow(observation, mask), observation)
    u = values.anchors.pixels[..., 0] / (observation.camera.width - 1) * 2 - 1
    first = values.values[0]
    assert np.abs(first[..., 0] - u).max() < 0.2
    assert np.abs(values.values[..., :2]).max() <= 1.0
    depth = (first[..., 2] + 1) / 2 * 1.5
    np.testing.assert_allclose(depth, values.anchors.depth, atol=0.1)


def test_hidden_points_are_hidden_in_the_fourth_channel(scene):
    observation, mask = scene
    flow = some_flow(observation, mask)
    confidence = flow.confidence.copy()
    confidence[3:, ::2] = 0.0
    points = flow.points.copy()
    points[4:, ::2] = np.nan
    codec = FlowCodec(MOTION)
    encoded = codec.encode(replace(flow, points=points, confidence=confidence), observation)
    hidden = encoded.chosen % 2 == 0
    assert hidden.any()
    assert not hidden.all()
    np.testing.assert_array_equal(encoded.values[2:, hidden, 3], -1.0)
    np.testing.assert_array_equal(encoded.values[2:, ~hidden, 3], 1.0)
    assert np.isfinite(encoded.values).all()
    own = encoded.anchors.valid & hidden
    assert encoded.known[2, own].all()
    assert not encoded.known[3:, own].any()
    back = codec.decode(encoded.values, encoded.anchors, observation)
    np.testing.assert_array_equal(
        back.visible[3:], ~hidden[encoded.anchors.valid][None].repeat(4, 0)
    )


def test_anchors_lie_on_the_eroded_mask_one_per_cell(scene):
    observation, mask = scene
    codec = FlowCodec(replace(MOTION, erosion=3))
    anchors = codec.anchors(observation, mask)
    u, v = anchors.pixels.astype(int)[anchors.valid].T
    assert mask.pixels[v, u].all()
    assert all(mask.pixels[v + dv, u + du].all() for du in (-2, 2) for dv in (-2, 2))
    np.testing.assert_array_equal(anchors.depth[anchors.valid], observation.depth[v, u])
    assert len({*zip(u, v)}) == anchors.valid.sum()
    # Rows go down, columns to the right.
    assert (np.diff(anchors.pixels[..., 0].mean(axis=0)) > 0).all()
    assert (np.diff(anchors.pixels[..., 1].mean(axis=1)) > 0).all()


def test_a_cell_off_the_object_shows_its_neighbour_and_is_not_decoded(scene):
    observation, mask = scene
    columns = np.arange(observation.camera.width)[None]
    x, _, width, _ = mask.box
    split = Mask(mask.pixels & (np.abs(columns - x - width / 2) > width / 5), 'box')
    codec = FlowCodec(MOTION)
    anchors = codec.anchors(observation, split)
    assert 0.3 < anchors.valid.mean() < 0.9
    pixels = {tuple(p) for p in anchors.pixels[anchors.valid]}
    assert all(tuple(p) in pixels for p in anchors.pixels[~anchors.valid])
    flow = codec.decode(np.zeros((FRAMES, 8, 8, 4)), anchors, observation)
    assert flow.num_points == anchors.valid.sum()


def test_too_little_of_the_object_is_said_with_numbers(scene):
    observation, mask = scene
    pixels = np.zeros_like(mask.pixels)
    v, u = np.argwhere(mask.pixels)[40]
    pixels[v, u : u + 3] = True
    with pytest.raises(TooFewPointsError, match=r"'dot': 3 of 64 cells.*6 are needed"):
        FlowCodec(MOTION).anchors(observation, Mask(pixels, 'dot'))


def test_a_mask_of_another_image_is_refused(scene):
    observation, _ = scene
    with pytest.raises(InvalidInputError, match='mask is'):
        FlowCodec(MOTION).anchors(observation, Mask(np.ones((4, 4), dtype=bool), 'x'))


@pytest.mark.parametrize('config', [IMAGE, MOTION])
def test_without_depth_a_point_stays_as_far_away_as_it_was(scene, config):
    observation, mask = scene
    flow = some_flow(observation, mask)
    flat = FlowCodec(replace(config, depth=False))
    encoded = flat.encode(flow, observation)
    assert (encoded.values[..., 2] == 0).all()
    two_d = flat.decode(encoded.values, encoded.anchors, observation)
    full = FlowCodec(config)
    with_depth = full.encode(flow, observation)
    masked = masked_depth(with_depth.values, config, with_depth.anchors)
    at_run_time = full.decode(masked, with_depth.anchors, observation)
    np.testing.assert_allclose(two_d.points, at_run_time.points, atol=1e-6)
    inverse = np.linalg.inv(observation.T_world_camera)
    depth = transform_points(inverse, two_d.points)[..., 2]
    np.testing.assert_allclose(depth, np.broadcast_to(depth[0], depth.shape), atol=1e-5)
    assert (
        np.abs(two_d.points - flow.points[:, encoded.chosen[encoded.anchors.valid]]).max() > 0.05
    )


def test_times_follow_the_longest_way_of_a_point():
    codec = FlowCodec(MOTION)
    points = np.zeros((FRAMES + 1, 2, 3))
    points[:, 1, 0] = np.linspace(0.0, 0.6, FRAMES + 1)
    assert codec.times(points)[-1] == pytest.approx(0.6 / MOTION.speed)
    assert codec.times(points * 0.1)[-1] == MOTION.min_duration


def test_numbers_that_are_none_are_refused(scene):
    observation, mask = scene
    codec = FlowCodec(MOTION)
    anchors = codec.anchors(observation, mask)
    values = np.zeros((FRAMES, 8, 8, 4))
    values[0, 0, 0, 0] = np.nan
    with pytest.raises(InvalidInputError, match='not finite'):
        codec.decode(values, anchors, observation)
    with pytest.raises(InvalidInputError, match='expected'):
        codec.decode(values[1:], anchors, observation)


@pytest.mark.parametrize(
    'wrong', [{'coordinates': 'polar'}, {'grid': 1}, {'far': 0.0}, {'scale': 0.0}, {'erosion': -1}]
)
def test_what_cannot_be_inverted_is_no_configuration(wrong):
    with pytest.raises(ConfigurationError):
        CodecConfig(**wrong)
