# SPDX-License-Identifier: Apache-2.0
import struct

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
import yaml

from flow_manip_cameras.recording import open_recording
from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_core.transforms import make_transform, quaternion_from_transform, rotation_about

HEIGHT, WIDTH = 24, 32
STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
COLOR, DEPTH = '/camera/color/image_raw', '/camera/aligned_depth_to_color/image_raw'
INFO = '/camera/color/camera_info'
OPTICAL = 'camera_color_optical_frame'
T_WORLD_LINK = make_transform([0.4, -0.1, 0.8], rotation_about([0.0, 1.0, 0.0], 0.9))
T_LINK_OPTICAL = make_transform([0.0, 0.02, 0.0], rotation_about([1.0, -1.0, 1.0], 2.0944))


def header(stamp, frame=OPTICAL):
    seconds = int(stamp)
    time = TYPES['builtin_interfaces/msg/Time'](seconds, round((stamp - seconds) * 1e9))
    return TYPES['std_msgs/msg/Header'](time, frame)


def image(stamp, pixels, encoding, padding=0):
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    data = np.pad(rows, ((0, 0), (0, padding)))
    return TYPES['sensor_msgs/msg/Image'](
        header=header(stamp),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=data.shape[1],
        data=np.ascontiguousarray(data).ravel(),
    )


def compressed(stamp, data, kind):
    return TYPES['sensor_msgs/msg/CompressedImage'](
        header(stamp), kind, np.frombuffer(data, dtype=np.uint8)
    )


def info(stamp, d=(0.0,) * 5, model='plumb_bob'):
    roi = TYPES['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return TYPES['sensor_msgs/msg/CameraInfo'](
        header=header(stamp),
        height=HEIGHT,
        width=WIDTH,
        distortion_model=model,
        d=np.array(d),
        k=np.array([30.0, 0, 15.5, 0, 31.0, 11.5, 0, 0, 1]),
        r=np.eye(3).ravel(),
        p=np.zeros(12),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def transform(stamp, parent, child, matrix):
    x, y, z, w = quaternion_from_transform(matrix)
    value = TYPES['geometry_msgs/msg/Transform'](
        TYPES['geometry_msgs/msg/Vector3'](*matrix[:3, 3]),
        TYPES['geometry_msgs/msg/Quaternion'](x, y, z, w),
    )
    stamped = TYPES['geometry_msgs/msg/TransformStamped'](header(stamp, parent), child, value)
    return TYPES['tf2_msgs/msg/TFMessage']([stamped])


def color_pixels(index):
    return np.full((HEIGHT, WIDTH, 3), (10 * index, 100, 200), dtype=np.uint8)


def depth_counts(index):
    counts = np.full((HEIGHT, WIDTH), 800 + index, dtype=np.uint16)
    counts[0, 0] = 0
    return counts


def scene(count=5, delay=0.004):
    """Yield (topic, stamp, message) of a driver: depth comes a little after colour."""
    yield INFO, 1.0, info(1.0)
    yield '/tf_static', 1.0, transform(1.0, 'camera_link', OPTICAL, T_LINK_OPTICAL)
    yield '/tf_static', 1.0, transform(1.0, 'world', 'camera_link', T_WORLD_LINK)
    for index in range(count):
        stamp = 1.0 + index / 15.0
        yield COLOR, stamp, image(stamp, color_pixels(index), 'rgb8')
        yield DEPTH, stamp + delay, image(stamp + delay, depth_counts(index), '16UC1')


def write_bag(path, messages, plugin=StoragePlugin.MCAP):
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {}
        for topic, stamp, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(
                connections[topic], round(stamp * 1e9), STORE.serialize_cdr(message, kind)
            )
    return path


def describe(tmp_path, bag, **values):
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump({'bag': str(bag), **values}))
    return path


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_drivers_bag_is_read_as_it_is(tmp_path, plugin):
    recording = open_recording(write_bag(tmp_path / 'bag', scene(), plugin))
    frames = list(recording.frames())
    assert len(frames) == 5
    assert recording.fixed_pose
    assert recording.rate == pytest.approx(15.0, rel=0.05)
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.color, color_pixels(index))
        assert np.isnan(frame.depth[0, 0])
        assert frame.depth[5, 5] == pytest.approx(0.8 + index / 1000)
        assert frame.stamp == pytest.approx(1.0 + index / 15.0)
        assert (frame.camera.fx, frame.camera.cy) == (30.0, 11.5)
        np.testing.assert_allclose(frame.T_world_camera, T_WORLD_LINK @ T_LINK_OPTICAL, atol=1e-6)


def test_a_single_mcap_file_is_enough_and_can_be_played_again(tmp_path):
    (file,) = write_bag(tmp_path / 'bag', scene()).glob('*.mcap')
    recording = open_recording(file)
    assert len(list(recording.frames())) == len(list(recording.frames())) == 5


