# SPDX-License-Identifier: Apache-2.0
"""2D tracks and depth to 3D flow, against a box whose motion is known."""

from dataclasses import replace

from dream_scenes import CAMERA, EYE, grid, lifted_box, render
import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import (
    CancelledError,
    ConfigurationError,
    ImplausibleVideoError,
    InvalidInputError,
    TracksLostError,
)
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_perception.depth_sampling import depth_edges, sample_depth
from flow_manip_perception.lifting import lift_tracks, LiftingConfig, smooth


@pytest.fixture(scope='module')
def dream():
    return render(lifted_box(10))


@pytest.fixture(scope='module')
def queries(dream):
    return grid(dream.masks[0], 2)


@pytest.fixture(scope='module')
def tracks(dream, queries):
    return dream.tracks(queries)


def lift(dream, tracks, cameras=None, **values):
    cameras = EYE if cameras is None else cameras
    return lift_tracks(tracks, dream.video.depth, CAMERA, cameras, LiftingConfig(**values))


def errors(flow, dream, queries):
    """Return the distance to the truth of every visible point [m]."""
    truth = dream.truth(queries)[:, flow.point_ids]
    return np.linalg.norm(flow.points - truth, axis=-1)[flow.visible]


# ---------------------------------------------------------------- depth between pixels


def test_bilinear_depth_is_exact_on_leaning_planes():
    """Inverse depth is linear in the image on a plane; depth itself is not."""
    camera = CameraModel.from_fov(64, 48, 0.8)
    u, v = np.meshgrid(np.arange(64.0), np.arange(48.0))
    normal, offset = np.array([0.3, -0.6, 0.9]), 0.7

    def depth_at(pixels):
        return offset / (camera.deproject(pixels, np.ones(pixels.shape[:-1])) @ normal)

    image = depth_at(np.stack([u, v], axis=-1)).astype(np.float32)
    pixels = np.random.default_rng(0).uniform([1, 1], [62, 46], size=(200, 2))
    found = sample_depth(image, pixels, 0.02)
    np.testing.assert_allclose(found.depth, depth_at(pixels), rtol=1e-5)
    assert not found.mixed.any()
    assert not depth_edges(image, 0.02).any()


def test_a_step_is_marked_on_both_sides_and_nowhere_else():
    depth = np.full((40, 40), 0.8, np.float32)
    depth[:, 20:] = 0.9
    edges = depth_edges(depth, 0.02)
    assert set(np.flatnonzero(edges.any(axis=0))) == {19, 20}
    found = sample_depth(depth, np.array([[19.4, 10.0], [10.0, 10.0], [24.0, 10.0]]), 0.02)
    np.testing.assert_allclose(found.depth, [0.8, 0.8, 0.9])
    np.testing.assert_array_equal(found.mixed, [True, False, False])
    assert found.edge_distance[0] < 1.0 < found.edge_distance[2]


def test_a_smeared_step_is_found_as_a_whole():
    depth = np.full((40, 40), 0.8, np.float32)
    depth[:, 20], depth[:, 21], depth[:, 22:] = 0.833, 0.866, 0.9
    assert set(range(19, 23)) <= set(np.flatnonzero(depth_edges(depth, 0.05).any(axis=0)))


def test_a_crease_and_noise_are_no_edges():
    column = np.concatenate([np.linspace(0.8, 1.0, 20), np.linspace(1.0, 0.8, 20)])
    depth = np.tile(column, (40, 1)).astype(np.float32)
    assert not depth_edges(depth, 0.03).any()
    noisy = 0.8 * (1 + 0.01 * np.random.default_rng(0).normal(size=(60, 60)))
    assert depth_edges(noisy.astype(np.float32), 0.02).mean() < 0.05


