# SPDX-License-Identifier: Apache-2.0
"""The part that moves, out of a mask of the whole."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from flow_manip_core.errors import (
    ConfigurationError,
    InvalidInputError,
    ObjectAbsentError,
    TracksLostError,
)
from flow_manip_core.observation import Mask
from flow_manip_core.point_tracks import PointTracks
from flow_manip_perception.segmentation.movable_part import (
    movable_part,
    MovablePartConfig,
    part_points,
    spread,
    track_speeds,
)

STEPS = 21


@pytest.fixture
def chest(scene, shapes):
    """Return an observation, the mask of a chest, and the pixels of its lid."""
    scene.add(shapes['box']((0.5, 0.0, 0.0), (0.2, 0.3, 0.1)), 'brown')
    scene.add(shapes['box']((0.5, 0.0, 0.1), (0.2, 0.3, 0.03)), 'orange')
    observation, labels = scene.render(noise=0.001)
    return observation, Mask(labels > 0, 'chest'), labels == 2


def tracks_of(mask, part, speed=2.0, *, jitter=0.1, count=120, around=8, seed=0):
    """Return tracks from in and around a mask; those on the part move to the right."""
    rng = np.random.default_rng(seed)
    area = cv2.dilate(mask.astype(np.uint8), np.ones((2 * around + 1,) * 2, np.uint8)) > 0
    v, u = np.nonzero(area)
    chosen = rng.choice(len(u), count, replace=False)
    u, v = u[chosen], v[chosen]
    points = np.tile(np.stack([u, v], axis=1).astype(float), (STEPS, 1, 1))
    points[..., 0] += np.arange(STEPS)[:, None] * speed * part[v, u]
    points[1:] += jitter * rng.normal(size=points[1:].shape)
    return PointTracks(points, np.ones(points.shape[:2]), np.arange(STEPS) / 16.0)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_the_lid_is_cut_out_of_the_chest(chest):
    observation, mask, lid = chest
    found = movable_part(observation, mask, tracks_of(mask.pixels, lid))
    assert found.label == 'chest'
    assert overlap(found.pixels, lid) > 0.9


def test_edges_decide_where_no_point_is(chest):
    observation, mask, lid = chest
    found = movable_part(observation, mask, tracks_of(mask.pixels, lid, count=40, seed=2))
    assert overlap(found.pixels, lid) > 0.85


def test_jitter_of_a_tracker_is_no_motion():
    rng = np.random.default_rng(0)
    points = np.full((STEPS, 50, 2), 100.0) + 0.4 * rng.normal(size=(STEPS, 50, 2))
    tracks = PointTracks(points, np.ones((STEPS, 50)), np.arange(STEPS) / 16.0)
    assert np.median(track_speeds(tracks)) < 0.2


def test_speed_is_pixels_per_frame_and_hidden_steps_do_not_count():
    points = np.zeros((STEPS, 2, 2))
    points[:, :, 0] = np.arange(STEPS)[:, None] * 3.0
    confidence = np.ones((STEPS, 2))
    confidence[4:, 1] = 0.0
    speeds = track_speeds(PointTracks(points, confidence, np.arange(STEPS) / 16.0))
    assert speeds[0] == pytest.approx(3.0)
    assert np.isnan(speeds[1])


def test_slow_points_near_a_hinge_belong_to_the_part(chest):
    observation, mask, lid = chest
    tracks = tracks_of(mask.pixels, lid, jitter=0.05)
    start = tracks.points[0]
    v, u = start[:, 1].astype(int), start[:, 0].astype(int)
    share = (u - u[lid[v, u]].min()) / np.ptp(u[lid[v, u]])  # 0 at the hinge, 1 at the handle
    points = start + (tracks.points - start) * np.clip(share, 0, 1)[:, None]
    found = movable_part(observation, mask, replace(tracks, points=points))
    assert overlap(found.pixels, lid) > 0.8


def test_all_moving_is_the_whole_mask(chest):
    observation, mask, _ = chest
    tracks = tracks_of(mask.pixels, mask.pixels, around=0)
    assert (movable_part(observation, mask, tracks).pixels == mask.pixels).all()


def test_nothing_moving_is_refused_with_the_speeds(chest):
    observation, mask, lid = chest
    with pytest.raises(ObjectAbsentError, match=r'0 points are faster than 1 px.*fastest has 0\.'):
        movable_part(observation, mask, tracks_of(mask.pixels, lid, speed=0.0))


def test_lost_tracks_are_refused(chest):
    observation, mask, lid = chest
    tracks = tracks_of(mask.pixels, lid)
    confidence = np.zeros_like(tracks.confidence)
    confidence[0] = 1.0
    with pytest.raises(TracksLostError, match='0 points'):
        movable_part(observation, mask, replace(tracks, confidence=confidence))


def test_tracks_outside_the_image_are_left_out(chest):
    observation, mask, lid = chest
    tracks = tracks_of(mask.pixels, lid)
    points = tracks.points.copy()
    points[:, :5] += 5000.0
    found = movable_part(observation, mask, replace(tracks, points=points))
    assert overlap(found.pixels, lid) > 0.9


def test_a_model_gets_points_of_both_kinds_and_stays_in_the_mask(chest):
    observation, mask, lid = chest
    given = {}

    def model(image, inside, outside):
        given.update(inside=inside.astype(int), outside=outside.astype(int))
        return lid | ~mask.pixels

    found = movable_part(observation, mask, tracks_of(mask.pixels, lid), prompted=model)
    assert lid[given['inside'][:, 1], given['inside'][:, 0]].all()
    assert not lid[given['outside'][:, 1], given['outside'][:, 0]].any()
    assert max(len(given['inside']), len(given['outside'])) <= 16
    assert overlap(found.pixels, lid) > 0.95


def test_a_model_that_finds_nothing_is_refused(chest):
    observation, mask, lid = chest
    with pytest.raises(ObjectAbsentError, match='has 0 pixels'):
        movable_part(
            observation,
            mask,
            tracks_of(mask.pixels, lid),
            prompted=lambda image, inside, outside: np.zeros(mask.pixels.shape, bool),
        )


def test_still_points_beside_the_mask_count_too(chest):
    _, mask, lid = chest
    points = part_points(tracks_of(mask.pixels, lid), mask, MovablePartConfig())
    u, v = points.still.astype(int).T
    assert (~mask.pixels[v, u]).sum() > 5


def test_spread_points_are_far_from_each_other():
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(300, 2))
    chosen = spread(points, 9)
    apart = np.linalg.norm(chosen[:, None] - chosen[None], axis=-1) + 9 * np.eye(9)
    assert apart.min() > 0.2


def test_another_size_and_nonsense_limits_are_refused(chest):
    observation, mask, lid = chest
    small = Mask(mask.pixels[:-2], 'chest')
    with pytest.raises(InvalidInputError, match='mask is'):
        movable_part(observation, small, tracks_of(mask.pixels, lid))
    with pytest.raises(ConfigurationError):
        MovablePartConfig(min_speed=0.0)
