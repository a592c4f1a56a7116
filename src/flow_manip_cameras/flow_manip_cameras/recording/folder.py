# SPDX-License-Identifier: Apache-2.0
"""A folder of colour and depth images with calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
import re

import numpy as np
from numpy.typing import NDArray

from flow_manip_cameras.recording.description import fixed_pose, FolderDescription
from flow_manip_cameras.recording.files import (
    decode_color,
    decode_counts,
    depth_from_counts,
    MAX_IMAGE_BYTES,
    read_bytes,
    read_matrix,
)
from flow_manip_cameras.recording.layouts import check_unit
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_core.observation import Observation
from flow_manip_core.transforms import is_rigid

MAX_FRAMES = 100_000


@dataclass(frozen=True)
class FrameFiles:
    """The files of one frame; `pose` and `intrinsics` are None where they are given in numbers."""

    color: Path
    depth: Path
    intrinsics: Path | None
    pose: Path | None


class FolderRecording:
    """Frames of a folder, read one at a time."""

    def __init__(
        self,
        folder: Path,
        description: FolderDescription,
        *,
        T_world_camera: NDArray[np.float64] | None = None,
        frame_id: str = 'world',
        inferred: bool = False,
    ) -> None:
        """List the frames and check that each is whole.

        Args:
            folder: where the patterns start.
            description: what is where.
            T_world_camera: (4, 4) pose for a recording that has none.
            frame_id: for a recording that names no frame.
            inferred: the unit was concluded from file names; check it against the numbers.

        Raises:
            ConfigurationError: a key does not fit the files.
            InvalidInputError: a frame's file is missing, or the first frame is broken.
        """
        self.folder, self._description = folder, description
        self.rate = description.rate
        self.frame_id = description.frame_id or frame_id
        self._inferred = inferred
        self._pose = fixed_pose(description.pose, str(folder))
        if self._pose is None and not description.pose:
            self._pose = T_world_camera
            if T_world_camera is None:
                raise ConfigurationError(f"{folder}: the recording has no 'pose' of its camera")
        self.files = list_frames(folder, description)
        self.fixed_pose = self._pose is not None or len({f.pose for f in self.files}) == 1
        self._read(0)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.files)

    def frames(self) -> Iterator[Observation]:
        """Yield the frames in the order of their keys, stamped from 0.

        Raises:
            InvalidInputError: a file is broken, or sizes differ; names the file.
        """
        return (self._read(index) for index in range(len(self.files)))

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _read(self, index: int) -> Observation:
        files, unit = self.files[index], self._description.depth_unit
        color = decode_color(read_bytes(files.color, MAX_IMAGE_BYTES), str(files.color))
        counts = decode_counts(read_bytes(files.depth, MAX_IMAGE_BYTES), str(files.depth))
        if counts.shape != color.shape[:2]:
            raise InvalidInputError(
                f'{files.depth} is {counts.shape[1]} x {counts.shape[0]} pixels, its colour image '
                f'{color.shape[1]} x {color.shape[0]}: depth must be registered to colour'
            )
        if self._inferred and index == 0:
            check_unit(counts, unit, str(files.depth))
        return Observation(
            color=color,
            depth=depth_from_counts(counts, unit),
            camera=self._camera(files, color.shape[1], color.shape[0]),
            T_world_camera=self._T_world_camera(files),
            frame_id=self.frame_id,
            stamp=index / self.rate,
        )

    def _camera(self, files: FrameFiles, width: int, height: int) -> CameraModel:
        where = files.intrinsics or self.folder
        if files.intrinsics is not None:
            matrix = read_matrix(files.intrinsics, (3, 3))
            try:
                camera = CameraModel.from_matrix(width, height, matrix)
            except InvalidInputError as error:
                raise InvalidInputError(f'{where}: {error}') from error
        else:
            camera = _camera_from_numbers(self._description.intrinsics, width, height, where)
        if not (0 <= camera.cx < width and 0 <= camera.cy < height):
            raise InvalidInputError(
                f'{where}: principal point ({camera.cx:g}, {camera.cy:g}) lies outside the '
                f'{width} x {height} image: intrinsics of another size?'
            )
        return camera

    def _T_world_camera(self, files: FrameFiles) -> NDArray[np.float64]:
        if files.pose is None:
            assert self._pose is not None  # the constructor's promise
            return self._pose
        pose = read_matrix(files.pose, (4, 4))
        if not is_rigid(pose, tolerance=1e-3):
            raise InvalidInputError(f'{files.pose} is not a rigid transform: {pose.tolist()}')
        # Text of few digits: bring the rotation back to one.
        u, _, vt = np.linalg.svd(pose[:3, :3])
        pose[:3, :3] = u @ vt
        return pose


def list_frames(folder: Path, description: FolderDescription) -> list[FrameFiles]:
    """Find every frame's files, in natural order of their keys.

    Raises:
        ConfigurationError: no file fits the colour pattern, or there are too many.
        InvalidInputError: a frame lacks a file; names it.
    """
    keys = sorted(_keys(folder, description.color), key=_natural)
    if not keys:
        raise ConfigurationError(f"{folder}: no file fits color: '{description.color}'")
    if len(keys) > MAX_FRAMES:
        raise ConfigurationError(f'{folder} has {len(keys)} frames, at most {MAX_FRAMES}')
    return [
        FrameFiles(
            color=_file(folder, description.color, key),
            depth=_file(folder, description.depth, key),
            intrinsics=_optional(folder, description.intrinsics, key),
            pose=_optional(folder, description.pose, key),
        )
        for key in keys
    ]


def _keys(folder: Path, pattern: str) -> list[str]:
    """Return what '*' stands for in every file that fits; one empty key without a '*'."""
    if '*' not in pattern:
        return ['']
    before, after = (folder / pattern).as_posix().split('*')
    paths = [p.as_posix() for p in folder.glob(pattern)]
    return [path[len(before) : len(path) - len(after)] for path in paths]


def _file(folder: Path, pattern: str, key: str) -> Path:
    path = folder / pattern.replace('*', key)
    if not path.is_file():
        raise InvalidInputError(f"{path} is missing: frame '{key}' is not whole")
    return path


def _optional(folder: Path, value: object, key: str) -> Path | None:
    return _file(folder, value, key) if isinstance(value, str) and value else None


def _natural(key: str) -> list[tuple[int, str]]:
    """Sort 'frame9' before 'frame10'."""
    return [(int(part), '') if part.isdigit() else (-1, part) for part in re.split(r'(\d+)', key)]


def _camera_from_numbers(value: object, width: int, height: int, where: object) -> CameraModel:
    names = ('fx', 'fy', 'cx', 'cy')
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise ConfigurationError(
            f'{where}: intrinsics is {value!r}, expected a file or the keys {list(names)} [px]'
        )
    try:
        return CameraModel(width, height, *(float(value[name]) for name in names))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f'{where}: intrinsics: {error}') from error
