# SPDX-License-Identifier: Apache-2.0
"""The camera's motion out of the static background, against poses that are known."""

from dataclasses import replace

from dream_scenes import CAMERA, EYE, lifted_box, render, SIZE, TrueTracks, wandering
import numpy as np
import pytest

from flow_manip_core.errors import (
    CameraMotionError,
    CancelledError,
    ConfigurationError,
    ImplausibleVideoError,
    InvalidInputError,
)
from flow_manip_core.transforms import make_transform, rotation_about, transform_distance
from flow_manip_perception.camera_pose import refine_pose
from flow_manip_perception.ego_motion import EgoMotionConfig, find_camera_motion
from flow_manip_perception.flicker import measure_flicker

CONFIG = EgoMotionConfig(grid=12)


@pytest.fixture(scope='module')
def moving():
    return render(lifted_box(8), wandering(8), noise=0.003)


@pytest.fixture(scope='module')
def still():
    return render(lifted_box(8), noise=0.003)


def find(dream, tracker, config=CONFIG, **values):
    given = {'mask': dream.masks[0], **values}
    return find_camera_motion(
        dream.video, dream.video.depth, CAMERA, dream.cameras[0], tracker, config, **given
    )


def worst(motion, dream):
    """Return the largest error [m], [rad]."""
    errors = [transform_distance(a, b) for a, b in zip(motion.poses, dream.cameras, strict=True)]
    return np.max(errors, axis=0)


def test_a_moving_camera_is_found_from_the_background(moving):
    motion = find(moving, TrueTracks(moving, noise=0.3))
    assert motion.source == 'background'
    shift, turn = worst(motion, moving)
    assert shift < 0.004
    assert turn < np.radians(0.25)
    assert motion.moved == pytest.approx(transform_distance(moving.cameras[-1], EYE)[0], abs=0.005)
    assert motion.inlier_share.min() > 0.8
    np.testing.assert_array_equal(motion.poses[0], moving.cameras[0])


def test_a_still_camera_gets_no_jitter(still):
    motion = find(still, TrueTracks(still, noise=0.3))
    assert motion.source == 'still'
    np.testing.assert_array_equal(motion.poses, np.tile(EYE, (8, 1, 1)))


def test_poses_that_came_along_are_taken_relative_to_the_first(moving):
    elsewhere = make_transform([5.0, 1.0, 0.0], rotation_about([0, 1, 0], 1.0))
    video = replace(moving.video, camera_poses=elsewhere @ moving.cameras)
    motion = find(replace(moving, video=video), None)
    assert motion.source == 'given'
    np.testing.assert_allclose(motion.poses, moving.cameras, atol=1e-9)


def test_mode_still_believes_whoever_held_the_camera(moving):
    motion = find(moving, None, EgoMotionConfig(mode='still'))
    np.testing.assert_array_equal(motion.poses, np.tile(EYE, (8, 1, 1)))


def test_poses_that_are_asked_for_but_missing_are_an_error(moving):
    with pytest.raises(CameraMotionError, match='without camera poses'):
        find(moving, None, EgoMotionConfig(mode='given'))


def test_the_object_does_not_drag_the_camera_along(moving):
    """Nobody says where the box is: its points are outvoted."""
    motion = find(moving, TrueTracks(moving, noise=0.2), mask=None)
    assert worst(motion, moving)[0] < 0.005


def test_a_new_key_frame_is_begun_where_points_leave_the_view():
    pan = np.tile(EYE, (12, 1, 1))
    for pose, angle in zip(pan, np.linspace(0, np.radians(50), 12), strict=True):
        pose[:3, :3] = rotation_about([0, 0, 1], angle) @ pose[:3, :3]
    dream = render(np.tile(lifted_box(2)[0], (12, 1, 1)), pan)
    tracker = TrueTracks(dream, noise=0.1)
    motion = find(dream, tracker)
    assert len(tracker.starts) >= 2
    shift, turn = worst(motion, dream)
    assert shift < 0.02
    assert turn < np.radians(0.7)


@pytest.mark.parametrize('factor', [1.1, 0.92])
def test_a_zoom_is_refused_with_its_size(still, factor):
    zoom = np.linspace(1.0, factor, 8)
    with pytest.raises(CameraMotionError, match=r'frame \d: the focal length changes by [+-]\d'):
        find(still, TrueTracks(still, noise=0.1, zoom=zoom))


def test_coming_nearer_is_no_zoom():
    nearer = np.stack([EYE @ make_transform([0, 0, 0.12 * s]) for s in np.linspace(0, 1, 6)])
    dream = render(lifted_box(6), nearer)
    motion = find(dream, TrueTracks(dream, noise=0.2))
    assert np.abs(motion.zoom - 1).max() < 0.01
    assert worst(motion, dream)[0] < 0.004


