# SPDX-License-Identifier: Apache-2.0
"""Images in a bag, as read without ROS: attributes are those of the sensor_msgs types."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_cameras.recording.files import (
    decode_color,
    decode_counts,
    depth_from_counts,
    MAX_IMAGE_BYTES,
    MAX_PIXELS,
)
from flow_manip_cameras.rectify import Rectifier
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'

# Encoding -> dtype, channels, order of red, green, blue (None: depth).
_COLOR: dict[str, tuple[str, int, list[int]]] = {
    'rgb8': ('u1', 3, [0, 1, 2]),
    'bgr8': ('u1', 3, [2, 1, 0]),
    'rgba8': ('u1', 4, [0, 1, 2]),
    'bgra8': ('u1', 4, [2, 1, 0]),
    'mono8': ('u1', 1, [0, 0, 0]),
    '8UC1': ('u1', 1, [0, 0, 0]),
}
_DEPTH = {'16UC1': 'u2', 'mono16': 'u2', '32FC1': 'f4'}

# What compressed_depth_image_transport writes before its PNG: format, then two parameters.
_COMPRESSED_DEPTH_HEADER = struct.Struct('<iff')


def seconds(stamp: Any) -> float:
    """Turn a header's stamp into seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def is_depth(message: Any) -> bool:
    """Say whether an Image or CompressedImage holds depth."""
    if hasattr(message, 'encoding'):
        return message.encoding in _DEPTH
    return 'compressedDepth' in message.format or message.format.startswith(tuple(_DEPTH))


def color_from_message(message: Any, name: str) -> NDArray[np.uint8]:
    """Read colour as (H, W, 3) uint8 RGB.

    Raises:
        InvalidInputError: an unknown encoding, or sizes that do not fit; `name` says whose.
    """
    if not hasattr(message, 'encoding'):
        return decode_color(_bounded(message.data, name), name)
    if message.encoding not in _COLOR:
        raise InvalidInputError(f"{name}: '{message.encoding}' is not one of {sorted(_COLOR)}")
    kind, channels, order = _COLOR[message.encoding]
    return np.ascontiguousarray(_pixels(message, kind, channels, name)[:, :, order])


def depth_from_message(message: Any, unit: float, name: str) -> NDArray[np.float32]:
    """Read depth as (H, W) float32 metres, NaN where unknown; `unit` is metres per count.

    Raises:
        InvalidInputError: as `color_from_message`.
    """
    if not hasattr(message, 'encoding'):
        return _compressed_depth(message, unit, name)
    if message.encoding not in _DEPTH:
        raise InvalidInputError(f"{name}: '{message.encoding}' is not one of {sorted(_DEPTH)}")
    kind = _DEPTH[message.encoding]
    pixels = np.ascontiguousarray(_pixels(message, kind, 1, name)[:, :, 0])
    if kind == 'u2':
        return depth_from_counts(pixels.astype(np.uint16), unit)
    depth = pixels.astype(np.float32)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def camera_from_message(info: Any, name: str) -> tuple[CameraModel, Rectifier | None]:
    """Read a CameraInfo: the pinhole camera, and how to get there if the lens distorts.

    Raises:
        InvalidInputError: intrinsics that no camera has, or an unknown distortion.
    """
    try:
        camera = CameraModel.from_matrix(int(info.width), int(info.height), info.k)
        if camera.width * camera.height > MAX_PIXELS:
            raise InvalidInputError(f'image of {camera.width} x {camera.height} pixels')
        return camera, Rectifier.from_coefficients(camera, info.distortion_model, info.d)
    except InvalidInputError as error:
        raise InvalidInputError(f'{name}: {error}') from error


def _pixels(message: Any, kind: str, channels: int, name: str) -> NDArray:
    """Return (H, W, C) pixels of an uncompressed image in this machine's byte order."""
    dtype = np.dtype(kind).newbyteorder('>' if message.is_bigendian else '<')
    width, height, step = int(message.width), int(message.height), int(message.step)
    row = width * channels * dtype.itemsize
    data = np.asarray(message.data, dtype=np.uint8)
    if not 0 < width * height <= MAX_PIXELS or step < row or data.size < step * height:
        raise InvalidInputError(
            f'{name}: {width} x {height} {message.encoding} image has step {step} and '
            f'{data.size} bytes'
        )
    rows = np.ascontiguousarray(data[: step * height].reshape(height, step)[:, :row])
    return rows.view(dtype).reshape(height, width, channels)


def _compressed_depth(message: Any, unit: float, name: str) -> NDArray[np.float32]:
    data = _bounded(message.data, name)
    if 'compressedDepth' not in message.format:
        return depth_from_counts(decode_counts(data, name), unit)
    size = _COMPRESSED_DEPTH_HEADER.size
    if len(data) <= size:
        raise InvalidInputError(f'{name}: {len(data)} bytes are no compressed depth image')
    _, scale, offset = _COMPRESSED_DEPTH_HEADER.unpack(data[:size])
    counts = decode_counts(data[size:], name)
    if not message.format.startswith('32FC1'):
        return depth_from_counts(counts, unit)
    # The transport stores metres as counts of inverse depth.
    with np.errstate(divide='ignore'):
        depth = np.float32(scale) / (counts.astype(np.float32) - np.float32(offset))
    depth[(counts == 0) | ~np.isfinite(depth) | (depth <= 0)] = np.nan
    return depth


def _bounded(data: Any, name: str) -> bytes:
    if len(data) > MAX_IMAGE_BYTES:
        raise InvalidInputError(f'{name}: {len(data)} bytes are more than {MAX_IMAGE_BYTES}')
    return bytes(data)
