# SPDX-License-Identifier: Apache-2.0
import json
import sys

import cv2
from engine_clips import frames, picture, REST, SIDE
import imageio_ffmpeg
import numpy as np
import pytest

from flow_manip_core.errors import BackendError, ConfigurationError, VideoFailedError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_learning.engine import EngineConfig, find_sources, InputOptions

RATE = 10


@pytest.fixture(scope='module')
def context():
    return Context(load_robot('franka'), load_rig('tabletop'))


def write_video(path, images):
    path.parent.mkdir(parents=True, exist_ok=True)
    size = images.shape[2], images.shape[1]
    writer = imageio_ffmpeg.write_frames(str(path), size, fps=RATE, quality=9)
    writer.send(None)
    for image in images:
        writer.send(np.ascontiguousarray(image))
    writer.close()


def write_pictures(folder, images):
    folder.mkdir(parents=True)
    for k, image in enumerate(images):
        cv2.imwrite(str(folder / f'image_{k}.png'), image[..., ::-1])


def test_pictures_come_in_the_order_of_their_numbers(tmp_path, context):
    write_pictures(tmp_path / 'many', frames())  # image_10 would come before image_2 by name
    (source,) = find_sources([tmp_path / 'many'], InputOptions(rate=4.0))
    clip = source.read(context, EngineConfig())
    np.testing.assert_array_equal(clip.video.frames, frames())
    assert clip.video.times[1] == 0.25
    assert not clip.measured


def test_an_episode_brings_its_words(tmp_path):
    write_pictures(tmp_path / 'set' / 'episode_00', frames()[:3])
    said = {'instruction': 'put the carrot on the plate', 'actions': [], 'states': []}
    (tmp_path / 'set' / 'episode_00' / 'episode.json').write_text(json.dumps(said))
    (source,) = find_sources([tmp_path / 'set'], InputOptions(instruction='something else'))
    assert (source.kind, source.instruction) == ('bridge', 'put the carrot on the plate')
    assert source.key == 'set-episode_00'
    (tmp_path / 'set' / 'episode_00' / 'episode.json').write_text('{"instruction": 3}')
    with pytest.raises(ConfigurationError, match='instruction is int'):
        find_sources([tmp_path / 'set'], InputOptions())


def test_a_long_video_is_cut_into_clips_without_a_rest(tmp_path, context):
    write_video(tmp_path / 'long.mp4', np.concatenate([frames(), frames()]))  # 3.2 s
    sources = find_sources([tmp_path / 'long.mp4'], InputOptions(seconds=1.0))
    assert [round(s.start, 3) for s in sources] == [0.0, 1.0, 2.0]
    assert len({s.key for s in sources}) == 3
    clip = sources[1].read(context, EngineConfig())
    assert clip.video.num_frames == 10
    wanted = np.concatenate([frames(), frames()])[10:20]
    assert np.abs(clip.video.frames.astype(int) - wanted).mean() < 8.0
    (whole,) = find_sources([tmp_path / 'long.mp4'], InputOptions())
    assert whole.seconds is None


def test_words_and_a_mask_beside_a_video_belong_to_it(tmp_path):
    write_video(tmp_path / 'clip.mp4', frames())
    (tmp_path / 'clip.txt').write_text('push it\n')
    cv2.imwrite(str(tmp_path / 'clip.gripper.png'), np.zeros((8, 8), np.uint8))
    (source,) = find_sources([tmp_path / 'clip.mp4'], InputOptions())
    assert source.instruction == 'push it'
    assert source.gripper == tmp_path / 'clip.gripper.png'


def test_an_rgbd_folder_is_measured(tmp_path, context):
    folder = tmp_path / 'rgbd'
    folder.mkdir()
    np.savetxt(folder / 'camera-intrinsics.txt', [[150, 0, 63.5], [0, 150, 63.5], [0, 0, 1]])
    for k in range(4):
        name = str(folder / f'frame-{k:06}')
        cv2.imwrite(f'{name}.color.png', picture()[..., ::-1])
        cv2.imwrite(f'{name}.depth.png', np.full((SIDE, SIDE), 800, np.uint16))
    (source,) = find_sources([folder], InputOptions())
    clip = source.read(context, EngineConfig())
    assert (source.kind, clip.measured) == ('recording', True)
    np.testing.assert_allclose(clip.video.depth, 0.8)


