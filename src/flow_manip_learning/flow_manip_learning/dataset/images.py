# SPDX-License-Identifier: Apache-2.0
"""Colour and depth as PNG files in memory; what comes back is measured before it is unpacked."""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_learning.dataset.sample import MAX_SIDE

DEPTH_UNIT = 1e-4  # [m]; 16 bits reach 6.55 m
_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_GREY, _RGB = 0, 2  # colour types of the PNG specification, section 11.2.2


def encode_color(color: NDArray[np.uint8]) -> bytes:
    """Return (H, W, 3) uint8 RGB as a PNG file."""
    return _encode(color[..., ::-1])


def encode_depth(depth: NDArray[np.float32]) -> bytes:
    """Return (H, W) metres as a 16-bit PNG file in units of 0.1 mm.

    0 stands for unknown, for what is behind the camera and for what is farther than 16 bits reach.
    """
    units = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) / DEPTH_UNIT)
    units = np.where((units > 0) & (units <= np.iinfo(np.uint16).max), units, 0)
    return _encode(units.astype(np.uint16))


def decode_color(data: bytes, name: str, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the (H, W, 3) uint8 RGB of a PNG file.

    Args:
        data: the file.
        name: for messages.
        size: (H, W) that it must have.

    Raises:
        InvalidInputError: it is no 8-bit RGB PNG, too large, of another size, or damaged.
    """
    image = _decode(data, name, (8, _RGB), size)
    if image.shape[2:] != (3,) or image.dtype != np.uint8:
        raise InvalidInputError(f'{name} is {image.shape} {image.dtype}, expected (H, W, 3) uint8')
    return np.ascontiguousarray(image[..., ::-1])


def decode_depth(
    data: bytes, name: str, size: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """Return the (H, W) float32 metres of a depth file, NaN where unknown; arguments as above.

    Raises:
        InvalidInputError: it is no 16-bit grey PNG, too large, of another size, or damaged.
    """
    units = _decode(data, name, (16, _GREY), size)
    if units.ndim != 2 or units.dtype != np.uint16:
        raise InvalidInputError(f'{name} is {units.shape} {units.dtype}, expected (H, W) uint16')
    depth = units * np.float32(DEPTH_UNIT)
    depth[units == 0] = np.nan
    return depth.astype(np.float32)


def _encode(image: NDArray) -> bytes:
    # Level 3 is as small as 6 within a few percent, at half the time.
    done, data = cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise InvalidInputError(f'no PNG could be made of {image.shape} {image.dtype}')
    return bytes(data)


def _decode(
    data: bytes, name: str, kind: tuple[int, int], size: tuple[int, int] | None
) -> NDArray:
    """Unpack a PNG whose header says what it should."""
    if len(data) < 26 or data[:8] != _SIGNATURE or data[12:16] != b'IHDR':
        raise InvalidInputError(f'{name} is no PNG file ({len(data)} bytes)')
    width, height, bits, colours = struct.unpack('>IIBB', data[16:26])
    if not 0 < min(width, height) <= max(width, height) <= MAX_SIDE:
        raise InvalidInputError(f'{name}: {width} x {height} px, limit {MAX_SIDE} a side')
    if (bits, colours) != kind:
        raise InvalidInputError(f'{name}: {bits} bits of colour type {colours}, expected {kind}')
    if size is not None and (height, width) != size:
        raise InvalidInputError(f'{name}: {width} x {height} px, expected {size[1]} x {size[0]}')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise InvalidInputError(f'{name}: {error}') from error
    if image is None or image.shape[:2] != (height, width):
        raise InvalidInputError(f'{name}: the PNG is damaged')
    return image
