# SPDX-License-Identifier: Apache-2.0
"""A whole video to flow: estimated depth of unknown scale, tracks, a moving camera."""

from dataclasses import replace

import cv2
from dream_scenes import CAMERA, lifted_box, render, SIZE, TrueTracks, wandering
import numpy as np
import pytest

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    DepthCalibrationError,
    ImplausibleVideoError,
    InvalidInputError,
    TracksLostError,
)
from flow_manip_core.observation import Mask
from flow_manip_perception.depth.sensor import SensorDepth
from flow_manip_perception.ego_motion import EgoMotionConfig
from flow_manip_perception.exposure import channel_gains, evenly_lit
from flow_manip_perception.video_to_flow import (
    create_video_lifter,
    image_similarity,
    scaled_camera,
    VideoToFlow,
    View,
)

SCALE, SHIFT = 0.4, -0.06  # relative = SCALE * depth + SHIFT


def as_told(dream):
    """Return the video as a generator gives it: with depth of unknown scale and shift."""
    depth = (SCALE * dream.video.depth + SHIFT).astype(np.float32)
    return replace(dream.video, depth=depth)


def lifter(dream, noise=0.2, **values):
    config = VideoToFlow.Config(ego_motion=EgoMotionConfig(grid=12), **values)
    estimator = SensorDepth(SensorDepth.Config(kind='relative'), None)
    return VideoToFlow(config, None, estimator, TrueTracks(dream, noise))


@pytest.fixture(scope='module')
def dream():
    return render(lifted_box(8), noise=0.002)


@pytest.fixture(scope='module')
def lifted(dream):
    return lifter(dream).lift(as_told(dream), dream.observation, dream.mask)


def median_error(found, dream):
    order = list(found.tracks.point_ids)
    chosen = [order.index(i) for i in found.flow.point_ids]
    truth = dream.truth(found.tracks.points[0].astype(float))[:, chosen]
    return np.median(np.linalg.norm(found.flow.points - truth, axis=-1)[found.flow.visible])


def test_a_generated_video_becomes_metric_flow_of_the_object(dream, lifted):
    assert median_error(lifted, dream) < 0.003
    flow = lifted.flow
    assert (flow.object, flow.source, flow.frame_id, flow.stamp) == (
        'white box', 'test', 'world', 7.0,
    )  # fmt: skip
    np.testing.assert_array_equal(flow.times, dream.video.times)
    assert flow.num_points >= 30


def test_what_was_found_on_the_way_is_told(dream, lifted):
    assert lifted.calibration.kind == 'relative'
    assert lifted.calibration.scale == pytest.approx(1 / SCALE, rel=1e-3)
    assert lifted.calibration.shift == pytest.approx(-SHIFT / SCALE, rel=1e-2)
    np.testing.assert_allclose(lifted.depth, dream.video.depth, atol=2e-3)
    assert lifted.camera.source == 'still'
    assert lifted.flicker.worst < 0.002
    assert list(lifted.seconds) == ['depth', 'calibration', 'ego-motion', 'tracking', 'lifting']
    assert lifted.tracks.points.shape[0] == 8


def test_points_begin_on_the_object(dream, lifted):
    columns, rows = np.rint(lifted.tracks.points[0]).astype(int).T
    assert dream.masks[0][rows, columns].all()


def test_the_cameras_own_motion_is_no_flow():
    dream = render(np.tile(lifted_box(2)[0], (6, 1, 1)), wandering(6), noise=0.001)
    found = lifter(dream, 0.1).lift(as_told(dream), dream.observation, dream.mask)
    assert found.camera.source == 'background'
    away = np.linalg.norm(found.flow.points - found.flow.points[0], axis=-1)
    assert np.nanmedian(away) < 0.004
    assert found.camera.moved > 0.15


def test_flicker_is_taken_out_where_that_measures_better(dream):
    factors = 1.0 + 0.01 * np.array([0, 1, -1, 2, 0, -2, 1, -1.5])
    shaky = replace(
        dream.video, depth=(dream.video.depth * factors[:, None, None]).astype(np.float32)
    )
    video = replace(shaky, depth=(SCALE * shaky.depth + SHIFT).astype(np.float32))
    calm = lifter(dream, 0.0).lift(video, dream.observation, dream.mask)
    rough = lifter(dream, 0.0, flicker='measure').lift(video, dream.observation, dream.mask)
    assert calm.flicker.corrected
    assert not rough.flicker.corrected
    assert median_error(calm, dream) < 0.5 * median_error(rough, dream)


def test_a_lamp_that_flickers_is_put_right(dream):
    gains = np.array([1, 0.8, 1.2, 0.7, 1.0, 1.1, 0.9, 1.25])[:, None] * [1.0, 1.05, 0.95]
    gains[0] = 1.0
    shaky = np.clip(dream.video.frames * gains[:, None, None], 0, 255).astype(np.uint8)
    video = replace(dream.video, frames=shaky)
    told = channel_gains(shaky, dream.masks[0])
    np.testing.assert_allclose(told, gains, rtol=0.06)
    calm = evenly_lit(video, dream.masks[0])
    before, after = (
        np.abs(frames.astype(float) - dream.video.frames).mean() for frames in (shaky, calm.frames)
    )
    assert after < 0.25 * before
    np.testing.assert_array_equal(calm.frames[0], shaky[0])


def test_a_steady_video_is_left_alone(dream):
    assert evenly_lit(dream.video, dream.masks[0]) is dream.video


