# SPDX-License-Identifier: Apache-2.0
"""A sample as the four files of webdataset's layout, and back, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import ObjectFlow
from flow_manip_learning.dataset.arrays import decode_arrays, encode_arrays
from flow_manip_learning.dataset.images import (
    decode_color,
    decode_depth,
    encode_color,
    encode_depth,
)
from flow_manip_learning.dataset.sample import (
    FlowSample,
    MAX_INSTRUCTION,
    MAX_POINTS,
    MAX_SIDE,
    MAX_STEPS,
    MAX_TAG,
)

VERSION = 1
COLOR, DEPTH, FLOW, ABOUT = 'color.png', 'depth.png', 'flow.npz', 'json'
# Largest file of each kind [bytes]: a picture that does not compress, the longest densest flow.
LIMITS = {
    COLOR: 3 * MAX_SIDE**2 + 2**20,
    DEPTH: 2 * MAX_SIDE**2 + 2**20,
    FLOW: 2**28,
    ABOUT: 2**17,
}

_ARRAYS = {
    'points': ('<f4', ('T', 'N', 3)),
    'confidence': ('<f4', ('T', 'N')),
    'times': ('<f8', ('T',)),
    'point_ids': ('<u4', ('N',)),
    'mask': ('|u1', ('B',)),
}


@dataclass(frozen=True)
class EncodedSample:
    """A sample as files.

    Attributes:
        key: of the sample.
        files: bytes by 'color.png', 'depth.png', 'flow.npz' and 'json'.
    """

    key: str
    files: Mapping[str, bytes]

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(len(data) for data in self.files.values())


def encode_sample(sample: FlowSample) -> EncodedSample:
    """Turn a sample into files; only the depth is rounded, to 0.1 mm."""
    flow, camera = sample.flow, sample.camera
    about = {
        'version': VERSION,
        'key': sample.key,
        'instruction': sample.instruction,
        'source': sample.source,
        'licence': sample.licence,
        'size': [camera.width, camera.height],
        'intrinsics': [camera.fx, camera.fy, camera.cx, camera.cy],
        'T_world_camera': np.asarray(sample.T_world_camera).tolist(),
        'object': flow.object,
        'flow_source': flow.source,
        'stamp': flow.stamp,
        'contact': None if flow.contact is None else flow.contact.tolist(),
        'tags': dict(sorted(sample.tags.items())),
    }
    arrays = {
        'points': flow.points.astype('<f4'),
        'confidence': flow.confidence.astype('<f4'),
        'times': flow.times.astype('<f8'),
        'point_ids': flow.point_ids.astype('<u4'),
        'mask': np.packbits(sample.mask),
    }
    files = {
        COLOR: encode_color(sample.color),
        DEPTH: encode_depth(sample.depth),
        FLOW: encode_arrays(arrays),
        ABOUT: json.dumps(about, ensure_ascii=False, allow_nan=False).encode(),
    }
    for kind, data in files.items():
        if len(data) > LIMITS[kind]:
            raise InvalidInputError(f'{sample.key}.{kind} has {len(data)} of {LIMITS[kind]} bytes')
    return EncodedSample(sample.key, files)


def decode_sample(encoded: EncodedSample) -> FlowSample:
    """Turn files back into a sample.

    Raises:
        InvalidInputError: a file is missing, too large, damaged, or says something impossible; the
            message names the key and the file.
    """
    key, files = encoded.key, encoded.files
    if set(files) != set(LIMITS):
        raise InvalidInputError(f'{key}: files {sorted(files)}, expected {sorted(LIMITS)}')
    for kind, data in files.items():
        if len(data) > LIMITS[kind]:
            raise InvalidInputError(f'{key}.{kind} has {len(data)} of {LIMITS[kind]} bytes')
    try:
        return _decode(key, files)
    except InvalidInputError as error:
        # The values' own constructors do not know which sample they are of.
        text = str(error)
        raise InvalidInputError(text if key in text else f'{key}: {text}') from error


def _decode(key: str, files: Mapping[str, bytes]) -> FlowSample:
    about = _about(files[ABOUT], key)
    width, height = about['size']
    flow, mask = _flow(files[FLOW], about, f'{key}.{FLOW}', (height, width))
    return FlowSample(
        color=decode_color(files[COLOR], f'{key}.{COLOR}', (height, width)),
        depth=decode_depth(files[DEPTH], f'{key}.{DEPTH}', (height, width)),
        camera=CameraModel(width, height, *about['intrinsics']),
        T_world_camera=np.array(about['T_world_camera']).reshape(4, 4),
        instruction=about['instruction'],
        mask=mask,
        flow=flow,
        source=about['source'],
        licence=about['licence'],
        key=key,
        tags=about['tags'],
    )


def describe(encoded: EncodedSample) -> dict[str, Any]:
    """Return what the json of an encoded sample says, checked: instruction, source, tags ...

    Raises:
        InvalidInputError: it is missing or says something impossible.
    """
    if ABOUT not in encoded.files:
        raise InvalidInputError(f'{encoded.key} has no {ABOUT}')
    return _about(encoded.files[ABOUT], encoded.key)


def _flow(
    data: bytes, about: Mapping[str, Any], name: str, size: tuple[int, int]
) -> tuple[ObjectFlow, NDArray[np.bool_]]:
    """Read the flow and the (H, W) mask."""
    pixels = size[0] * size[1]
    limits = {'T': MAX_STEPS, 'N': MAX_POINTS, 'B': -(-pixels // 8)}
    arrays = decode_arrays(data, name, _ARRAYS, limits)
    if len(arrays['mask']) != limits['B']:
        raise InvalidInputError(f'{name}: a mask of {len(arrays["mask"])} bytes for {pixels} px')
    flow = ObjectFlow(
        points=arrays['points'],
        confidence=arrays['confidence'],
        times=arrays['times'],
        point_ids=arrays['point_ids'],
        object=about['object'],
        source=about['flow_source'],
        stamp=about['stamp'],
        contact=None if about['contact'] is None else np.array(about['contact']),
    )
    mask = np.unpackbits(arrays['mask'], count=pixels).astype(bool).reshape(size)
    return flow, mask


def _about(data: bytes, key: str) -> dict[str, Any]:
    """Read the json and check the type and size of everything in it."""
    name = f'{key}.{ABOUT}'
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f'{name}: {error}') from error
    if not isinstance(values, dict) or set(values) != set(_FIELDS):
        raise InvalidInputError(f'{name} has not just {sorted(_FIELDS)}')
    for field, is_right in _FIELDS.items():
        if not is_right(values[field]):
            raise InvalidInputError(f'{name}: {field} is {str(values[field])[:60]!r}')
    if values['version'] != VERSION or values['key'] != key:
        raise InvalidInputError(
            f'{name}: version {values["version"]} of key {values["key"]!r}, expected {VERSION} of '
            f'{key!r}'
        )
    values['T_world_camera'] = [float(v) for row in values['T_world_camera'] for v in row]
    return values


def _is_text(most: int) -> Any:
    return lambda value: isinstance(value, str) and len(value) <= most


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _are_numbers(count: int) -> Any:
    def are(value: Any) -> bool:
        return isinstance(value, list) and len(value) == count and all(map(_is_number, value))

    return are


def _is_matrix(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_are_numbers(4), value))


def _is_size(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2
    return is_pair and all(type(v) is int and 0 < v <= MAX_SIDE for v in value)


_FIELDS = {
    'version': lambda value: type(value) is int,
    'key': _is_text(MAX_TAG),
    'instruction': _is_text(MAX_INSTRUCTION),
    'source': _is_text(MAX_TAG),
    'licence': _is_text(MAX_TAG),
    'size': _is_size,
    'intrinsics': _are_numbers(4),
    'T_world_camera': _is_matrix,
    'object': _is_text(MAX_INSTRUCTION),
    'flow_source': _is_text(MAX_TAG),
    'stamp': _is_number,
    'contact': lambda value: value is None or _are_numbers(3)(value),
    'tags': lambda value: isinstance(value, dict),
}
