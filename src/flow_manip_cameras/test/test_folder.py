# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_cameras import CAMERAS
from flow_manip_cameras.recording import open_recording, RecordingCamera
from flow_manip_core.backends import create_backend
from flow_manip_core.errors import ConfigurationError, InvalidInputError

HEIGHT, WIDTH = 24, 32
INTRINSICS = {'fx': 30.0, 'fy': 31.0, 'cx': 15.5, 'cy': 11.5}


def write_bin(make, folder, count=2):
    folder.mkdir(exist_ok=True)
    for index in range(count):
        frame = make.frame(index)
        make.color(folder / f'input-{index}.color.png', frame.color)
        make.depth(folder / f'input-{index}.depth.png', frame.depth, 0.0001)
        make.color(folder / f'background-{index}.color.png', frame.color)
        make.depth(folder / f'background-{index}.depth.png', frame.depth, 0.0001)
        matrix = make.intrinsics()
        matrix[0, 0] += index
        make.matrix(folder / f'camera-{index}.intrinsics.txt', matrix)
        make.matrix(folder / f'camera-{index}.pose.txt', frame.T_world_camera)


def test_a_handheld_folder_is_read_in_millimetres_with_a_pose_per_frame(tmp_path, make):
    written = make.handheld(tmp_path)
    recording = open_recording(tmp_path)
    read = list(recording.frames())
    assert len(read) == 3
    assert not recording.fixed_pose
    for index, (frame, observation) in enumerate(zip(written, read)):
        known = frame.depth > 0
        np.testing.assert_allclose(observation.depth[known], frame.depth[known], atol=5e-4)
        assert np.isnan(observation.depth[~known]).all()
        np.testing.assert_allclose(observation.T_world_camera, frame.T_world_camera, atol=1e-6)
        assert np.abs(observation.color.astype(int) - frame.color).mean() < 8
        assert observation.stamp == pytest.approx(index / 30.0)
    assert (read[0].camera.width, read[0].camera.height) == (WIDTH, HEIGHT)
    assert read[0].camera.fy == INTRINSICS['fy']


def test_a_bin_folder_is_read_in_tenths_of_a_millimetre_with_a_camera_per_frame(tmp_path, make):
    write_bin(make, tmp_path)
    read = list(open_recording(tmp_path).frames())
    assert [o.camera.fx for o in read] == [INTRINSICS['fx'], INTRINSICS['fx'] + 1]
    assert read[0].depth[10, 20] == pytest.approx(0.8)
    np.testing.assert_allclose(read[1].T_world_camera, make.frame(1).T_world_camera, atol=1e-6)


@pytest.mark.parametrize('unit', [0.001, 0.0001, 0.0002, 1.0 / 5000, 0.00003125])
def test_a_described_folder_may_have_any_unit(tmp_path, unit, make):
    written = make.described(tmp_path / 'r', unit=unit)
    read = list(open_recording(tmp_path / 'r').frames())
    for frame, observation in zip(written, read, strict=True):
        known = frame.depth > 0
        np.testing.assert_allclose(observation.depth[known], frame.depth[known], atol=unit)
        np.testing.assert_array_equal(observation.color, frame.color)
        assert observation.T_world_camera[:3, 3].tolist() == [0.1, 0.2, 0.3]


def test_a_yaml_elsewhere_may_describe_a_folder_that_cannot_be_written_to(tmp_path, make):
    make.described(tmp_path / 'r')
    text = (tmp_path / 'r' / 'recording.yaml').read_text()
    (tmp_path / 'mine.yaml').write_text(f'{text}folder: r\n')
    (tmp_path / 'r' / 'recording.yaml').unlink()
    assert len(list(open_recording(tmp_path / 'mine.yaml').frames())) == 2


def test_saturated_counts_are_no_readings(tmp_path, make):
    make.handheld(tmp_path, count=1)
    depth = np.full((HEIGHT, WIDTH), 1000)
    depth[3, 4] = 65535
    make.depth(tmp_path / 'frame-000000.depth.png', depth, 1)
    observation = next(open_recording(tmp_path).frames())
    assert np.isnan(observation.depth[3, 4])
    assert np.isfinite(observation.depth).sum() == HEIGHT * WIDTH - 1


def test_without_a_known_layout_the_yaml_keys_are_named(tmp_path, make):
    make.color(tmp_path / 'photo.png', make.frame(0).color)
    with pytest.raises(ConfigurationError, match=r'photo\.png.*depth_unit'):
        open_recording(tmp_path)


def test_a_description_without_unit_is_not_guessed(tmp_path, make):
    make.described(tmp_path / 'r', depth_unit=None)
    with pytest.raises(ConfigurationError, match="'depth_unit' is required"):
        open_recording(tmp_path / 'r')


