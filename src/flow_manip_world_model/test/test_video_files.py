# SPDX-License-Identifier: Apache-2.0
import json

import cv2
from dream_fakes import make_observation, moved, texture
import imageio_ffmpeg
import numpy as np
import pytest

from flow_manip_core.errors import CancelledError, ConfigurationError, VideoFailedError
from flow_manip_world_model.video import VIDEO_GENERATORS
from flow_manip_world_model.video.files import read_video
from flow_manip_world_model.video.framing import Framing
from flow_manip_world_model.video.recorded import RecordedVideo


def write_mp4(path, frames, rate=24):
    height, width = frames[0].shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=rate, macro_block_size=1, quality=9
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


@pytest.fixture(scope='module')
def seen():
    return make_observation()[0]


@pytest.fixture(scope='module')
def frames(seen):
    return [moved(seen, 2 * step) for step in range(48)]


@pytest.fixture(scope='module')
def film(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp('film') / 'clip.mp4'
    write_mp4(path, frames)
    return path


def record(seen, path, context, count=1, **config):
    generator = RecordedVideo(RecordedVideo.Config(path=str(path), **config), context)
    return list(generator.generate(seen, 'push it', num_videos=count, seed=7))


def test_a_long_video_is_thinned_evenly_with_both_ends(film, frames):
    read, times = read_video(film, 41)
    assert read.shape == (41, 240, 320, 3)
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(47 / 24)
    assert np.abs(read[0].astype(int) - frames[0]).mean() < 6.0
    assert np.abs(read[-1].astype(int) - frames[-1]).mean() < 6.0
    numbers = (times * 24).round().astype(int)
    assert set(np.diff(numbers)) == {1, 2}


def test_a_short_video_keeps_all_its_frames(film):
    read, times = read_video(film, 100)
    assert len(read) == len(times) == 48


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', 'bytes|read'),
        (b'not a film at all', 'cannot be read'),
        (b'#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n', 'cannot be read'),
        (b'#EXTM3U\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n', 'cannot be read'),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, content, words):
    path = tmp_path / 'bad.mp4'
    path.write_bytes(content)
    with pytest.raises(VideoFailedError, match=words):
        read_video(path, 41)


def test_a_file_that_is_cut_off_is_refused(tmp_path, film):
    path = tmp_path / 'half.mp4'
    path.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    with pytest.raises(VideoFailedError, match='cannot be read'):
        read_video(path, 41)
    with pytest.raises(VideoFailedError, match='no such file'):
        read_video(tmp_path / 'none.mp4', 41)


def test_a_file_that_is_too_large_is_not_opened(film, monkeypatch):
    monkeypatch.setattr('flow_manip_world_model.video.files.MAX_FILE', 1000)
    with pytest.raises(VideoFailedError, match='limit 1000'):
        read_video(film, 41)


def test_a_cancel_is_seen_between_frames(film):
    polls = iter([False] * 5 + [True] * 100)
    with pytest.raises(CancelledError):
        read_video(film, 41, lambda: next(polls))


def test_a_recorded_film_is_given_at_the_cameras_size(seen, film, context, tmp_path):
    assert VIDEO_GENERATORS.load('recorded') is RecordedVideo
    (video,) = record(seen, film, context, count=4)
    assert video.frames.shape == (41, 240, 320, 3)
    assert video.source == 'recorded clip.mp4'
    assert (video.prompt, video.seed) == ('push it', 7)
    big = tmp_path / 'big.mp4'
    write_mp4(big, [cv2.resize(moved(seen, 0), (640, 480))] * 6)
    assert record(seen, big, context)[0].frames.shape == (6, 240, 320, 3)


def test_several_films_of_a_folder_are_several_videos(seen, frames, context, tmp_path):
    for name in ('b.mp4', 'a.mp4'):
        write_mp4(tmp_path / name, frames[:6])
    (tmp_path / 'c.mp4').write_bytes(b'broken')
    failed = {}
    generator = RecordedVideo(RecordedVideo.Config(path=str(tmp_path)), context)
    videos = list(
        generator.generate(seen, 'push', num_videos=5, seed=3, on_failed=failed.__setitem__)
    )
    assert [video.source for video in videos] == ['recorded a.mp4', 'recorded b.mp4']
    assert [video.seed for video in videos] == [3, 4]
    assert isinstance(failed[2], VideoFailedError)


