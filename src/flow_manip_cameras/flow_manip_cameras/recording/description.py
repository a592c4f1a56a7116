# SPDX-License-Identifier: Apache-2.0
"""What a recording's yaml file says, and what known layouts need no yaml for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.config import from_mapping, load_yaml
from flow_manip_core.errors import ConfigurationError
from flow_manip_core.robot import PoseConfig

YAML = 'recording.yaml'
MAX_UNIT = 0.1  # [m] per count; a coarser unit is a mistaken one


@dataclass(frozen=True)
class FolderDescription:
    """A folder of images; one '*' in a pattern stands for the frame's key.

    Attributes:
        color: pattern of PNG or JPEG files, relative to `folder`.
        depth: pattern of 16-bit PNG files, registered to colour.
        depth_unit: metres per count.
        intrinsics: file or pattern of 3 x 3 matrices, or a mapping of fx, fy, cx, cy [px].
        pose: file or pattern of 4 x 4 matrices T_world_camera, or a mapping of translation [m]
            and rotation (xyzw); empty where the rig knows.
        rate: [Hz].
        frame_id: what "world" is called; empty: as in the rig.
        folder: relative to the yaml file.
    """

    color: str
    depth: str
    depth_unit: float
    intrinsics: object
    pose: object = ''
    rate: float = 10.0
    frame_id: str = ''
    folder: str = '.'

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        _check_rate_and_unit(self.rate, self.depth_unit)
        for name in ('color', 'depth'):
            if getattr(self, name).count('*') > 1:
                raise ConfigurationError(f"{name}: '{getattr(self, name)}' has more than one '*'")


@dataclass(frozen=True)
class BagDescription:
    """A rosbag2 folder or a single .mcap file.

    Attributes:
        bag: the folder or file, relative to the yaml file.
        color_topic: Image or CompressedImage; empty: the only colour topic.
        depth_topic: Image or CompressedImage, registered to colour; empty: the only depth topic.
        info_topic: CameraInfo of colour; empty: the colour topic's neighbour.
        depth_unit: metres per count of 16-bit depth; REP-118 says millimetres.
        max_interval: largest difference between stamps of colour and depth [s].
        pose: fixed T_world_camera as in FolderDescription; empty: from tf, or the rig.
        rate: [Hz]; 0: as recorded.
        frame_id: tf frame that is the world; empty: as in the rig.
    """

    bag: str
    color_topic: str = ''
    depth_topic: str = ''
    info_topic: str = ''
    depth_unit: float = 0.001
    max_interval: float = 0.02
    pose: object = ''
    rate: float = 0.0
    frame_id: str = ''

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        _check_rate_and_unit(self.rate or 1.0, self.depth_unit)
        if not 0 <= self.max_interval <= 1:
            raise ConfigurationError(f'max_interval is {self.max_interval:g} s, expected 0 to 1')


def read_description(path: Path) -> FolderDescription | BagDescription:
    """Read a recording's yaml file; the key `bag` makes it one of a bag.

    Raises:
        ConfigurationError: unknown keys, missing ones, wrong types or values; the message names
            the file and the key.
    """
    values = load_yaml(path)
    if 'bag' not in values and 'depth_unit' not in values:
        raise ConfigurationError(
            f"{path}: 'depth_unit' is required: metres per count of the depth images, "
            '0.001 for millimetres'
        )
    cls = BagDescription if 'bag' in values else FolderDescription
    try:
        return from_mapping(cls, values, where=str(path))
    except ConfigurationError as error:
        text = str(error)
        raise ConfigurationError(text if str(path) in text else f'{path}: {text}') from error


def fixed_pose(value: object, where: str) -> NDArray[np.float64] | None:
    """Return the pose that a yaml value gives in numbers, None where it names files or nothing."""
    if isinstance(value, Mapping):
        pose = from_mapping(PoseConfig, value, where=f'{where}: pose')
        if not abs(np.linalg.norm(pose.rotation) - 1.0) < 0.01:
            raise ConfigurationError(
                f'{where}: pose.rotation {pose.rotation} is not a unit quaternion (xyzw)'
            )
        return pose.matrix
    if not isinstance(value, str):
        raise ConfigurationError(
            f'{where}: pose is {value!r}, expected a file, a pattern, or translation and rotation'
        )
    return None


def _check_rate_and_unit(rate: float, unit: float) -> None:
    if not 0 < rate <= 1000:
        raise ConfigurationError(f'rate is {rate:g} Hz, expected above 0 and at most 1000')
    if not 0 < unit <= MAX_UNIT:
        raise ConfigurationError(
            f'depth_unit is {unit:g} m per count, expected above 0 and at most {MAX_UNIT:g}'
        )