def test_a_layout_whose_unit_makes_no_sense_is_refused(tmp_path, make):
    # Named as 7-Scenes would, but counted in fifths of a millimetre of a far room.
    make.handheld(tmp_path, unit=0.00003)
    with pytest.raises(ConfigurationError, match='set depth_unit'):
        open_recording(tmp_path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'depth_unit': 0.0}, 'depth_unit'),
        ({'depth_unit': 2.5}, 'depth_unit'),
        ({'rate': -1.0}, 'rate'),
        ({'colour': 'x'}, "did you mean 'color'"),
        ({'color': '*/*.png'}, "more than one '\\*'"),
        ({'color': 'colors/*.png'}, 'no file fits color'),
        ({'intrinsics': {'fx': 1.0}}, 'intrinsics'),
        ({'intrinsics': {**INTRINSICS, 'fx': 'wide'}}, 'intrinsics'),
        ({'pose': {'rotation': [0.0, 0.0, 0.0, 3.0]}}, 'unit quaternion'),
        ({'pose': 3}, 'pose'),
    ],
)
def test_a_wrong_key_is_named_with_the_file(tmp_path, changes, message, make):
    make.described(tmp_path / 'r', **changes)
    with pytest.raises(ConfigurationError, match=message) as caught:
        open_recording(tmp_path / 'r')
    assert str(tmp_path / 'r') in str(caught.value)


@pytest.mark.parametrize('part', ['depth.png', 'pose.txt'])
def test_a_missing_part_of_a_frame_is_named_before_anything_plays(tmp_path, part, make):
    make.handheld(tmp_path)
    (tmp_path / f'frame-000002.{part}').unlink()
    with pytest.raises(InvalidInputError, match=f'frame-000002.{part} is missing'):
        open_recording(tmp_path)


@pytest.mark.parametrize('part', ['depth.png', 'color.jpg', 'pose.txt'])
@pytest.mark.parametrize('damage', ['cut', 'empty', 'text'])
def test_a_broken_file_is_named_when_its_frame_comes(tmp_path, part, damage, make):
    make.handheld(tmp_path)
    path = tmp_path / f'frame-000002.{part}'
    whole = path.read_bytes()
    path.write_bytes({'cut': whole[: len(whole) // 2], 'empty': b'', 'text': b'none'}[damage])
    frames = open_recording(tmp_path).frames()
    next(frames)
    with pytest.raises(InvalidInputError, match=f'frame-000002.{part}'):
        next(frames)


def test_colour_and_depth_of_different_sizes_are_refused(tmp_path, make):
    make.handheld(tmp_path, count=1)
    make.depth(tmp_path / 'frame-000000.depth.png', np.ones((HEIGHT, WIDTH - 1)), 0.001)
    with pytest.raises(InvalidInputError, match='registered'):
        open_recording(tmp_path)


def test_colour_in_place_of_depth_is_refused(tmp_path, make):
    make.handheld(tmp_path, count=1)
    make.color(tmp_path / 'frame-000000.depth.png', make.frame(0).color)
    with pytest.raises(InvalidInputError, match='16 bits'):
        open_recording(tmp_path)


def test_a_mirroring_pose_is_refused(tmp_path, make):
    make.handheld(tmp_path, count=1)
    make.matrix(tmp_path / 'frame-000000.pose.txt', np.diag([1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(InvalidInputError, match=r'pose\.txt is not a rigid transform'):
        open_recording(tmp_path)


def test_intrinsics_of_a_larger_image_are_refused(tmp_path, make):
    make.handheld(tmp_path, count=1)
    matrix = make.intrinsics()
    matrix[:2] *= 20
    make.matrix(tmp_path / 'camera-intrinsics.txt', matrix)
    with pytest.raises(InvalidInputError, match='principal point'):
        open_recording(tmp_path)


def test_a_png_that_claims_a_giant_image_is_not_decoded(tmp_path, make):
    make.handheld(tmp_path, count=1)
    path = tmp_path / 'frame-000000.depth.png'
    data = bytearray(path.read_bytes())
    data[16:24] = (60000).to_bytes(4, 'big') * 2
    path.write_bytes(bytes(data))
    with pytest.raises(InvalidInputError, match='60000 x 60000'):
        open_recording(tmp_path)


def test_the_rig_knows_where_the_camera_is_if_the_recording_does_not(tmp_path, context, make):
    make.described(tmp_path / 'r', pose=None)
    with pytest.raises(ConfigurationError, match="no 'pose'"):
        open_recording(tmp_path / 'r')
    parameters = {'backend': 'recording', 'recording': {'path': str(tmp_path / 'r')}}
    camera = create_backend(CAMERAS, parameters, context)
    assert (
        tuple(next(camera.frames()).T_world_camera[:3, 3]) == context.rig.camera.pose.translation
    )
    assert camera.fixed_pose
    assert camera.rate == 15.0


def test_a_recording_of_another_world_than_the_rigs_is_refused(tmp_path, context, make):
    make.described(tmp_path / 'r', frame_id='map')
    with pytest.raises(ConfigurationError, match="'map', the rig's is 'world'"):
        RecordingCamera(RecordingCamera.Config(path=str(tmp_path / 'r')), context)


@pytest.mark.parametrize('path', ['', 'nowhere', 'file.txt'])
def test_a_path_to_nothing_is_refused(tmp_path, path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file.txt').write_text('hello')
    with pytest.raises(ConfigurationError):
        open_recording(path)
