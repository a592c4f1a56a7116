# SPDX-License-Identifier: Apache-2.0
"""Folder layouts that are recognised by their file names.

`handheld`: as 7-Scenes (Shotton et al. 2013) and 3DMatch (Zeng et al. 2017) write them,
millimetres. `bin`: as the Amazon Robotics Challenge recordings of Zeng et al. 2018, tenths of a
millimetre, one camera per frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow_manip_cameras.recording.description import FolderDescription
from flow_manip_core.errors import ConfigurationError

PLAUSIBLE_DEPTH = (0.15, 15.0)  # [m] what the median reading of an RGB-D camera lies between

_HINT = (
    'write a recording.yaml with the keys color, depth, depth_unit [m per count], intrinsics '
    '(and pose, rate, frame_id)'
)


def detect_layout(folder: Path) -> FolderDescription:
    """Recognise a folder by its file names.

    Raises:
        ConfigurationError: none of the known layouts, or parts of it are missing.
    """
    if any(folder.glob('frame-*.color.*')):
        color = _only_suffix(folder, 'frame-*.color')
        return FolderDescription(
            color=color,
            depth='frame-*.depth.png',
            depth_unit=0.001,
            intrinsics=_one_of(folder, 'camera-intrinsics.txt', '../camera-intrinsics.txt'),
            pose='frame-*.pose.txt' if any(folder.glob('frame-*.pose.txt')) else '',
            rate=30.0,
        )
    if any(folder.glob('input-*.color.*')):
        return FolderDescription(
            color=_only_suffix(folder, 'input-*.color'),
            depth='input-*.depth.png',
            depth_unit=0.0001,
            intrinsics='camera-*.intrinsics.txt',
            pose='camera-*.pose.txt',
            rate=5.0,
        )
    found = sorted(p.name for p in folder.iterdir())[:8]
    raise ConfigurationError(f'{folder} has no known layout (found {found}): {_HINT}')


def check_unit(counts: NDArray[np.uint16], unit: float, name: str) -> None:
    """Refuse a unit that was inferred from file names and makes no sense of the numbers.

    Raises:
        ConfigurationError: the median reading is nothing that a depth camera sees.
    """
    readings = counts[(counts > 0) & (counts < 65535)]
    if readings.size == 0:
        return
    median = float(np.median(readings)) * unit
    if not PLAUSIBLE_DEPTH[0] <= median <= PLAUSIBLE_DEPTH[1]:
        raise ConfigurationError(
            f'{name}: with {unit:g} m per count its median depth is {median:.3g} m; '
            'set depth_unit in a recording.yaml'
        )


def _only_suffix(folder: Path, pattern: str) -> str:
    suffixes = sorted({p.suffix for p in folder.glob(f'{pattern}.*')})
    if len(suffixes) != 1:
        raise ConfigurationError(f'{folder} has {pattern} files of types {suffixes}: {_HINT}')
    return pattern + suffixes[0]


def _one_of(folder: Path, *names: str) -> str:
    for name in names:
        if (folder / name).is_file():
            return name
    raise ConfigurationError(f'{folder} lacks {names[0]}: {_HINT}')