def test_what_holds_no_clip_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match='no such file'):
        find_sources([tmp_path / 'absent'], InputOptions())
    (tmp_path / 'notes.txt').write_text('nothing')
    with pytest.raises(ConfigurationError, match='holds no clip; known are video files'):
        find_sources([tmp_path], InputOptions())
    write_pictures(tmp_path / 'one', frames()[:1])
    (tmp_path / 'a').mkdir()
    write_video(tmp_path / 'a' / 'x y.mp4', frames())
    write_video(tmp_path / 'a' / 'x-y.mp4', frames())
    with pytest.raises(ConfigurationError, match='would both be called'):
        find_sources([tmp_path / 'a'], InputOptions())


def test_a_picture_of_another_size_is_refused(tmp_path, context):
    write_pictures(tmp_path / 'mixed', frames()[:3])
    cv2.imwrite(str(tmp_path / 'mixed' / 'image_1.png'), np.zeros((8, 9, 3), np.uint8))
    (source,) = find_sources([tmp_path / 'mixed'], InputOptions())
    with pytest.raises(VideoFailedError, match='is 9 x 8 px'):
        source.read(context, EngineConfig())


# ---------------------------------------------------------------- LeRobot


def write_lerobot(folder, version='v3.0', video_path=None):
    """Two episodes of one camera in one file: the first rests, the second moves."""
    pyarrow = pytest.importorskip('pyarrow', reason='LeRobot datasets are read with pyarrow')
    import pyarrow.parquet as parquet

    camera, rest = 'observation.images.top', np.stack([picture()] * 8)
    write_video(
        folder / 'videos' / camera / 'chunk-000' / 'file-000.mp4',
        np.concatenate([rest, frames()]),
    )
    (folder / 'meta' / 'episodes' / 'chunk-000').mkdir(parents=True)
    info = {
        'codebase_version': version,
        'fps': RATE,
        'video_path': video_path
        or 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4',
        'features': {camera: {'dtype': 'video'}, 'action': {'dtype': 'float32'}},
    }
    (folder / 'meta' / 'info.json').write_text(json.dumps(info))
    rows = {
        'episode_index': [0, 1],
        'tasks': [['wait'], ['push the square']],
        f'videos/{camera}/chunk_index': [0, 0],
        f'videos/{camera}/file_index': [0, 0],
        f'videos/{camera}/from_timestamp': [0.0, 0.8],
        f'videos/{camera}/to_timestamp': [0.8, 0.8 + len(frames()) / RATE],
    }
    table = pyarrow.table(rows)
    parquet.write_table(table, folder / 'meta' / 'episodes' / 'chunk-000' / 'file-000.parquet')


def test_episodes_of_a_lerobot_dataset_are_told_apart(tmp_path, context):
    write_lerobot(tmp_path / 'pushes')
    first, second = find_sources([tmp_path / 'pushes'], InputOptions())
    assert (first.instruction, second.instruction) == ('wait', 'push the square')
    assert second.key == 'pushes-e000001-top'
    still = first.read(context, EngineConfig()).video
    assert still.num_frames == 8
    assert np.abs(still.frames[-1].astype(int) - still.frames[0]).mean() < 4.0
    moved = second.read(context, EngineConfig()).video
    assert moved.num_frames == len(frames())
    assert np.abs(moved.frames.astype(int) - frames()).mean() < 8.0
    assert np.abs(moved.frames[REST - 1].astype(int) - moved.frames[-1]).max() > 100


def test_lerobot_datasets_that_cannot_be_read_say_why(tmp_path, monkeypatch):
    write_lerobot(tmp_path / 'old', version='v2.1')
    with pytest.raises(ConfigurationError, match='read are those of version 3'):
        find_sources([tmp_path / 'old'], InputOptions())
    write_lerobot(tmp_path / 'out', video_path='../{video_key}/x.mp4')
    with pytest.raises(ConfigurationError, match='leads out of'):
        find_sources([tmp_path / 'out'], InputOptions())
    write_lerobot(tmp_path / 'good')
    with pytest.raises(ConfigurationError, match="no camera 'wrist'"):
        find_sources([tmp_path / 'good'], InputOptions(camera='wrist'))
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with pytest.raises(BackendError, match='pip install pyarrow'):
        find_sources([tmp_path / 'good'], InputOptions())