def test_a_scene_without_texture_is_refused(moving):
    plain = replace(moving.video, frames=np.full_like(moving.video.frames, 90))
    with pytest.raises(CameraMotionError, match=r'0 of 144 cells .* 24 are needed'):
        find(replace(moving, video=plain), TrueTracks(moving))


def test_background_that_moves_every_which_way_is_refused(moving):
    class Lost(TrueTracks):
        def track(self, video, queries, **values):
            tracks = super().track(video, queries)
            away = np.random.default_rng(0).uniform(-15, 15, tracks.points.shape)
            away[0] = 0.0
            inside = np.clip(tracks.points + away, 2, np.array(SIZE) - 3)
            return replace(tracks, points=inside)

    with pytest.raises(CameraMotionError, match=r'frame 1: .* move as one'):
        find(moving, Lost(moving))


class Blind(TrueTracks):
    """Loses all points but ten, `step` by step from frame 1 on."""

    def __init__(self, dream, step):
        super().__init__(dream)
        self.step = step

    def track(self, video, queries, **values):
        tracks = super().track(video, queries)
        confidence = tracks.confidence.copy()
        for frame in range(1, len(confidence)):
            confidence[frame, 10 : 10 + frame * self.step] = 0.0
        return replace(tracks, confidence=confidence)


def test_a_cut_is_an_implausible_video(moving):
    with pytest.raises(ImplausibleVideoError, match=r'\d+ of \d+ .* frames 0 and 1: a cut'):
        find(moving, Blind(moving, 1000))


def test_a_camera_that_jumps_is_an_implausible_video():
    cameras = np.tile(EYE, (8, 1, 1))
    cameras[4:] = EYE @ make_transform([0.06, 0.0, 0.0], rotation_about([0, 1, 0], 0.05))
    dream = render(lifted_box(8), cameras)
    with pytest.raises(ImplausibleVideoError, match=r'jumps by 0\.0\d\d m between frames 3 and 4'):
        find(dream, TrueTracks(dream))


def test_background_that_is_lost_is_refused_by_number(moving):

    with pytest.raises(CameraMotionError, match=r'\d+ background points have depth .* 58'):
        find(moving, Blind(moving, 9), EgoMotionConfig(grid=8, min_points=58))


def test_refinement_finds_pose_focal_length_and_depth_factor():
    rng = np.random.default_rng(0)
    start = rng.uniform([-0.4, -0.3, 0.6], [0.4, 0.3, 1.6], size=(60, 3))
    truth = make_transform([0.03, -0.02, 0.05], rotation_about([1, 2, 0.5], 0.06))
    now = start @ truth[:3, :3].T + truth[:3, 3]
    for zoom, factor in ((1.0, 1.0), (1.0, 1.02), (1.05, 1.0)):
        pixels = (CAMERA.project(now) - [CAMERA.cx, CAMERA.cy]) * zoom + [CAMERA.cx, CAMERA.cy]
        pose, found, depth = refine_pose(
            np.eye(4), start, pixels, factor * now[:, 2], CAMERA, (0.5, 0.005)
        )
        assert found == pytest.approx(zoom, abs=1e-3)
        if zoom == 1.0:
            np.testing.assert_allclose(pose, truth, atol=1e-6)
            assert depth == pytest.approx(factor, abs=1e-6)


def test_cancelling_is_heard(moving):
    with pytest.raises(CancelledError):
        find(moving, TrueTracks(moving), cancelled=lambda: True)


def test_images_that_do_not_belong_together_are_refused(moving):
    with pytest.raises(InvalidInputError):
        find_camera_motion(moving.video, moving.video.depth[1:], CAMERA, EYE, TrueTracks(moving))


@pytest.mark.parametrize('values', [{'mode': 'guess'}, {'grid': 0}, {'min_points': 3}])
def test_parameters_without_meaning_are_refused(values):
    with pytest.raises(ConfigurationError):
        EgoMotionConfig(**values)


# ---------------------------------------------------------------- flicker


def test_flicker_is_measured_and_its_correction_proved(moving):
    factors = 1.0 + 0.01 * np.array([0, 1, -1, 2, 0, -2, 1, 0.5])
    depth = (moving.video.depth * factors[:, None, None]).astype(np.float32)
    found = measure_flicker(depth, CAMERA, moving.cameras, moving.masks[0])
    np.testing.assert_allclose(found.factors, factors, atol=0.002)
    assert found.worst == pytest.approx(0.02, abs=0.002)
    assert found.correction_helps


def test_steady_depth_is_left_alone(moving):
    found = measure_flicker(moving.video.depth, CAMERA, moving.cameras, moving.masks[0])
    assert found.worst < 0.001
    assert not found.correction_helps


def test_flicker_of_nothing_is_unknown(moving):
    depth = moving.video.depth.copy()
    depth[1:] = np.nan
    found = measure_flicker(depth, CAMERA, moving.cameras, moving.masks[0])
    assert np.isnan(found.factors[1:]).all()
    assert not found.correction_helps
