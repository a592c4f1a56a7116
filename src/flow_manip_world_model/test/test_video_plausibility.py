# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import cv2
from dream_fakes import make_observation, make_video, texture
import numpy as np
import pytest

from flow_manip_core.errors import CancelledError, ConfigurationError, ImplausibleVideoError
from flow_manip_world_model.video.plausibility import (
    _small,
    changed_share,
    check_video,
    matched_share,
    VideoCheckConfig,
)

LIMITS = VideoCheckConfig()


@pytest.fixture(scope='module')
def seen():
    return make_observation()


def shifted(image, dx, dy=0.0, zoom=1.0):
    height, width = image.shape[:2]
    warp = np.array([[zoom, 0.0, dx], [0.0, zoom, dy]])
    return cv2.warpAffine(image, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)


def with_frames(video, change):
    frames = np.stack([change(number, frame) for number, frame in enumerate(video.frames)])
    return replace(video, frames=frames)


def test_an_object_that_moves_is_no_cut(seen):
    check_video(make_video(seen[0]), *seen, LIMITS)


def test_flicker_is_no_cut(seen):
    def flicker(number, frame):
        gain = (1.0, 0.8, 1.15)[number % 3]
        return np.clip(frame * gain + 8.0 * (number % 2), 0, 255).astype(np.uint8)

    check_video(with_frames(make_video(seen[0]), flicker), *seen, LIMITS)


@pytest.mark.parametrize('pixels', [2.0, 10.0])
def test_a_camera_that_moves_slowly_is_no_cut(seen, pixels):
    video = with_frames(make_video(seen[0]), lambda n, frame: shifted(frame, pixels * n))
    check_video(video, *seen, LIMITS)


def test_a_camera_that_zooms_is_no_cut(seen):
    video = with_frames(
        make_video(seen[0]), lambda n, frame: shifted(frame, -3 * n, 0, 1 + n / 50)
    )
    check_video(video, *seen, LIMITS)


def test_a_jump_to_another_view_is_a_cut_with_the_frame_and_the_numbers(seen):
    far = with_frames(make_video(seen[0]), lambda n, frame: shifted(frame, 150.0 * (n >= 5)))
    for video in (make_video(seen[0], 'cut'), far):
        with pytest.raises(ImplausibleVideoError, match=r'frame [45] of 9.*% of the picture'):
            check_video(video, *seen, LIMITS)


def test_a_cut_to_a_view_close_by_is_still_a_cut(seen):
    near = with_frames(make_video(seen[0]), lambda n, frame: shifted(frame, 40.0 * (n >= 5)))
    with pytest.raises(ImplausibleVideoError, match='frame 5 of 9'):
        check_video(near, *seen, LIMITS)


def test_few_frames_a_second_are_no_cut(seen):
    def hand(number, frame):
        frame = shifted(frame, 12.0 * number, 5.0 * number)
        frame[:, 20 * number : 20 * number + 90] = (190, 150, 120)
        return frame

    video = with_frames(make_video(seen[0]), lambda n, frame: hand(n, frame) if n else frame)
    changed = [changed_share(_small(a), _small(b)) for a, b in zip(video.frames, video.frames[1:])]
    assert max(changed) > 0.3  # much changes, but it always does
    check_video(video, *seen, LIMITS)


def test_a_video_of_something_else_is_refused(seen):
    with pytest.raises(ImplausibleVideoError, match='does not show what the camera sees'):
        check_video(make_video(seen[0], 'stranger'), *seen, LIMITS)


def test_a_first_frame_without_the_object_is_refused(seen):
    video = with_frames(make_video(seen[0]), lambda n, frame: texture(0) if n == 0 else frame)
    with pytest.raises(ImplausibleVideoError, match="'red block' where it is"):
        check_video(video, *seen, LIMITS)
    check_video(video, seen[0], None, LIMITS)  # nobody said where to look


def test_a_video_of_another_size_is_refused(seen):
    small = make_video(seen[0])
    small = replace(small, frames=np.ascontiguousarray(small.frames[:, ::2, ::2]))
    with pytest.raises(ImplausibleVideoError, match='160 x 120 px, the camera 320 x 240'):
        check_video(small, *seen, LIMITS)


def test_a_cancel_is_seen_between_frames(seen):
    polls = iter([False, False, True])
    with pytest.raises(CancelledError, match='frame 3'):
        check_video(make_video(seen[0]), *seen, LIMITS, lambda: next(polls))


def test_limits_that_are_no_shares_are_refused():
    with pytest.raises(ConfigurationError, match='max_jump'):
        VideoCheckConfig(max_jump=40.0)


def test_flat_pictures_say_nothing():
    flat = np.full((120, 160), 90, dtype=np.uint8)
    assert changed_share(flat, flat) == 0.0
    colors = np.full((240, 320, 3), 90, dtype=np.uint8)
    assert matched_share(colors, colors, 0.1) == 1.0
    # What was there and is gone has changed.
    grey = cv2.cvtColor(cv2.resize(texture(0), (160, 120)), cv2.COLOR_RGB2GRAY)
    assert changed_share(grey, flat) > 0.9
    assert matched_share(texture(0), colors, 0.1) == 0.0
