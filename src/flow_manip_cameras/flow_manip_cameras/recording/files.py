# SPDX-License-Identifier: Apache-2.0
"""Image and matrix files, with bounded sizes and errors that name the file."""

from __future__ import annotations

from pathlib import Path
import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError

MAX_IMAGE_BYTES = 128 * 1024 * 1024
MAX_TEXT_BYTES = 64 * 1024
MAX_PIXELS = 4096 * 4096
NO_READING = 65535  # saturated 16-bit counts; 7-Scenes writes it where depth is unknown


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes.

    Raises:
        InvalidInputError: it is missing, unreadable, empty, or too large.
    """
    try:
        with path.open('rb') as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InvalidInputError(f'{path}: {error.strerror}') from error
    if not data:
        raise InvalidInputError(f'{path} is empty')
    if len(data) > limit:
        raise InvalidInputError(f'{path} is larger than {limit} bytes')
    return data


def decode_color(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG as (H, W, 3) uint8 RGB; `name` is for messages.

    Raises:
        InvalidInputError: it is neither, is broken, or has more than MAX_PIXELS.
    """
    image = _decode(data, name, cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def decode_counts(data: bytes, name: str) -> NDArray[np.uint16]:
    """Decode a 16-bit one-channel PNG as (H, W) uint16.

    Raises:
        InvalidInputError: it is not such an image, is broken, or has more than MAX_PIXELS.
    """
    image = _decode(data, name, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2 or image.dtype != np.uint16:
        raise InvalidInputError(
            f'{name} is {image.shape} {image.dtype}, expected one channel of 16 bits'
        )
    return image


def depth_from_counts(counts: NDArray[np.uint16], unit: float) -> NDArray[np.float32]:
    """Turn counts of `unit` metres into (H, W) float32 metres, NaN where there is no reading."""
    depth = counts.astype(np.float32) * np.float32(unit)
    depth[(counts == 0) | (counts == NO_READING)] = np.nan
    return depth


def read_matrix(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Read a text file of numbers, row by row, separated by spaces or commas.

    Raises:
        InvalidInputError: it does not hold exactly `shape` finite numbers.
    """
    text = read_bytes(path, MAX_TEXT_BYTES).decode('utf-8', errors='replace')
    try:
        values = np.array([float(word) for word in text.replace(',', ' ').split()])
    except ValueError as error:
        raise InvalidInputError(f'{path}: {error}') from error
    if values.size != shape[0] * shape[1] or not np.isfinite(values).all():
        raise InvalidInputError(
            f'{path} holds {values.size} numbers, {int(np.isfinite(values).sum())} of them '
            f'finite; expected {shape[0]} x {shape[1]}'
        )
    return values.reshape(shape)


def _decode(data: bytes, name: str, flags: int) -> NDArray:
    # The header is read first: a few bytes can claim an image that fills the memory.
    size = _png_size(data) or _jpeg_size(data)
    if size is None:
        raise InvalidInputError(f'{name} is neither PNG nor JPEG, or is broken')
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise InvalidInputError(f'{name} is {size[0]} x {size[1]} pixels')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InvalidInputError(f'{name} is broken: {error.err}') from error
    if image is None:
        raise InvalidInputError(f'{name} is broken')
    return image


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a whole PNG."""
    if data[:8] != b'\x89PNG\r\n\x1a\n' or data[12:16] != b'IHDR' or len(data) < 33:
        return None
    # A cut file decodes into an image with a black rest: only its last chunk tells.
    if b'IEND' not in data[-64:]:
        return None
    width, height = struct.unpack('>II', data[16:24])
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a whole JPEG from its frame header."""
    if data[:2] != b'\xff\xd8' or b'\xff\xd9' not in data[-1024:]:
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack('>H', data[at + 2 : at + 4])[0]
        # SOF0..SOF15 without the tables (DHT, JPG, DAC) that share the range.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack('>HH', data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
