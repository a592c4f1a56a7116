# SPDX-License-Identifier: Apache-2.0
"""Arrays as .npz files in memory: the same arrays give the same bytes, and nothing is unpickled.

An array is unpacked only after the shape and type that the file says were found right.
"""

from __future__ import annotations

from collections.abc import Mapping
import io
import math
from typing import Any
import zipfile
import zlib

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError

# dtype, then for each axis the size, a letter that must be the same everywhere, or None.
Expected = Mapping[str, tuple[str, tuple[int | str, ...]]]

_MEMBERS = 16
_EPOCH = (1980, 1, 1, 0, 0, 0)
_HEADER = 4096  # characters


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as a compressed .npz file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name, array in arrays.items():
            raw = io.BytesIO()
            np.lib.format.write_array(raw, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f'{name}.npy', _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, raw.getvalue(), compresslevel=3)
    return buffer.getvalue()


def decode_arrays(
    data: bytes, name: str, expected: Expected, limits: Mapping[str, int]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file.

    Args:
        data: the file.
        name: for messages.
        expected: what must be in it, by the arrays' names: dtype and sizes. A letter as a size
            stands for the same number wherever it is.
        limits: most of each letter.

    Raises:
        InvalidInputError: it is no such file, an array is missing, of another type or shape or
            larger than the limits, or the file is damaged.
    """
    sizes: dict[str, int] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            if len(members) > _MEMBERS or names != {f'{key}.npy' for key in expected}:
                raise InvalidInputError(f'{name} holds {sorted(names)[:8]}, not {list(expected)}')
            return {
                key: _read(archive, key, *wanted, f'{name}: {key}', sizes, limits)
                for key, wanted in expected.items()
            }
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
    ) as error:
        raise InvalidInputError(f'{name}: {type(error).__name__}: {error}') from error


def _read(
    archive: zipfile.ZipFile,
    key: str,
    dtype: str,
    wanted: tuple[int | str, ...],
    where: str,
    sizes: dict[str, int],
    limits: Mapping[str, int],
) -> NDArray[Any]:
    """Read one member after its header was found right."""
    with archive.open(f'{key}.npy') as member:
        shape, fortran, found = _header(member, where)
        if fortran or found != np.dtype(dtype) or len(shape) != len(wanted):
            raise InvalidInputError(f'{where} is {shape} {found}, expected {wanted} {dtype}')
        for length, letter in zip(shape, wanted):
            most = limits[letter] if isinstance(letter, str) else letter
            expected = sizes.setdefault(letter, length) if isinstance(letter, str) else letter
            if length != expected or not 0 < length <= most:
                raise InvalidInputError(
                    f'{where} is {shape}, expected {wanted} with {sizes}, at most {dict(limits)}'
                )
        count = math.prod(shape) * found.itemsize
        raw = member.read(count + 1)
    if len(raw) != count:
        raise InvalidInputError(f'{where} has {len(raw)} bytes, its header says {count}')
    return np.frombuffer(raw, found).reshape(shape).copy()


def _header(member: Any, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type that an .npy file says it has."""
    try:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise InvalidInputError(f'{where}: .npy of version {version}')
        return np.lib.format.read_array_header_1_0(member, max_header_size=_HEADER)
    except InvalidInputError:
        raise
    except ValueError as error:
        raise InvalidInputError(f'{where}: {str(error)[:200]}') from error