def test_a_larger_observation_is_brought_to_the_videos_size(dream):
    big = scaled_camera(CAMERA, (320, 240))
    observation = replace(
        dream.observation,
        color=cv2.resize(dream.observation.color, (320, 240)),
        depth=cv2.resize(dream.observation.depth, (320, 240), interpolation=cv2.INTER_NEAREST),
        camera=big,
    )
    pixels = cv2.resize(dream.masks[0].astype(np.uint8), (320, 240)) > 0
    found = lifter(dream).lift(as_told(dream), observation, Mask(pixels, 'box'))
    assert median_error(found, dream) < 0.004


def test_rays_stay_where_they_are_when_a_camera_is_resized():
    big = scaled_camera(CAMERA, (640, 240))
    corner_small, corner_big = np.array([-0.5, 119.5]), np.array([-0.5, 239.5])
    np.testing.assert_allclose(
        CAMERA.deproject(corner_small, 1.0), big.deproject(corner_big, 1.0), atol=1e-12
    )
    again = scaled_camera(big, SIZE)
    np.testing.assert_allclose(again.matrix, CAMERA.matrix)


def test_a_mask_that_vanishes_at_the_videos_size_is_refused(dream):
    pixels = np.zeros((120, 160), dtype=bool)
    pixels[1, 1] = True
    with pytest.raises(InvalidInputError, match='vanishes at 40 x 30'):
        View.of(dream.observation, Mask(pixels, 'crumb'), (40, 30))


def test_a_video_of_another_view_is_implausible(dream):
    frames = dream.video.frames[:, ::-1, ::-1].copy()
    with pytest.raises(ImplausibleVideoError, match=r'correlates .* by .* 0\.6 is needed'):
        lifter(dream).lift(replace(as_told(dream), frames=frames), dream.observation, dream.mask)


def test_exposure_does_not_make_another_view(dream):
    image = dream.video.frames[0]
    assert image_similarity(image, (0.6 * image + 20).astype(np.uint8)) > 0.99
    assert image_similarity(image, image[:, ::-1]) < 0.9
    assert image_similarity(np.zeros_like(image), np.zeros_like(image)) == 1.0


def test_depth_that_cannot_be_trusted_is_refused(dream):
    video = as_told(dream)
    video = replace(video, depth=-video.depth)
    with pytest.raises(DepthCalibrationError):
        lifter(dream).lift(video, dream.observation, dream.mask)


def test_a_mask_without_depth_is_refused_by_number(dream):
    video = as_told(dream)
    video.depth[:, dream.masks[0]] = np.nan
    with pytest.raises(TracksLostError, match=r'0 pixels of the object .* 6 are needed'):
        lifter(dream).lift(video, dream.observation, dream.mask)


def test_grid_queries_are_those_on_the_object(dream):
    found = lifter(dream, queries='grid', grid=60, erosion=3).lift(
        as_told(dream), dream.observation, dream.mask
    )
    columns, rows = np.rint(found.tracks.points[0]).astype(int).T
    assert dream.masks[0][rows, columns].all()
    with pytest.raises(TracksLostError, match='of 16 grid points lie on the object'):
        lifter(dream, queries='grid', grid=4).queries(dream.masks[0], SIZE)


def test_a_thin_object_keeps_points_that_erosion_would_take(dream):
    thin = np.zeros((120, 160), dtype=bool)
    thin[40:44, 50:90] = True
    points = lifter(dream).queries(thin, SIZE)
    assert len(points) >= 24


def test_progress_goes_forward_and_cancelling_is_heard(dream):
    told = []
    lifter(dream).lift(
        as_told(dream),
        dream.observation,
        dream.mask,
        on_progress=lambda stage, share: told.append(share),
    )
    assert told == sorted(told)
    assert told[0] == 0.0
    for limit in range(3):
        asked = iter(range(100))
        with pytest.raises(CancelledError):
            lifter(dream).lift(
                as_told(dream),
                dream.observation,
                dream.mask,
                cancelled=lambda asked=asked, limit=limit: next(asked) >= limit,
            )


def test_a_lifter_is_built_from_the_world_models_parameters():
    parameters = {
        'depth': {'backend': 'sensor', 'sensor': {'kind': 'relative'}},
        'tracking': {'backend': 'lucas_kanade'},
        'lifting': {'lifting': {'keep': 'always'}, 'calibration': {'method': 'median'}},
    }
    made = create_video_lifter(parameters, None)
    assert isinstance(made, VideoToFlow)
    with pytest.raises(BackendError, match="did you mean 'sensor'"):
        create_video_lifter({**parameters, 'depth': {'backend': 'sensr'}}, None)
    with pytest.raises(ConfigurationError, match="'tracking'"):
        create_video_lifter({'depth': parameters['depth']}, None)
    with pytest.raises(ConfigurationError, match="did you mean 'erosion'"):
        create_video_lifter({**parameters, 'lifting': {'erosoin': 3}}, None)


def test_the_default_tracker_follows_a_textured_box():
    dream = render(lifted_box(16), noise=0.002)
    made = create_video_lifter(
        {
            'depth': {'backend': 'sensor', 'sensor': {'kind': 'relative'}},
            'tracking': {'backend': 'lucas_kanade'},
        },
        None,
    )
    found = made.lift(as_told(dream), dream.observation, dream.mask)
    assert median_error(found, dream) < 0.005


@pytest.mark.parametrize(
    'values', [{'queries': 'all'}, {'flicker': 'much'}, {'ratio': 0.0}, {'min_similarity': 2.0}]
)
def test_parameters_without_meaning_are_refused(values):
    with pytest.raises(ConfigurationError):
        VideoToFlow.Config(**values)
