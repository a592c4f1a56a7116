# SPDX-License-Identifier: Apache-2.0
"""One clip that is still to be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import re

import cv2
import numpy as np

from flow_manip_core.errors import ConfigurationError, VideoFailedError
from flow_manip_core.robot import Context
from flow_manip_core.video import MAX_FRAMES
from flow_manip_learning.clips import Clip, clip_without_depth, read_clip
from flow_manip_learning.engine.config import EngineConfig

KINDS = ('video', 'images', 'recording', 'bridge', 'lerobot')
MAX_KEY = 100
IMAGES = ('.png', '.jpg', '.jpeg')
MAX_PICTURE = 64 * 1024 * 1024  # [bytes]


@dataclass(frozen=True)
class InputOptions:
    """How inputs become clips.

    Attributes:
        start: where to begin in every video file or recording [s].
        seconds: longer video files are cut into clips of this length, of recordings only the first
            is taken; 0: they are not cut.
        rate: of image folders, which say nothing about time [Hz].
        instruction: for clips without their own.
        camera: of a LeRobot dataset, e.g. 'observation.images.top'; '': all of them.
        max_clips: of all inputs together; 0: no limit.
    """

    start: float = 0.0
    seconds: float = 0.0
    rate: float = 5.0
    instruction: str = ''
    camera: str = ''
    max_clips: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers without meaning.

        Raises:
            ConfigurationError: with them.
        """
        if not 0.0 <= self.start < 1e6 or not (self.seconds == 0.0 or 0.1 <= self.seconds < 1e6):
            raise ConfigurationError(f'clips of {self.seconds} s from {self.start} s')
        if not 0.01 <= self.rate <= 1000.0 or self.max_clips < 0:
            raise ConfigurationError(f'{self.rate} Hz, at most {self.max_clips} clips')


@dataclass(frozen=True)
class ClipSource:
    """A clip by its place.

    Attributes:
        key: unique among the inputs; letters, digits, '-' and '_'.
        path: file or folder.
        kind: one of `KINDS`.
        footage: name of the collection.
        instruction: in words; '' where nobody said.
        start: where it begins in the file [s].
        seconds: its length; None: to the end.
        rate: of pictures without times [Hz].
        gripper: picture of the gripper's mask in its first frame; None where there is none.
    """

    key: str
    path: Path
    kind: str
    footage: str
    instruction: str = ''
    start: float = 0.0
    seconds: float | None = None
    rate: float = 5.0
    gripper: Path | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        part = (
            '' if self.seconds is None else f' {self.start:.2f}..{self.start + self.seconds:.2f} s'
        )
        said = f" '{self.instruction}'" if self.instruction else ''
        return f'{self.footage}/{self.path.name}{part}{said}'

    def read(self, context: Context, config: EngineConfig) -> Clip:
        """Read it.

        Raises:
            FlowManipError: it cannot be read.
        """
        if self.kind in ('images', 'bridge'):
            return _pictures(self, config)
        return read_clip(
            self.path,
            context,
            num_frames=config.detection.max_frames,
            fov_degrees=config.fov_degrees,
            distance=config.distance,
            start=self.start,
            seconds=self.seconds,
        )


def pictures_in(folder: Path) -> list[Path]:
    """Return a folder's pictures in the order of the numbers in their names."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGES and not path.stem.endswith('gripper')
    ]
    return sorted(found, key=lambda p: [int(n) for n in re.findall(r'\d{1,18}', p.stem)] or [0])


def _pictures(source: ClipSource, config: EngineConfig) -> Clip:
    """Read a folder of pictures.

    Raises:
        VideoFailedError: fewer than two, one that cannot be read, or of another size.
    """
    paths = pictures_in(source.path)[:MAX_FRAMES]
    if len(paths) < 2:
        raise VideoFailedError(f'{source.path} has {len(paths)} pictures, 2 are needed')
    keep = min(config.detection.max_frames, len(paths))
    chosen = np.unique(np.linspace(0, len(paths) - 1, keep).round().astype(int))
    frames: list[np.ndarray] = []
    for index in chosen:
        image = None
        if paths[index].stat().st_size <= MAX_PICTURE:
            image = cv2.imread(str(paths[index]), cv2.IMREAD_COLOR)
        if image is None or (frames and image.shape != frames[0].shape):
            got = 'no picture' if image is None else f'{image.shape[1]} x {image.shape[0]} px'
            raise VideoFailedError(f'{paths[index]} is {got}')
        frames.append(np.ascontiguousarray(image[..., ::-1]))
    name = f'{source.footage}/{source.path.name}'
    return clip_without_depth(
        np.stack(frames), chosen / source.rate, name, config.fov_degrees, config.distance
    )


def make_key(*parts: str) -> str:
    """Return a key of a sample from names: letters, digits, '-' and '_'.

    Raises:
        ConfigurationError: nothing is left of the names.
    """
    text = '-'.join(re.sub(r'[^A-Za-z0-9_]+', '-', part).strip('-') for part in parts if part)
    if not text:
        raise ConfigurationError(f'no key can be made of {parts}')
    return text[-MAX_KEY:]
