# SPDX-License-Identifier: Apache-2.0
"""Recordings of colour and depth: folders of images, rosbag2 folders, MCAP files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flow_manip_cameras.recording.description import (
    BagDescription,
    FolderDescription,
    read_description,
    YAML,
)
from flow_manip_cameras.recording.folder import FolderRecording
from flow_manip_cameras.recording.layouts import detect_layout
from flow_manip_core.errors import BackendError, ConfigurationError
from flow_manip_core.observation import Observation
from flow_manip_core.robot import Context

if TYPE_CHECKING:
    from flow_manip_cameras.recording.bag import BagRecording

BAG_SUFFIXES = ('.mcap', '.db3')


def open_recording(
    path: str | Path,
    *,
    T_world_camera: NDArray[np.float64] | None = None,
    frame_id: str = 'world',
) -> FolderRecording | BagRecording:
    """Open a recording of any kind.

    Args:
        path: a folder of images, a rosbag2 folder, an .mcap file, or a yaml file that describes
            one of them. A recording.yaml in the folder comes first.
        T_world_camera: (4, 4) pose of the camera for recordings that say nothing about it.
        frame_id: the world's name for recordings that say nothing about it.

    Raises:
        ConfigurationError: there is nothing, or it does not say what is needed; the message names
            the key to set.
        InvalidInputError: a file is missing or broken; the message names it.
        BackendError: reading bags needs a package that is not installed.
    """
    path = Path(path).expanduser()
    if not str(path) or not path.exists():
        raise ConfigurationError(f"there is no recording at '{path}'")
    base, description, inferred = _describe(path)
    if isinstance(description, FolderDescription):
        return FolderRecording(
            base / description.folder,
            description,
            T_world_camera=T_world_camera,
            frame_id=frame_id,
            inferred=inferred,
        )
    # The bag library is needed only by those who have bags.
    try:
        from flow_manip_cameras.recording.bag import BagRecording
    except ImportError as error:
        raise BackendError(f'{error}; install it with: pip install rosbags') from error
    return BagRecording(
        base / description.bag, description, T_world_camera=T_world_camera, frame_id=frame_id
    )


def _describe(path: Path) -> tuple[Path, FolderDescription | BagDescription, bool]:
    """Return where relative names start, the description, and whether it was inferred."""
    if path.is_file():
        if path.suffix in BAG_SUFFIXES:
            return path.parent, BagDescription(bag=path.name), False
        if path.suffix in ('.yaml', '.yml'):
            return path.parent, read_description(path), False
        raise ConfigurationError(f"'{path}' is no folder, bag or yaml file")
    if (path / YAML).is_file():
        return path, read_description(path / YAML), False
    if (path / 'metadata.yaml').is_file():
        return path, BagDescription(bag='.'), False
    return path, detect_layout(path), True


class RecordingCamera:
    """A recording as one camera of a rig."""

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            path: what `open_recording` takes.
            rate: [Hz]; 0: the recording's.
        """

        path: str = field(metadata={'doc': 'Folder, bag or yaml file of the recording'})
        rate: float = field(default=0.0, metadata={'doc': "[Hz]; 0: the recording's"})

    def __init__(self, config: Config, context: Context) -> None:
        """Open the recording; where it has no camera pose, the rig's camera pose holds.

        Raises:
            ConfigurationError, InvalidInputError: as `open_recording`; also for a recording whose
                world has another name than the rig's.
        """
        if not 0 <= config.rate <= 1000:
            raise ConfigurationError(f'rate is {config.rate:g} Hz, expected 0 to 1000')
        rig = context.rig
        self.recording = open_recording(
            config.path, T_world_camera=rig.camera.pose.matrix, frame_id=rig.frame_id
        )
        if self.recording.frame_id != rig.frame_id:
            raise ConfigurationError(
                f"{config.path}: frame_id is '{self.recording.frame_id}', "
                f"the rig's is '{rig.frame_id}'"
            )
        self.rate = config.rate or self.recording.rate
        self.fixed_pose = self.recording.fixed_pose

    def frames(self) -> Iterator[Observation]:
        """Yield the frames from the beginning."""
        return self.recording.frames()

    def close(self) -> None:
        """Give the files back."""
        self.recording.close()


__all__ = ['open_recording', 'RecordingCamera']
