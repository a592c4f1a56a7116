# SPDX-License-Identifier: Apache-2.0
"""Live streams: ids, windows, images left out, and memory that does not grow."""

import gc
from pathlib import Path
import resource
import sys

from moving_box import CAMERA, carried, render
import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_perception.tracking import FREE
from flow_manip_perception.tracking.lucas_kanade import LucasKanadeTracker
from flow_manip_perception.tracking.queries import farthest_queries
from flow_manip_perception.tracking.rigid_region import RigidConfig


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


def grown_by(scene, num_images, settled):
    """Return blocks and bytes more after `num_images` than after `settled` images."""
    small = RigidConfig(model_points=100, frame_points=500, iterations=6)
    tracker = LucasKanadeTracker(LucasKanadeTracker.Config(rigid=small), None)
    stream = tracker.stream(window=16, camera=CAMERA)
    queries = farthest_queries(scene.masks[0], 20, 0.1)
    stream.reset(queries, regions=np.where(scene.masks[0], 0, FREE))
    there_and_back = [*range(10), *range(8, 0, -1)]
    before = (0, 0)
    for image in range(num_images):
        if image == settled:
            before = held()
        tracks = push(stream, scene, there_and_back[image % 18], image / 10)
    assert tracks.visible[-1].mean() > 0.6  # it still follows
    return np.subtract(held(), before)


def held():
    """Return blocks of Python's allocator and bytes of the process."""
    gc.collect()
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return sys.getallocatedblocks(), pages * resource.getpagesize()


def test_memory_settles_once_the_window_is_full(scene):
    blocks, size = grown_by(scene, 200, 80)
    assert blocks < 2000
    assert size < 30e6


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_memory_is_flat_over_ten_minutes_at_ten_images_a_second(scene):
    blocks, size = grown_by(scene, 6000, 300)
    assert blocks < 2000
    assert size < 30e6
