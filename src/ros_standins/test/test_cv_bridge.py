# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - the imports below need what the skips above them ask for
"""cv_bridge: pixels survive, colours change as OpenCV changes them, bad input is refused."""

from array import array
import struct

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('sensor_msgs.msg')

import cv2
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

import cv_bridge
from cv_bridge import CvBridge, CvBridgeError

DTYPES = ('uint8', 'int8', 'uint16', 'int16', 'int32', 'float32', 'float64')


@pytest.fixture
def bridge():
    return CvBridge()


def noise(*shape, dtype='uint8', seed=0):
    return np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)


def colourful(seed=1):
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('channels', [None, 1, 2, 3, 4, 5])
def test_every_type_survives_a_round_trip(bridge, dtype, channels):
    image = noise(6, 8, *([channels] if channels else []), dtype=dtype)
    message = bridge.cv2_to_imgmsg(image)
    back = bridge.imgmsg_to_cv2(message)
    assert message.step == 8 * (channels or 1) * image.itemsize
    assert back.dtype == image.dtype
    # One channel comes back without its axis.
    assert np.array_equal(back, image[..., 0] if channels == 1 else image)


def test_the_message_holds_the_rows_bytes_and_header(bridge):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    message = bridge.cv2_to_imgmsg(image, 'rgb8', Header(frame_id='camera'))
    assert (message.height, message.width, message.step) == (2, 4, 12)
    assert (message.encoding, message.is_bigendian) == ('rgb8', 0)
    assert message.header.frame_id == 'camera'
    assert message.data == array('B', range(24))


def test_a_view_with_gaps_is_packed(bridge):
    image = noise(9, 9, 3)[1:8:2, ::-2]
    assert np.array_equal(bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image)), image)


def test_padding_at_the_end_of_rows_is_skipped(bridge):
    padded = noise(4, 32)
    message = Image(height=4, width=5, encoding='bgr8', step=32, data=padded.tobytes())
    assert np.array_equal(bridge.imgmsg_to_cv2(message), padded[:, :15].reshape(4, 5, 3))
    # The last row may end with its pixels.
    message.data = padded.tobytes()[: 3 * 32 + 15]
    assert np.array_equal(bridge.imgmsg_to_cv2(message), padded[:, :15].reshape(4, 5, 3))


def test_padding_that_is_no_multiple_of_a_pixel_is_skipped(bridge):
    rows = b''.join(struct.pack('<3H', i, i + 1, i + 2) + b'\xee' for i in (10, 20))
    message = Image(height=2, width=3, encoding='16UC1', step=7, data=rows)
    assert bridge.imgmsg_to_cv2(message).tolist() == [[10, 11, 12], [20, 21, 22]]


def test_big_endian_pixels_come_out_in_the_machines_order(bridge):
    message = Image(height=1, width=2, encoding='16UC1', step=4, is_bigendian=1)
    message.data = struct.pack('>2H', 258, 3)
    image = bridge.imgmsg_to_cv2(message)
    assert image.tolist() == [[258, 3]]
    assert image.dtype.isnative


def test_big_endian_arrays_say_so_in_the_message(bridge):
    image = noise(3, 4, dtype='int32').astype('>i4')
    message = bridge.cv2_to_imgmsg(image)
    assert message.is_bigendian
    assert np.array_equal(bridge.imgmsg_to_cv2(message), image)


CHANNEL_ORDER = {'rgb': [2, 1, 0], 'bgr': [0, 1, 2], 'rgba': [2, 1, 0], 'bgra': [0, 1, 2]}


@pytest.mark.parametrize('source', ['rgb8', 'bgr8', 'rgba8', 'bgra8'])
@pytest.mark.parametrize('target', ['rgb8', 'bgr8', 'rgba8', 'bgra8'])
def test_channels_are_put_in_the_order_of_the_encoding(bridge, source, target):
    bgr = colourful()
    names = [source.rstrip('8'), target.rstrip('8')]
    images = []
    for name in names:
        image = bgr[..., CHANNEL_ORDER[name]]
        if len(name) == 4:
            image = np.dstack([image, np.full(bgr.shape[:2], 255, np.uint8)])
        images.append(image)
    message = bridge.cv2_to_imgmsg(images[0], source)
    assert np.array_equal(bridge.imgmsg_to_cv2(message, target), images[1])


def test_grey_is_the_weighted_sum_of_the_colours(bridge):
    bgr = colourful()
    grey = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(bgr, 'bgr8'), 'mono8')
    wanted = bgr @ [0.114, 0.587, 0.299]
    assert grey.shape == (12, 16)
    assert np.abs(grey - wanted).max() <= 1.0
    back = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(grey, 'mono8'), 'rgb8')
    assert np.array_equal(back, np.dstack([grey] * 3))


@pytest.mark.parametrize('source', ['mono8', '8UC1'])
def test_eight_bits_scale_to_the_whole_range_of_sixteen(bridge, source):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    wide = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, source), 'mono16')
    assert wide.dtype == np.uint16
    assert np.array_equal(wide, image.astype(int) * 257)
    narrow = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(wide, '16UC1'), 'mono8')
    assert np.array_equal(narrow, image)


def test_depth_in_millimetres_becomes_float_unscaled(bridge):
    depth = np.array([[0, 1, 1234, 65535]], np.uint16)
    metres = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(depth, '16UC1'), '32FC1')
    assert metres.dtype == np.float32
    assert metres.tolist() == depth.tolist()