def test_what_is_outside_or_in_a_hole_has_no_depth():
    depth = np.full((20, 20), 0.8, np.float32)
    depth[5:15, 5:15] = np.nan
    pixels = np.array([[10.0, 10.0], [-3.0, 2.0], [2.0, 40.0], [np.nan, 2.0], [4.4, 8.0]])
    found = sample_depth(depth, pixels, 0.02)
    assert np.isnan(found.depth[:4]).all()
    assert found.depth[4] == pytest.approx(0.8)


# ---------------------------------------------------------------- flow


def test_points_come_out_where_the_box_carries_them(dream, queries, tracks):
    flow = lift(dream, tracks, keep='per_frame')
    assert flow.frame_id == 'world'
    assert flow.num_points > 0.5 * len(queries)
    error = errors(flow, dream, queries)
    assert np.median(error) < 1e-4
    assert np.percentile(error, 95) < 0.003
    np.testing.assert_array_equal(flow.times, tracks.times)


def test_noise_of_tracks_and_depth_does_not_pull_points_off_the_box(queries):
    noisy = render(lifted_box(10), noise=0.003)
    flow = lift(noisy, noisy.tracks(queries, noise=0.3), keep='per_frame')
    error = errors(flow, noisy, queries)
    # A pixel is 5 mm wide here.
    assert np.median(error) < 0.004
    assert np.percentile(error, 99) < 0.016


def test_without_the_edge_filter_points_fall_on_the_table(dream, queries, tracks):
    careless = lift(
        dream, tracks, keep='per_frame', edge_step=10.0, edge_margin=0.0, max_stretch=0.0
    )
    assert np.percentile(errors(careless, dream, queries), 95) > 0.02


def test_confidence_fades_towards_an_edge(dream, tracks):
    flow = lift(dream, tracks, keep='per_frame', edge_margin=3.0)
    weak = (flow.confidence > 0) & (flow.confidence < 1)
    assert 0.02 < weak.mean() < 0.7
    assert np.isfinite(flow.points[flow.confidence > 0]).all()
    assert np.isnan(flow.points[flow.confidence == 0]).all()


def test_a_moving_camera_is_taken_out_by_its_poses():
    along = np.linspace(0, 1, 8)
    cameras = np.stack(
        [
            make_transform([0.05 * s, 0.1 * s, 0.03 * s], rotation_about([0.3, 0.2, 1], 0.1 * s))
            @ EYE
            for s in along
        ]
    )
    dream = render(lifted_box(8), cameras)
    queries = grid(dream.masks[0], 2)
    tracks = dream.tracks(queries)
    flow = lift(dream, tracks, cameras, keep='per_frame')
    assert np.percentile(errors(flow, dream, queries), 95) < 0.004
    unaware = lift(dream, tracks, keep='per_frame')
    assert np.median(errors(unaware, dream, queries)) > 0.02


def test_always_keeps_only_points_that_are_seen_throughout(dream, tracks):
    always, share, each = (
        lift(dream, tracks, keep=rule) for rule in ('always', 'share', 'per_frame')
    )
    assert always.visible.all()
    assert (share.visible.mean(axis=0) >= 0.8).all()
    assert set(always.point_ids) < set(share.point_ids) <= set(each.point_ids)
    assert each.visible[0].all()
    assert not each.visible.all()


def test_ids_of_the_tracks_are_kept(dream, tracks):
    numbered = replace(tracks, point_ids=np.arange(100, 100 + tracks.points.shape[1]))
    flow = lift(dream, numbered)
    assert flow.point_ids.min() >= 100
    assert len(np.unique(flow.point_ids)) == flow.num_points


def test_a_point_that_jumps_is_left_out_while_it_is_away(dream, queries, tracks):
    points = tracks.points.copy()
    inner = int(np.linalg.norm(queries - queries.mean(axis=0), axis=1).argmin())
    points[5, inner] = [150.0, 10.0]
    flow = lift(dream, replace(tracks, points=points), keep='per_frame', max_stretch=0.0)
    column = int(np.flatnonzero(flow.point_ids == inner)[0])
    assert flow.confidence[5, column] == 0.0
    assert flow.visible[4, column]
    assert flow.visible[6, column]


