# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import json

import cv2
import numpy as np
import pytest

from flow_manip_core.errors import (
    ConfigurationError,
    InvalidInputError,
    TracksLostError,
    VideoFailedError,
)
from flow_manip_core.observation import Mask
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_learning.clips import mask_in_box, read_clip, with_estimated_depth
from flow_manip_learning.engine import ClipRejectedError
from flow_manip_task.cli.main import main
from flow_manip_task.clips import lift_clip, LiftOptions
from flow_manip_task.video import VideoWriter

HEIGHT, WIDTH, FRAMES, STEP = 120, 160, 10, 4
BOX = (24, 34, 54, 54)


@pytest.fixture(scope='module')
def context():
    return Context(load_robot('franka'), load_rig('tabletop'))


def picture(step):
    """A textured square on mottled grey, 4 px farther right at every step."""
    rng = np.random.default_rng(2)
    grey = rng.integers(60, 140, (HEIGHT // 6, WIDTH // 6), dtype=np.uint8)
    image = cv2.cvtColor(cv2.resize(grey, (WIDTH, HEIGHT)), cv2.COLOR_GRAY2RGB)
    patch = rng.integers(0, 256, (10, 10, 3), dtype=np.uint8)
    patch[..., 0] //= 8
    square = cv2.resize(patch, (40, 40), interpolation=cv2.INTER_CUBIC)
    image[40:80, 30 + STEP * step : 70 + STEP * step] = square
    return image


@pytest.fixture(scope='module')
def clip_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('clip') / 'square.mp4'
    writer = VideoWriter(path)
    for step in range(FRAMES):
        writer.add(picture(step), step / 15.0)
    writer.close()
    return path


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp('recording')
    np.savetxt(folder / 'camera-intrinsics.txt', [[150, 0, 79.5], [0, 150, 59.5], [0, 0, 1]])
    for step in range(FRAMES):
        name = str(folder / f'frame-{step:06}')
        depth = np.full((HEIGHT, WIDTH), 800, np.uint16)
        depth[40:80, 30 + STEP * step : 70 + STEP * step] = 600
        cv2.imwrite(f'{name}.color.png', picture(step)[..., ::-1])
        cv2.imwrite(f'{name}.depth.png', depth)
        np.savetxt(f'{name}.pose.txt', np.eye(4))
    return folder


def options(**changes):
    values = {'object': 'square', 'box': BOX, 'pipeline': 'default', 'tracker': 'lucas_kanade'}
    return LiftOptions(**values | changes)


def test_a_recording_with_depth_is_lifted_in_metres(recording, tmp_path, context):
    report = lift_clip(recording, options(), tmp_path / 'out', context)
    wanted = (FRAMES - 1) * STEP / 150.0 * 0.6
    assert report['median_shift'] == pytest.approx(wanted, abs=0.002)
    assert report['scale'].startswith('metres')
    assert report['camera'] == {'source': 'given', 'moved': 0.0}
    with np.load(tmp_path / 'out' / 'flow.npz') as saved:
        assert saved['points'].shape == (FRAMES, report['points'], 3)
        np.testing.assert_allclose(saved['points'][0, :, 2], 0.6, atol=1e-3)
        assert str(saved['object']) == 'square'
    assert json.loads((tmp_path / 'out' / 'report.json').read_text()) == report
    for name in ('mask.png', 'flow.png', 'flow_3d.png', 'tracks.mp4'):
        assert (tmp_path / 'out' / name).stat().st_size > 1000


def test_a_file_without_depth_says_what_its_lengths_mean(clip_file, tmp_path, context):
    report = lift_clip(clip_file, options(distance=2.0, camera='still'), tmp_path, context)
    focal = WIDTH / 2 / np.tan(np.radians(55) / 2)
    assert report['median_shift'] == pytest.approx((FRAMES - 1) * STEP / focal * 2.0, rel=0.03)
    assert 'taken to be 2 m away' in report['scale']


def test_the_command_prints_what_came_of_it(clip_file, tmp_path, capsys):
    arguments = ['lift', str(clip_file), '--object', 'square', '--pipeline', 'default']
    arguments += ['--tracker', 'lucas_kanade', '--out', str(tmp_path / 'out')]
    assert main([*arguments, '--box', *map(str, BOX)]) == 0
    assert "points of 'square' over 10 frames" in capsys.readouterr().out
    assert main(arguments) == 1
    assert 'give --box, --mask, --moving or --segmenter' in capsys.readouterr().err


def test_the_thing_that_moves_is_found_without_a_box(tmp_path, context):
    # What moves from the first frame counts as a hand: this square rests for half a second.
    path, rest = tmp_path / 'resting.mp4', 8
    writer = VideoWriter(path)
    for step in range(rest + FRAMES):
        writer.add(picture(max(0, step - rest)), step / 15.0)
    writer.close()
    moving = options(box=None, moving=True, camera='still')
    report = lift_clip(path, moving, tmp_path / 'out', context)
    assert report['mask_pixels'] == pytest.approx(40 * 40, rel=0.25)
    focal = WIDTH / 2 / np.tan(np.radians(55) / 2)
    assert report['median_shift'] == pytest.approx((FRAMES - 1) * STEP / focal, rel=0.05)
    with pytest.raises(ClipRejectedError, match='nothing moves far enough'):
        lift_clip(path, replace(moving, seconds=0.5), tmp_path / 'rest', context)


def test_a_part_of_a_clip_is_lifted(recording, clip_file, tmp_path, context):
    box = (24 + 2 * STEP, 34, 54, 54)
    late = options(box=box, start=2 / 15, seconds=0.3, camera='still')
    part = lift_clip(clip_file, late, tmp_path / 'part', context)
    assert part['frames'] in (4, 5)
    assert part['seconds_of_clip'] == pytest.approx((part['frames'] - 1) / 15, abs=1e-3)
    half = lift_clip(recording, options(seconds=0.1), tmp_path / 'half', context)
    assert half['frames'] == 4  # at 30 Hz


def test_the_thing_in_a_box_is_cut_out_by_colour():
    found = mask_in_box(picture(0), BOX, 'square').pixels
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[40:80, 30:70] = True
    assert (found & truth).sum() / (found | truth).sum() > 0.9


def test_a_mask_file_must_be_of_the_clips_size(clip_file, tmp_path, context):
    good, small = tmp_path / 'good.png', tmp_path / 'small.png'
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[45:75, 35:65] = 255
    cv2.imwrite(str(good), mask)
    cv2.imwrite(str(small), mask[::2, ::2])
    report = lift_clip(clip_file, options(box=None, mask=good), tmp_path / 'out', context)
    assert report['mask_pixels'] == 900
    with pytest.raises(InvalidInputError, match='is 80 x 60 px, expected 160 x 120 px'):
        lift_clip(clip_file, options(box=None, mask=small), tmp_path / 'out', context)


@pytest.mark.parametrize(
    ('changes', 'error', 'why'),
    [
        ({'box': (150, 0, 20, 20)}, InvalidInputError, 'does not lie within 160 x 120'),
        ({'box': (100, 85, 30, 30)}, (InvalidInputError, TracksLostError), 'stands out|needed'),
        ({'fov_degrees': 0.0}, InvalidInputError, 'field of view 0'),
        ({'num_frames': 1}, InvalidInputError, '1 frames'),
    ],
)
def test_what_does_not_fit_the_clip_is_refused(clip_file, tmp_path, context, changes, error, why):
    with pytest.raises(error, match=why):
        lift_clip(clip_file, options(**changes), tmp_path, context)


def test_what_is_no_clip_is_refused(tmp_path, context):
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(VideoFailedError, match='cannot be read'):
        read_clip(tmp_path / 'text.mp4', context)
    with pytest.raises(ConfigurationError, match='no recording'):
        read_clip(tmp_path / 'absent', context)


class Estimator:
    """Says that the left half is twice as far as the right one, in one of the kinds."""

    def __init__(self, kind):
        self.kind = kind

    def estimate(self, video, *, cancelled=None):
        depth = np.full(video.frames.shape[:3], 6.0, np.float32)
        depth[:, :, WIDTH // 2 :] = 3.0
        return 1.0 / depth if self.kind == 'disparity' else depth


@pytest.mark.parametrize(
    ('kind', 'at_object', 'words'),
    [
        ('metric', 6.0, 'as the depth model believes'),
        ('relative', 1.5, 'taken to be 1.5 m away'),
        ('disparity', 1.5, 'taken to be 1.5 m away'),
    ],
)
def test_estimated_depth_is_believed_or_scaled_to_the_distance(
    clip_file, context, kind, at_object, words
):
    clip = read_clip(clip_file, context)
    mask = Mask(np.zeros((HEIGHT, WIDTH), bool) | (np.arange(WIDTH) < 40), 'left')
    found = with_estimated_depth(clip, Estimator(kind), mask, 1.5)
    depth = found.observation.depth
    np.testing.assert_allclose(depth[:, 0], at_object, rtol=1e-5)
    np.testing.assert_allclose(depth[:, -1], at_object / 2, rtol=1e-5)
    assert words in found.scale
    assert found.video.depth is None
