# SPDX-License-Identifier: Apache-2.0
"""Names of pixel formats (sensor_msgs/image_encodings) and the conversions between them."""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray

DEPTHS = {
    '8U': cv2.CV_8U,
    '8S': cv2.CV_8S,
    '16U': cv2.CV_16U,
    '16S': cv2.CV_16S,
    '32S': cv2.CV_32S,
    '32F': cv2.CV_32F,
    '64F': cv2.CV_64F,
}
NUMPY_OF_DEPTH = {
    cv2.CV_8U: 'uint8',
    cv2.CV_8S: 'int8',
    cv2.CV_16U: 'uint16',
    cv2.CV_16S: 'int16',
    cv2.CV_32S: 'int32',
    cv2.CV_32F: 'float32',
    cv2.CV_64F: 'float64',
}

# OpenCV packs depth and channels into one number.
CHANNEL_SHIFT = 3
DEPTH_MASK = (1 << CHANNEL_SHIFT) - 1
MAX_CHANNELS = 512


def make_type(depth: int, channels: int) -> int:
    """Return OpenCV's number for a depth and a count of channels."""
    return depth + ((channels - 1) << CHANNEL_SHIFT)


def channels_of(cv_type: int) -> int:
    """Return the count of channels of an OpenCV type."""
    return (cv_type >> CHANNEL_SHIFT) % MAX_CHANNELS + 1


def depth_of(cv_type: int) -> int:
    """Return the depth (one of cv2.CV_8U ...) of an OpenCV type."""
    return cv_type & DEPTH_MASK


def _colour_table() -> dict[str, tuple[str, int, int]]:
    """Colour encodings: family, bits per channel, channels."""
    table = {}
    for family, name, channels in (
        ('GRAY', 'mono', 1),
        ('RGB', 'rgb', 3),
        ('BGR', 'bgr', 3),
        ('RGBA', 'rgba', 4),
        ('BGRA', 'bgra', 4),
    ):
        for bits in (8, 16):
            table[f'{name}{bits}'] = (family, bits, channels)
    for pattern in ('rggb', 'bggr', 'gbrg', 'grbg'):
        for bits in (8, 16):
            table[f'bayer_{pattern}{bits}'] = (f'BAYER_{pattern.upper()}', bits, 1)
    for name in ('yuv422', 'uyvy'):
        table[name] = ('UYVY', 8, 2)
    for name in ('yuv422_yuy2', 'yuyv'):
        table[name] = ('YUY2', 8, 2)
    return table


COLOURS = _colour_table()

# OpenCV names a Bayer pattern by its second row and column: RGGB is its BG.
BAYER_OPENCV = {
    'BAYER_RGGB': 'BayerBG',
    'BAYER_BGGR': 'BayerRG',
    'BAYER_GBRG': 'BayerGR',
    'BAYER_GRBG': 'BayerGB',
}

_GENERIC = re.compile(r'(8U|8S|16U|16S|32S|32F|64F)(?:C([0-9]+))?')


def cv_type_of(encoding: str) -> int:
    """Return an encoding's OpenCV type.

    Raises:
        ValueError: The encoding is not known.
    """
    if encoding in COLOURS:
        _, bits, channels = COLOURS[encoding]
        return make_type(cv2.CV_8U if bits == 8 else cv2.CV_16U, channels)
    generic = _GENERIC.fullmatch(encoding)
    if generic:
        channels = int(generic[2] or 1)
        if 1 <= channels <= MAX_CHANNELS:
            return make_type(DEPTHS[generic[1]], channels)
    raise ValueError(f'Unrecognized image encoding [{encoding}]')


def convert(image: NDArray, source: str, target: str) -> NDArray:
    """Convert an image between encodings, into new memory.

    Depths of 8 and 16 bits are scaled to each other's full range; other changes of depth keep
    the numbers, rounded and saturated.

    Args:
        image: Shape (height, width) or (height, width, channels), in the machine's byte order.
        source: Its encoding.
        target: The wanted encoding.

    Raises:
        ValueError: There is no conversion between the two.
    """
    if source == target:
        return image.copy()
    source_type, target_type = cv_type_of(source), cv_type_of(target)
    code = _colour_code(source, target, source_type, target_type)
    if code is not None:
        image = cv2.cvtColor(image, code)
    return _to_depth(image, _bits(source, source_type), target, target_type)


def _colour_code(source: str, target: str, source_type: int, target_type: int) -> int | None:
    """OpenCV's conversion code, None where channels stay as they are."""
    if source not in COLOURS or target not in COLOURS:
        if channels_of(source_type) != channels_of(target_type):
            raise ValueError(_incompatible(source, target))
        return None
    a, b = COLOURS[source][0], COLOURS[target][0]
    if a == b:
        return None
    if a in BAYER_OPENCV:
        name = f'COLOR_{BAYER_OPENCV[a]}2{b}'
        # Bayer patterns turn into three channels or one.
        allowed = b in ('GRAY', 'RGB', 'BGR')
    elif a in ('UYVY', 'YUY2'):
        name, allowed = f'COLOR_YUV2{b}_{a}', b in ('GRAY', 'RGB', 'BGR', 'RGBA', 'BGRA')
    else:
        name, allowed = f'COLOR_{a}2{b}', b in ('GRAY', 'RGB', 'BGR', 'RGBA', 'BGRA')
    if not allowed:
        raise ValueError(f'Unsupported conversion from [{source}] to [{target}]')
    return getattr(cv2, name)


def _incompatible(source: str, target: str) -> str:
    if source in COLOURS or target in COLOURS:
        colour, other = (source, target) if source in COLOURS else (target, source)
        return (
            f'[{colour}] is a color format but [{other}] is not so they must have the same OpenCV '
            'type, CV_8UC3, CV16UC1 ....'
        )
    return f'[{source}] and [{target}] have different numbers of channels'


def _bits(encoding: str, cv_type: int) -> int:
    if encoding in COLOURS:
        return COLOURS[encoding][1]
    return np.dtype(NUMPY_OF_DEPTH[depth_of(cv_type)]).itemsize * 8


def _to_depth(image: NDArray, bits: int, target: str, target_type: int) -> NDArray:
    dtype = np.dtype(NUMPY_OF_DEPTH[depth_of(target_type)])
    change = (bits, _bits(target, target_type))
    # 65535 / 255 is 257. Nothing lies half-way between two of its multiples.
    if change == (8, 16):
        return (image.astype(np.int32) * 257).clip(*_bounds(dtype)).astype(dtype)
    if change == (16, 8):
        return ((image.astype(np.int32) + 128) // 257).clip(*_bounds(dtype)).astype(dtype)
    if dtype.kind == 'f' or image.dtype == dtype:
        return image.astype(dtype)
    # To the nearest even on ties, as OpenCV's own conversion rounds.
    return np.rint(image).clip(*_bounds(dtype)).astype(dtype)


def _bounds(dtype: np.dtype) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return limits.min, limits.max