def test_a_moving_camera_is_interpolated_between_its_poses(tmp_path):
    messages = [m for m in scene() if not (m[0] == '/tf_static' and 'world' in str(m[2]))]
    for stamp, x in ((0.9, 0.0), (1.1, 0.2), (1.5, 0.6)):
        pose = make_transform([x, 0.0, 0.5])
        messages.append(('/tf', stamp, transform(stamp, 'world', 'camera_link', pose)))
    recording = open_recording(write_bag(tmp_path / 'bag', sorted(messages, key=lambda m: m[1])))
    assert not recording.fixed_pose
    for frame in recording.frames():
        expected = make_transform([frame.stamp - 0.9, 0.0, 0.5]) @ T_LINK_OPTICAL
        np.testing.assert_allclose(frame.T_world_camera, expected, atol=1e-6)


def test_compressed_colour_and_depth_are_decoded(tmp_path):
    pixels, counts = color_pixels(3), depth_counts(3)
    png = cv2.imencode('.png', pixels[..., ::-1])[1].tobytes()
    depth = struct.pack('<iff', 0, 0.0, 0.0) + cv2.imencode('.png', counts)[1].tobytes()
    messages = [
        *(m for m in scene() if m[0] not in (COLOR, DEPTH)),
        (f'{COLOR}/compressed', 1.0, compressed(1.0, png, 'rgb8; png compressed bgr8')),
        (f'{DEPTH}/compressedDepth', 1.0, compressed(1.0, depth, '16UC1; compressedDepth png')),
    ]
    (frame,) = open_recording(write_bag(tmp_path / 'bag', messages)).frames()
    np.testing.assert_array_equal(frame.color, pixels)
    assert frame.depth[5, 5] == pytest.approx(0.803)
    assert np.isnan(frame.depth[0, 0])


