# SPDX-License-Identifier: Apache-2.0
"""The default tracker against the truth of ray-cast clips."""

from itertools import pairwise

import cv2
from moving_box import CAMERA, carried, render
import numpy as np
import pytest

from flow_manip_core.errors import BackendError, CancelledError, InvalidInputError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.video import Video
from flow_manip_perception.lifting import lift_tracks
from flow_manip_perception.tracking import FREE, TRACKERS
from flow_manip_perception.tracking.lucas_kanade import LucasKanadeTracker
from flow_manip_perception.tracking.queries import farthest_queries, grid_queries


@pytest.fixture(scope='module')
def tracker():
    context = Context(load_robot('franka'), load_rig('tabletop'))
    return LucasKanadeTracker(LucasKanadeTracker.Config(), context)


def tracked(tracker, scene, queries, **more):
    regions = np.where(scene.masks[0], 0, FREE)
    return tracker.track(
        scene.video, queries, depth=scene.depth, camera=CAMERA, regions=regions, **more
    )


def pixel_errors(scene, tracks, queries):
    """Return (T, N) distance to the truth [px], NaN where the truth is out of sight."""
    truth = scene.truth(queries)
    away = np.linalg.norm(CAMERA.project(truth) - tracks.points, axis=2)
    return np.where(scene.seen(truth), away, np.nan)


def visibility_f1(scene, tracks, queries):
    seen, said = scene.seen(scene.truth(queries))[1:], tracks.visible[1:]
    return 2 * (seen & said).sum() / (seen.sum() + said.sum())


def test_a_plain_box_that_moves_and_turns_is_followed_to_the_pixel(tracker):
    scene = render(carried(21))
    queries = farthest_queries(scene.masks[0], 80, 0.1)
    tracks = tracked(tracker, scene, queries)
    errors = pixel_errors(scene, tracks, queries)
    assert np.nanmedian(errors[1:]) < 0.4
    assert np.nanpercentile(errors[-1], 90) < 1.5
    assert visibility_f1(scene, tracks, queries) > 0.93
    # The same by patches alone: the inside of a plain face says nothing.
    gray = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in scene.video.frames]
    points = queries.reshape(-1, 1, 2)
    for before, after in pairwise(gray):
        points = cv2.calcOpticalFlowPyrLK(before, after, points, None)[0]
    plain = np.linalg.norm(points[:, 0] - CAMERA.project(scene.truth(queries)[-1]), axis=1)
    assert np.nanmedian(errors[-1]) < 0.2 * np.median(plain)


def test_points_behind_a_passing_bar_are_hidden_and_come_back_where_they_are(tracker):
    bar = np.linspace(190, 5, 25)
    scene = render(carried(25, shift=0.05, turn=0.2), bar=bar)
    queries = farthest_queries(scene.masks[0], 80, 0.1)
    tracks = tracked(tracker, scene, queries)
    seen = scene.seen(scene.truth(queries))
    assert (~seen).any(axis=0).mean() > 0.8
    assert visibility_f1(scene, tracks, queries) > 0.93
    columns = CAMERA.project(scene.truth(queries))[..., 0]
    behind = np.abs(columns - bar[:, None]) < 7
    assert behind.sum() > 100
    assert tracks.visible[behind].mean() < 0.02
    back = seen[-1] & (~seen[5:-5]).any(axis=0)
    assert back.sum() > 20
    assert tracks.visible[-1, back].mean() > 0.9
    assert np.nanmedian(pixel_errors(scene, tracks, queries)[-1, back]) < 0.7


def test_patches_alone_follow_a_textured_box_and_still_table(tracker):
    scene = render(carried(15, turn=0.1), textured=True)
    inside = cv2.erode(scene.masks[0].astype(np.uint8), np.ones((9, 9))) > 0
    queries = farthest_queries(inside, 60, 0.1)
    tracks = tracker.track(scene.video, queries)
    sure = tracks.visible[-1]
    errors = pixel_errors(scene, tracks, queries)[-1]
    assert sure.mean() > 0.5
    assert np.nanmedian(errors[sure]) < 1.0
    grid = grid_queries(scene.video.size, 16)
    away = ~scene.masks.any(axis=0)[grid[:, 1].astype(int), grid[:, 0].astype(int)]
    still = tracker.track(scene.video, grid[away])
    astray = np.abs(still.points - grid[away]).max(axis=2)[still.visible]
    assert np.percentile(astray, 98) < 0.3
    assert astray.max() < 2.5
    assert still.visible.mean() > 0.98