def test_a_point_that_slides_off_is_pulled_away_from_its_neighbours(dream, queries, tracks):
    """Slowly enough for its speed to be possible."""
    points = tracks.points.copy()
    inner = int(np.linalg.norm(queries - queries.mean(axis=0), axis=1).argmin())
    points[:, inner] = points[0, inner] + np.linspace(0, 1, 10)[:, None] * [-30.0, 12.0]
    moved = replace(tracks, points=points)
    flow = lift(dream, moved, keep='per_frame')
    column = int(np.flatnonzero(flow.point_ids == inner)[0])
    assert not flow.visible[-3:, column].any()
    careless = lift(dream, moved, keep='per_frame', max_stretch=0.0)
    column = int(np.flatnonzero(careless.point_ids == inner)[0])
    assert careless.visible[-3:, column].any()


def test_a_cut_is_an_implausible_video(dream):
    boxes = lifted_box(10)
    boxes[5:, :3, 3] += [0.0, 0.2, 0.0]
    cut = render(boxes)
    with pytest.raises(ImplausibleVideoError, match=r'points jump by 0\.2\d\d m .* 4 and 5'):
        lift(cut, cut.tracks(grid(cut.masks[0], 2)))


def test_lost_tracks_are_refused_with_reasons(dream, tracks):
    confidence = tracks.confidence.copy()
    confidence[4:] = 0.0
    with pytest.raises(TracksLostError, match=r'0 of 105 points .* 105 not tracked'):
        lift(dream, replace(tracks, confidence=confidence), keep='always')


def test_points_that_are_gone_in_the_end_are_refused(dream, tracks):
    confidence = tracks.confidence.copy()
    confidence[-1, 4:] = 0.0
    with pytest.raises(TracksLostError, match=r'seen in the last frame .* needed are 6'):
        lift(dream, replace(tracks, confidence=confidence), keep='per_frame')


def test_depth_without_readings_is_refused(dream, tracks):
    empty = np.full_like(dream.video.depth, np.nan)
    with pytest.raises(TracksLostError, match='105 without depth'):
        lift_tracks(tracks, empty, CAMERA, EYE)


def test_shapes_that_do_not_belong_together_are_refused(dream, tracks):
    with pytest.raises(InvalidInputError):
        lift_tracks(tracks, dream.video.depth[1:], CAMERA, EYE)


def test_cancelling_is_heard(dream, tracks):
    with pytest.raises(CancelledError):
        lift_tracks(tracks, dream.video.depth, CAMERA, EYE, cancelled=lambda: True)


def test_smoothing_takes_noise_and_leaves_straight_lines():
    times = np.arange(30) / 16.0
    line = np.stack([times, -2 * times, 0.5 + 0 * times], axis=-1)[:, None]
    weights = np.ones((30, 1))
    weights[7] = 0.0
    broken = line.copy()
    broken[7] = np.nan
    kept = smooth(broken, weights, times, 0.1)
    np.testing.assert_allclose(np.delete(kept, 7, 0), np.delete(line, 7, 0), atol=1e-9)
    noisy = line + 0.01 * np.random.default_rng(0).normal(size=line.shape)
    calm = smooth(noisy, np.ones((30, 1)), times, 0.1)
    assert np.abs(calm - line).mean() < 0.7 * np.abs(noisy - line).mean()


def test_tracks_of_one_frame_outside_the_image_are_left_out(dream, tracks):
    points = tracks.points.copy()
    points[3] += 1000.0
    flow = lift(dream, PointTracks(points, tracks.confidence, tracks.times), keep='per_frame')
    assert not flow.visible[3].any()
    assert flow.visible[4].any()


@pytest.mark.parametrize(
    'values', [{'keep': 'some'}, {'min_share': 0.0}, {'max_speed': 0.0}, {'min_points': 0}]
)
def test_parameters_without_meaning_are_refused(values):
    with pytest.raises(ConfigurationError):
        LiftingConfig(**values)