def write_pictures(folder, frames, depth=None):
    folder.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{number:04d}.png'), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    if depth is not None:
        (folder / 'depth').mkdir()
        for number, each in enumerate(depth):
            cv2.imwrite(str(folder / 'depth' / f'{number:04d}.png'), each)


def test_a_folder_of_frames_comes_with_its_depth_and_poses(seen, frames, context, tmp_path):
    depth = (
        np.full((48, 240, 320), 812, dtype=np.uint16)
        + np.arange(48, dtype=np.uint16)[:, None, None]
    )
    depth[:, 0, 0] = 0
    folder = tmp_path / 'frames'
    write_pictures(folder, frames, depth)
    poses = np.tile(np.eye(4), (48, 1, 1))
    poses[:, 0, 3] = np.arange(48)
    (tmp_path / 'poses.json').write_text(json.dumps(poses.tolist()))
    (video,) = record(
        seen,
        folder,
        context,
        depth=str(folder / 'depth'),
        poses=str(tmp_path / 'poses.json'),
        rate=8.0,
        num_frames=5,
    )
    np.testing.assert_array_equal(video.frames[-1], frames[-1])
    numbers = (video.times * 8.0).round()
    np.testing.assert_array_equal(numbers, [0, 12, 24, 35, 47])
    np.testing.assert_allclose(video.depth[:, 5, 5], 0.812 + numbers / 1000.0, atol=1e-6)
    assert np.isnan(video.depth[:, 0, 0]).all()
    np.testing.assert_array_equal(video.camera_poses[:, 0, 3], numbers)


def test_depth_or_poses_that_do_not_belong_to_the_frames_are_refused(
    seen, frames, context, tmp_path
):
    folder = tmp_path / 'frames'
    write_pictures(folder, frames[:6], np.full((4, 240, 320), 900, np.uint16))
    with pytest.raises(VideoFailedError, match='4 depth for a video of which 6'):
        record(seen, folder, context, depth=str(folder / 'depth'))
    (tmp_path / 'p.json').write_text('[[1, 2], [3]]')
    with pytest.raises(VideoFailedError, match=r'p\.json'):
        record(seen, folder, context, poses=str(tmp_path / 'p.json'))
    stretched = np.tile(2.0 * np.eye(4), (6, 1, 1))
    (tmp_path / 'p.json').write_text(json.dumps(stretched.tolist()))
    with pytest.raises(VideoFailedError, match='rigid'):
        record(seen, folder, context, poses=str(tmp_path / 'p.json'))
    cv2.imwrite(str(folder / '0003.png'), np.zeros((240, 320, 3), np.uint8))
    (folder / '0004.png').write_bytes(b'no picture')
    with pytest.raises(VideoFailedError, match=r'0004\.png is no picture'):
        record(seen, folder, context)


def test_a_recording_of_another_camera_is_refused(seen, context, tmp_path):
    write_mp4(tmp_path / 'wide.mp4', [texture(0, 640, 360)] * 4)
    with pytest.raises(VideoFailedError, match='640 x 360 px, the camera 320 x 240'):
        record(seen, tmp_path / 'wide.mp4', context)


def test_a_path_is_required():
    with pytest.raises(ConfigurationError, match="'path' is required"):
        RecordedVideo.Config()


@pytest.mark.parametrize('generator', [(1280, 720), (720, 1280), (832, 480), (320, 240)])
def test_a_frame_that_is_fitted_and_taken_back_is_the_same_picture(seen, generator):
    framing = Framing((320, 240), generator)
    framed = framing.fit(seen.color)
    assert framed.shape == (generator[1], generator[0], 3)
    back = framing.undo(framed[None])[0]
    assert np.abs(back.astype(int) - seen.color).mean() < 4.0
    # No shift: the pixels' order of a pixel matters to depth.
    shifts = [np.abs(np.roll(back, n, axis=1).astype(int) - seen.color).mean() for n in (-1, 0, 1)]
    assert int(np.argmin(shifts)) == 1


def test_a_service_may_answer_larger_but_not_in_another_shape(seen):
    framing = Framing((320, 240), (1280, 720))
    large = cv2.resize(framing.fit(seen.color), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    assert np.abs(framing.undo(large[None])[0].astype(int) - seen.color).mean() < 4.0
    with pytest.raises(VideoFailedError, match='shape of 1280 x 720'):
        framing.undo(np.zeros((2, 960, 960, 3), np.uint8))