def test_a_camera_that_pans_moves_the_whole_table(tracker):
    scene = render(carried(2))
    frames = [np.roll(scene.video.frames[0], -k, axis=1)[:, :170] for k in range(0, 24, 2)]
    video = Video(np.stack(frames), np.arange(12) / 10)
    queries = grid_queries(video.size, 12)
    queries = queries[(queries[:, 0] > 35) & (queries[:, 0] < 155)]
    tracks = tracker.track(video, queries)
    errors = np.linalg.norm(tracks.points[-1] - (queries - [22, 0]), axis=1)
    assert np.median(errors[tracks.visible[-1]]) < 0.2
    assert tracks.visible[-1].mean() > 0.7


def test_a_box_that_vanishes_is_not_visible_any_more(tracker):
    scene = render(carried(12))
    empty = render(carried(2, shift=8.0))
    frames, depth = scene.video.frames.copy(), scene.depth.copy()
    frames[6:], depth[6:] = empty.video.frames[0], empty.depth[0]
    queries = farthest_queries(scene.masks[0], 60, 0.1)
    tracks = tracker.track(
        Video(frames, scene.video.times),
        queries,
        depth=depth,
        camera=CAMERA,
        regions=np.where(scene.masks[0], 0, FREE),
    )
    assert tracks.visible[5].mean() > 0.7
    assert tracks.visible[-1].mean() < 0.1


def test_tracking_is_the_same_every_time_and_can_be_cancelled(tracker):
    scene = render(carried(5))
    queries = farthest_queries(scene.masks[0], 30, 0.1)
    first, second = (tracked(tracker, scene, queries) for _ in range(2))
    assert np.array_equal(first.points, second.points)
    with pytest.raises(CancelledError, match='1 of 5'):
        tracked(tracker, scene, queries, cancelled=lambda: True)


@pytest.mark.parametrize(
    'wrong',
    [
        {'queries': np.zeros((0, 2))},
        {'queries': np.array([[500.0, 5.0]])},
        {'queries': np.array([[np.nan, 5.0]])},
        {'depth': np.ones((3, 4, 5), np.float32)},
        {'regions': np.zeros((4, 5), int)},
    ],
)
def test_input_that_does_not_belong_together_is_refused(tracker, wrong):
    scene = render(carried(2))
    right = {'queries': np.array([[5.0, 5.0]])}
    with pytest.raises(InvalidInputError):
        tracker.track(scene.video, **{**right, **wrong})


def test_the_table_of_trackers_names_what_it_knows():
    assert TRACKERS.load('lucas_kanade') is LucasKanadeTracker
    with pytest.raises(BackendError, match="did you mean 'lucas_kanade'"):
        TRACKERS.load('lucas_canade')


def test_points_that_are_hidden_keep_their_place_in_3d(tracker):
    bar = np.linspace(190, 5, 25)
    scene = render(carried(25, shift=0.05, turn=0.2), bar=bar)
    queries = farthest_queries(scene.masks[0], 80, 0.1)
    tracks = tracked(tracker, scene, queries)
    truth = scene.truth(queries)
    behind = np.abs(CAMERA.project(truth)[..., 0] - bar[:, None]) < 7
    believed = tracks.support > 0.5
    assert believed[behind].mean() > 0.9
    lifted = CAMERA.deproject(tracks.points, tracks.depth)
    errors = np.linalg.norm(lifted - truth, axis=2)[behind & believed]
    assert np.median(errors) < 0.004
    assert np.percentile(errors, 95) < 0.012
    # Lifting takes them; by the images' depth alone they would be on the bar.
    flow = lift_tracks(tracks, scene.depth, CAMERA, np.eye(4))
    assert flow.num_points > 60
    assert (flow.confidence > 0.5).mean() > 0.95


def test_points_that_should_be_in_sight_and_are_not_lose_support(tracker):
    scene = render(carried(12, shift=0.04, turn=0.1))
    # Half of the box vanishes: what is behind it is seen through.
    empty = render(carried(2, shift=8.0))
    frames, depth = scene.video.frames.copy(), scene.depth.copy()
    columns = np.nonzero(scene.masks[6].any(axis=0))[0]
    gone = np.s_[:, : int(columns.mean()) - 4]
    for t in range(6, 12):
        frames[t][gone], depth[t][gone] = empty.video.frames[0][gone], empty.depth[0][gone]
    queries = farthest_queries(scene.masks[0], 160, 0.2)
    tracks = tracker.track(
        Video(frames, scene.video.times),
        queries,
        depth=depth,
        camera=CAMERA,
        regions=np.where(scene.masks[0], 0, FREE),
    )
    lost = CAMERA.project(scene.truth(queries))[-1, :, 0] < columns.mean() - 8
    assert lost.sum() > 10
    assert (tracks.support[-1, lost] > 0.5).mean() < 0.1
