# SPDX-License-Identifier: Apache-2.0
"""Live streams: ids, windows, images left out, and memory that does not grow."""

import gc
import tracemalloc

from moving_box import CAMERA, carried, render
import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_perception.tracking import FREE
from flow_manip_perception.tracking.lucas_kanade import LucasKanadeTracker
from flow_manip_perception.tracking.queries import farthest_queries


@pytest.fixture(scope='module')
def scene():
    return render(carried(10))


@pytest.fixture(scope='module')
def tracker():
    return LucasKanadeTracker(LucasKanadeTracker.Config(), None)


def push(stream, scene, index, stamp):
    return stream.push(scene.video.frames[index], stamp, scene.depth[index])


def test_a_stream_gives_what_the_whole_video_gives(tracker, scene):
    queries = farthest_queries(scene.masks[0], 40, 0.1)
    regions = np.where(scene.masks[0], 0, FREE)
    whole = tracker.track(scene.video, queries, depth=scene.depth, camera=CAMERA, regions=regions)
    stream = tracker.stream(window=4, camera=CAMERA)
    stream.reset(queries, regions=regions)
    for index in range(10):
        tracks = push(stream, scene, index, 50.0 + index)
        assert tracks.times[-1] == 50.0 + index
        assert len(tracks.times) == min(4, index + 1)
        assert np.array_equal(tracks.points[-1], whole.points[index])
        assert np.array_equal(tracks.confidence[-1], whole.confidence[index])


def test_ids_are_kept_until_a_reset_and_never_used_again(tracker, scene):
    stream = tracker.stream(window=3)
    first = stream.reset(np.array([[20.0, 20.0], [60.0, 30.0]]))
    assert np.array_equal(push(stream, scene, 0, 1.0).point_ids, first)
    assert np.array_equal(push(stream, scene, 1, 2.0).point_ids, first)
    second = stream.reset(np.array([[30.0, 20.0]]))
    tracks = push(stream, scene, 2, 3.0)
    assert len(tracks.times) == 1
    assert np.array_equal(tracks.point_ids, second)
    assert not set(first.tolist()) & set(second.tolist())


def test_an_image_that_is_not_newer_is_left_out_and_counted(tracker, scene):
    stream = tracker.stream(window=8)
    stream.reset(np.array([[100.0, 75.0]]))
    before = [push(stream, scene, 0, 10.0), push(stream, scene, 1, 10.1)][-1]
    for stamp in (10.1, 9.0):
        after = push(stream, scene, 2, stamp)
        assert np.array_equal(after.points, before.points)
        assert np.array_equal(after.times, [10.0, 10.1])
    assert stream.num_dropped == 2
    assert len(push(stream, scene, 2, 10.2).times) == 3


def test_wrong_images_are_refused_and_do_no_harm(tracker, scene):
    stream = tracker.stream(window=8)
    with pytest.raises(InvalidInputError, match='reset'):
        push(stream, scene, 0, 0.0)
    with pytest.raises(InvalidInputError):
        stream.reset(np.zeros((0, 2)))
    stream.reset(np.array([[100.0, 75.0]]))
    push(stream, scene, 0, 0.0)
    for frame, stamp, depth in (
        (scene.video.frames[1][:100], 1.0, None),
        (scene.video.frames[1].astype(float), 1.0, None),
        (scene.video.frames[1], np.nan, None),
        (scene.video.frames[1], 1.0, scene.depth[1][:10]),
    ):
        with pytest.raises(InvalidInputError):
            stream.push(frame, stamp, depth)
    assert len(push(stream, scene, 1, 1.0).times) == 2
    for window in (0, 100000):
        with pytest.raises(InvalidInputError, match='window'):
            tracker.stream(window=window)
    other = tracker.stream(camera=CameraModel(64, 48, 50.0, 50.0, 31.5, 23.5))
    other.reset(np.array([[10.0, 10.0]]))
    with pytest.raises(InvalidInputError, match='camera'):
        push(other, scene, 0, 0.0)


def grown_by(tracker, scene, num_images, settled):
    """Return bytes that Python holds more after `num_images` than after `settled` images."""
    stream = tracker.stream(window=16, camera=CAMERA)
    queries = farthest_queries(scene.masks[0], 20, 0.1)
    stream.reset(queries, regions=np.where(scene.masks[0], 0, FREE))
    there_and_back = [*range(10), *range(8, 0, -1)]
    tracemalloc.start()
    try:
        for image in range(num_images):
            if image == settled:
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
            tracks = push(stream, scene, there_and_back[image % 18], image / 15)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert tracks.visible[-1].mean() > 0.6  # it still follows
    return after - before


def test_memory_settles_once_the_window_is_full(tracker, scene):
    assert grown_by(tracker, scene, 180, 60) < 200_000


@pytest.mark.slow
def test_memory_is_flat_over_ten_minutes(tracker, scene):
    assert grown_by(tracker, scene, 9000, 300) < 200_000