def test_floats_are_rounded_and_clipped_on_the_way_to_integers(bridge):
    values = np.array([[-3.0, 0.4, 0.6, 300.0]], np.float32)
    narrow = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(values, '32FC1'), '8UC1')
    assert narrow.tolist() == [[0, 0, 1, 255]]


def test_colour_to_sixteen_bit_grey_goes_both_steps(bridge):
    grey = np.full((3, 4), 100, np.uint8)
    message = bridge.cv2_to_imgmsg(np.dstack([grey] * 3), 'rgb8')
    assert np.array_equal(bridge.imgmsg_to_cv2(message, 'mono16'), grey.astype(int) * 257)


@pytest.mark.parametrize(
    ('pattern', 'cells'),
    [('rggb', 'rggb'), ('bggr', 'bggr'), ('gbrg', 'gbrg'), ('grbg', 'grbg')],
)
def test_bayer_patterns_give_back_a_flat_colour(bridge, pattern, cells):
    colour = {'r': 200, 'g': 120, 'b': 40}
    tile = np.array([colour[c] for c in cells], np.uint8).reshape(2, 2)
    raw = np.tile(tile, (8, 8))
    image = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(raw, f'bayer_{pattern}8'), 'rgb8')
    assert np.array_equal(image[4, 4], [200, 120, 40])
    assert np.array_equal(image[5, 5], [200, 120, 40])


def test_yuv422_gives_grey_for_neutral_chroma(bridge):
    packed = np.full((4, 6, 2), 128, np.uint8)
    packed[..., 1] = 126
    rgb = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(packed, 'yuv422'), 'rgb8')
    assert rgb.shape == (4, 6, 3)
    assert np.ptp(rgb) == 0


def test_a_colour_encoding_refuses_an_image_with_other_channels(bridge):
    image = colourful()
    with pytest.raises(CvBridgeError, match='rgba8, but image has incompatible type 8UC3'):
        bridge.cv2_to_imgmsg(image, 'rgba8')
    plain = bridge.cv2_to_imgmsg(image)
    with pytest.raises(CvBridgeError, match=r'mono16.*8UC3'):
        bridge.imgmsg_to_cv2(plain, 'mono16')


@pytest.mark.parametrize('encoding', ['rgb9', '8UC', '8UC0', 'nv12', '24UC1'])
def test_an_unknown_encoding_is_named(bridge, encoding):
    with pytest.raises(CvBridgeError, match=rf'Unrecognized image encoding \[{encoding}\]'):
        bridge.imgmsg_to_cv2(Image(height=1, width=1, step=3, encoding=encoding))


def test_a_message_with_too_few_bytes_is_refused_with_the_numbers(bridge):
    message = Image(height=2, width=4, encoding='rgb8', step=12, data=bytes(20))
    with pytest.raises(CvBridgeError, match='take 24 bytes, but there are 20'):
        bridge.imgmsg_to_cv2(message)
    message.step = 11
    with pytest.raises(CvBridgeError, match='step is 11 bytes, but 4 pixels'):
        bridge.imgmsg_to_cv2(message)


def test_what_is_no_array_is_a_type_error(bridge):
    for method in (bridge.cv2_to_imgmsg, bridge.cv2_to_compressed_imgmsg):
        with pytest.raises(TypeError, match='not a numpy array'):
            method([[1]])


@pytest.mark.parametrize('name', ['png', 'bmp', 'tiff', 'ppm'])
def test_lossless_files_give_the_image_back(bridge, name):
    image = colourful()
    message = bridge.cv2_to_compressed_imgmsg(image, name)
    assert message.format == name
    assert np.array_equal(bridge.compressed_imgmsg_to_cv2(message), image)
    rgb = bridge.compressed_imgmsg_to_cv2(message, 'rgb8')
    assert np.array_equal(rgb, image[..., ::-1])


def test_jpeg_is_the_default_and_close(bridge):
    row = np.linspace(0, 255, 64, dtype=np.uint8)
    image = np.dstack([np.tile(row, (32, 1))] * 3)
    message = bridge.cv2_to_compressed_imgmsg(image)
    assert message.format == 'jpg'
    assert np.abs(bridge.compressed_imgmsg_to_cv2(message).astype(int) - image).max() < 12


def test_a_sixteen_bit_png_keeps_its_depth(bridge):
    depth = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    message = bridge.cv2_to_compressed_imgmsg(depth, 'png')
    assert np.array_equal(bridge.compressed_imgmsg_to_cv2(message), depth)


def test_a_damaged_file_is_refused(bridge):
    for data in (b'', b'no image'):
        with pytest.raises(CvBridgeError, match=rf'cannot decode {len(data)} bytes'):
            bridge.compressed_imgmsg_to_cv2(CompressedImage(format='png', data=data))


def test_the_names_of_types_are_opencvs(bridge):
    assert bridge.cvtype_to_name[cv2.CV_32FC2] == '32FC2'
    assert bridge.encoding_to_cvtype2('bgra16') == cv2.CV_16UC4
    assert bridge.encoding_to_cvtype2('32FC1') == cv2.CV_32FC1
    assert bridge.encoding_to_dtype_with_channels('rgb8') == ('uint8', 3)
    assert bridge.cvtype2_to_dtype_with_channels(cv2.CV_64FC3) == ('float64', 3)
    assert bridge.dtype_with_channels_to_cvtype2(np.dtype('int16'), 2) == '16SC2'


def test_an_unknown_name_points_to_the_real_package():
    with pytest.raises(AttributeError, match='ROS 2 package cv_bridge'):
        _ = cv_bridge.cvtColorForDisplay