def test_compressed_metres_come_back_within_the_transports_step(tmp_path):
    metres = np.linspace(0.4, 3.0, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    # Inverse depth, as the transport quantises it: exact near by, coarse far off.
    scale = 100.0 * 101.0
    offset = 1.0 - scale / 10.0
    counts = np.rint(scale / metres + offset).clip(0).astype(np.uint16)
    counts[metres > 9.9] = 0
    data = struct.pack('<iff', 0, scale, offset) + cv2.imencode('.png', counts)[1].tobytes()
    messages = [
        *(m for m in scene(1) if m[0] != DEPTH),
        (DEPTH, 1.0, compressed(1.0, data, '32FC1; compressedDepth png')),
    ]
    path = write_bag(tmp_path / 'bag', messages)
    (frame,) = open_recording(path).frames()
    known = counts > 0
    np.testing.assert_allclose(frame.depth[known], metres[known], rtol=2e-4)


@pytest.mark.parametrize(
    ('encoding', 'expected'),
    [('bgr8', [200, 100, 30]), ('rgba8', [30, 100, 200]), ('bgra8', [200, 100, 30])],
)
def test_colour_of_any_order_becomes_rgb_and_row_padding_is_dropped(tmp_path, encoding, expected):
    channels = 4 if 'a' in encoding else 3
    pixels = np.zeros((HEIGHT, WIDTH, channels), np.uint8)
    pixels[..., :3] = (30, 100, 200)
    messages = [
        *(m for m in scene(1) if m[0] != COLOR),
        (COLOR, 1.0, image(1.0, pixels, encoding, padding=7)),
    ]
    (frame,) = open_recording(write_bag(tmp_path / 'bag', messages)).frames()
    assert (frame.color == expected).all()


def test_metres_and_other_units_are_read(tmp_path):
    metres = np.full((HEIGHT, WIDTH), 1.5, np.float32)
    metres[0, :3] = (np.nan, np.inf, 0.0)
    base = [m for m in scene(1) if m[0] != DEPTH]
    bag = write_bag(tmp_path / 'a', [*base, (DEPTH, 1.0, image(1.0, metres, '32FC1'))])
    (frame,) = open_recording(bag).frames()
    assert np.isnan(frame.depth[0, :3]).all()
    assert frame.depth[1, 1] == 1.5
    bag = write_bag(tmp_path / 'b', scene(1))
    (frame,) = open_recording(describe(tmp_path, bag, depth_unit=0.0001)).frames()
    assert frame.depth[5, 5] == pytest.approx(0.08)


def test_a_distorted_lens_is_rectified(tmp_path):
    d = (0.3, 0.05, 0.0, 0.0, 0.0)
    columns = np.tile(np.arange(WIDTH, dtype=np.float32) * 7, (HEIGHT, 1))
    pixels = np.repeat(columns[..., None], 3, axis=2).astype(np.uint8)
    messages = [
        (INFO, 1.0, info(1.0, d)),
        *(m for m in scene(1) if m[0] not in (COLOR, INFO)),
        (COLOR, 1.0, image(1.0, pixels, 'rgb8')),
    ]
    (frame,) = open_recording(write_bag(tmp_path / 'bag', messages)).frames()
    x, y = (29 - 15.5) / 30.0, (8 - 11.5) / 31.0
    r2 = x * x + y * y
    distorted = 30.0 * x * (1 + d[0] * r2 + d[1] * r2 * r2) + 15.5
    assert frame.color[8, 29, 0] == pytest.approx(7 * distorted, abs=1.0)
    assert abs(7 * distorted - 7 * 29) > 3


def test_what_is_not_paired_is_left_out(tmp_path):
    messages = [m for m in scene() if not (m[0] == DEPTH and 1.1 < m[1] < 1.2)]
    frames = list(open_recording(write_bag(tmp_path / 'bag', messages)).frames())
    assert [round((f.stamp - 1.0) * 15) for f in frames] == [0, 1, 3, 4]


def test_streams_that_never_meet_are_an_error(tmp_path):
    recording = open_recording(write_bag(tmp_path / 'bag', scene(delay=0.03)))
    with pytest.raises(InvalidInputError, match=r'no depth within 0.02 s of any of 5'):
        list(recording.frames())


def test_two_cameras_are_not_guessed_between(tmp_path):
    messages = list(scene(2))
    other = [(t.replace('camera', 'wrist', 1), s, m) for t, s, m in messages if 'tf' not in t]
    bag = write_bag(tmp_path / 'bag', sorted(messages + other, key=lambda m: m[1]))
    with pytest.raises(ConfigurationError, match=r"'color_topic'.*/wrist/color/image_raw"):
        open_recording(bag)
    chosen = {'color_topic': COLOR, 'depth_topic': DEPTH}
    assert len(list(open_recording(describe(tmp_path, bag, **chosen)).frames())) == 2


def test_aligned_depth_is_preferred_over_the_sensors_own(tmp_path):
    raw = [('/camera/depth/image_rect_raw', s, m) for t, s, m in scene(2) if t == DEPTH]
    messages = sorted([*scene(2), *raw], key=lambda m: m[1])
    recording = open_recording(write_bag(tmp_path / 'bag', messages))
    assert len(list(recording.frames())) == 2


@pytest.mark.parametrize(
    ('without', 'key'), [(COLOR, 'color_topic'), (DEPTH, 'depth_topic'), (INFO, 'info_topic')]
)
def test_a_missing_topic_is_named(tmp_path, without, key):
    bag = write_bag(tmp_path / 'bag', (m for m in scene() if m[0] != without))
    with pytest.raises(ConfigurationError, match=key):
        open_recording(bag)


def test_a_bag_without_tf_needs_a_pose_from_somewhere(tmp_path):
    bag = write_bag(tmp_path / 'bag', (m for m in scene(1) if 'tf' not in m[0]))
    with pytest.raises(ConfigurationError, match="set 'pose'"):
        open_recording(bag)
    given = make_transform([1.0, 2.0, 3.0])
    (frame,) = open_recording(bag, T_world_camera=given).frames()
    np.testing.assert_array_equal(frame.T_world_camera, given)
    pose = {'translation': [3.0, 2.0, 1.0], 'rotation': [0.0, 0.0, 0.0, 1.0]}
    recording = open_recording(describe(tmp_path, bag, pose=pose), T_world_camera=given)
    assert next(recording.frames()).T_world_camera[:3, 3].tolist() == [3.0, 2.0, 1.0]
    assert recording.fixed_pose


def test_a_named_world_that_the_bag_lacks_is_an_error_even_if_the_rig_has_a_pose(tmp_path):
    bag = write_bag(tmp_path / 'bag', scene(1))
    with pytest.raises(ConfigurationError, match=r"'map'.*camera_link"):
        open_recording(describe(tmp_path, bag, frame_id='map'), T_world_camera=np.eye(4))


@pytest.mark.parametrize('keep', [0.02, 0.5, 0.97])
def test_a_cut_mcap_is_named(tmp_path, keep):
    (file,) = write_bag(tmp_path / 'bag', scene()).glob('*.mcap')
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises((InvalidInputError, ConfigurationError), match=r'\.mcap'):
        list(open_recording(file).frames())


def test_an_image_smaller_than_it_says_is_refused(tmp_path):
    broken = image(1.0, color_pixels(0), 'rgb8')
    broken.data = broken.data[:-10]
    messages = [*(m for m in scene(1) if m[0] != COLOR), (COLOR, 1.0, broken)]
    recording = open_recording(write_bag(tmp_path / 'bag', messages))
    with pytest.raises(InvalidInputError, match=r'color/image_raw: 32 x 24 rgb8 .* bytes'):
        list(recording.frames())


def test_a_loop_of_frames_is_found(tmp_path):
    messages = [*scene(1), ('/tf_static', 1.2, transform(1.2, OPTICAL, 'world', np.eye(4)))]
    with pytest.raises(InvalidInputError, match='loop'):
        open_recording(write_bag(tmp_path / 'bag', messages))
