# SPDX-License-Identifier: Apache-2.0
"""Videos that are there already: an mp4, several, or a folder of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    CancelledError,
    ConfigurationError,
    FlowManipError,
    InvalidInputError,
    VideoFailedError,
)
from flow_manip_core.observation import Observation
from flow_manip_core.robot import Context
from flow_manip_core.video import MAX_FRAMES, MAX_SIDE, Video
from flow_manip_world_model.progress import ignore_dropped, ignore_progress, never_cancelled
from flow_manip_world_model.video.files import read_video
from flow_manip_world_model.video.framing import Framing, MAX_STRETCH

PICTURES = ('.png', '.jpg', '.jpeg')
FILMS = ('.mp4', '.mov', '.mkv', '.webm', '.avi')
MAX_POSES = 16 * 1024 * 1024  # [bytes]
MILLIMETRE = 0.001


class RecordedVideo:
    """Gives what lies on the disk, in the order of the names."""

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            path: a video file, a folder of video files, or a folder of pictures.
            depth: a folder with one 16-bit PNG of millimetres per picture of the video, 0 unknown;
                empty: none. Belongs to a single video.
            poses: a JSON list of 4 x 4 matrices T_world_camera, one per picture; empty: none.
            rate: pictures per second of a folder of pictures.
            num_frames: kept of a longer video, spread evenly.
        """

        path: str = field(default='', metadata={'doc': 'Video file, or folder of them, or frames'})
        depth: str = field(default='', metadata={'doc': 'Folder of 16-bit PNGs [mm]'})
        poses: str = field(default='', metadata={'doc': 'JSON list of T_world_camera'})
        rate: float = field(default=16.0, metadata={'doc': 'Pictures per second of a folder'})
        num_frames: int = field(default=41, metadata={'doc': 'Kept of a longer video'})

        def __post_init__(self) -> None:
            """Refuse what is no video."""
            if not self.path:
                raise ConfigurationError("recorded videos: 'path' is required")
            if not self.rate > 0 or not 2 <= self.num_frames <= MAX_FRAMES:
                raise ConfigurationError(
                    f'recorded videos: rate {self.rate}, {self.num_frames} frames'
                )

    def __init__(self, config: Config, context: Context) -> None:
        """Remember where they lie; they are looked for when they are asked for."""
        self._config = config

    def generate(
        self,
        observation: Observation,
        instruction: str,
        *,
        goal_image: NDArray[np.uint8] | None = None,
        num_videos: int = 1,
        seed: int = 0,
        on_failed: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> Iterator[Video]:
        """Give the first `num_videos` recordings; see `VideoGenerator`. Words change nothing.

        Raises:
            VideoFailedError: there is none, or none can be read.
            CancelledError: the caller asked to stop.
        """
        found = self._find()[:num_videos]
        came, last = 0, None
        for number, path in enumerate(found):
            on_progress(f'reading video {number + 1} of {len(found)}', number / len(found))
            try:
                video = self._read(path, observation, cancelled)
            except VideoFailedError as error:
                last = error
                on_failed(number, error)
                continue
            came += 1
            yield Video(
                frames=video.frames,
                times=video.times,
                source=f'recorded {path.name}',
                depth=video.depth,
                camera_poses=video.camera_poses,
                prompt=instruction,
                seed=seed + number,
            )
        if not came:
            raise last or VideoFailedError(f"no video at '{self._config.path}'")

    def _find(self) -> list[Path]:
        """Return the videos' paths: files, or one folder of pictures."""
        path = Path(self._config.path).expanduser()
        if not path.is_dir():
            return [path]
        films = sorted(p for p in path.iterdir() if p.suffix.lower() in FILMS)
        if films and (self._config.depth or self._config.poses) and len(films) > 1:
            raise VideoFailedError(
                f'{len(films)} videos in {path.name}, but depth or poses of one'
            )
        return films or [path]

    def _read(self, path: Path, observation: Observation, cancelled: Callable[[], bool]) -> Video:
        """Read one video with what belongs to it, at the size of the camera's image."""
        count = self._config.num_frames
        numbers: NDArray[np.int_] | None = None
        if path.is_dir():
            pictures = _pictures(path, PICTURES)
            numbers = _spread(len(pictures), count)
            frames = np.stack([_picture(pictures[n], cancelled) for n in numbers])
            times = numbers / self._config.rate
        else:
            frames, times = read_video(path, count, cancelled)
        depth = self._depth(len(frames), numbers, cancelled)
        poses = self._poses(len(frames), numbers)
        size = (observation.camera.width, observation.camera.height)
        frames, depth = _fit(frames, depth, size)
        try:
            return Video(frames, times, depth=depth, camera_poses=poses)
        except InvalidInputError as error:
            raise VideoFailedError(f'{path.name}: {error}') from error

    def _depth(
        self, count: int, numbers: NDArray[np.int_] | None, cancelled: Callable[[], bool]
    ) -> NDArray[np.float32] | None:
        """Read the depth of the frames that are kept."""
        if not self._config.depth:
            return None
        folder = Path(self._config.depth).expanduser()
        files = _pictures(folder, ('.png',))
        maps = [
            _depth_map(files[n], cancelled) for n in _kept(len(files), count, numbers, 'depth')
        ]
        if len({each.shape for each in maps}) != 1:
            raise VideoFailedError(f'depth in {folder.name} has several sizes')
        return np.stack(maps)

    def _poses(self, count: int, numbers: NDArray[np.int_] | None) -> NDArray[np.float64] | None:
        """Read the camera's poses of the frames that are kept."""
        if not self._config.poses:
            return None
        path = Path(self._config.poses).expanduser()
        try:
            if path.stat().st_size > MAX_POSES:
                raise VideoFailedError(f'{path.name} is larger than {MAX_POSES} bytes')
            poses = np.array(json.loads(path.read_text(encoding='utf-8')), dtype=np.float64)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise VideoFailedError(f'{path.name} cannot be read: {str(error)[:300]}') from error
        if poses.ndim != 3 or poses.shape[1:] != (4, 4):
            raise VideoFailedError(f'{path.name} holds {poses.shape}, expected (T, 4, 4)')
        return poses[_kept(len(poses), count, numbers, 'poses')]


def _spread(total: int, count: int) -> NDArray[np.int_]:
    """Return which of `total` frames are kept."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


def _kept(total: int, count: int, numbers: NDArray[np.int_] | None, what: str) -> NDArray[np.int_]:
    """Return which of `total` entries belong to the `count` frames that were kept.

    Raises:
        VideoFailedError: there are fewer than frames.
    """
    kept = _spread(total, count) if numbers is None else numbers
    if len(kept) != count or int(kept[-1]) >= total:
        raise VideoFailedError(f'{total} {what} for a video of which {count} frames are kept')
    return kept


def _pictures(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the pictures of a folder by name: the order of their numbers where these are padded.

    Raises:
        VideoFailedError: too few or too many.
    """
    found = (
        sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes)
        if folder.is_dir()
        else []
    )
    if not 2 <= len(found) <= MAX_FRAMES:
        raise VideoFailedError(
            f'{len(found)} pictures in {folder.name}, 2 to {MAX_FRAMES} are read'
        )
    return found


def _picture(path: Path, cancelled: Callable[[], bool]) -> NDArray[np.uint8]:
    """Read one RGB picture."""
    image = _decode(path, cv2.IMREAD_COLOR, cancelled)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def _depth_map(path: Path, cancelled: Callable[[], bool]) -> NDArray[np.float32]:
    """Read one map of metres, NaN where unknown."""
    image = _decode(path, cv2.IMREAD_UNCHANGED, cancelled)
    if image.dtype != np.uint16 or image.ndim != 2:
        raise VideoFailedError(f'{path.name} is {image.shape} {image.dtype}, expected 16-bit grey')
    return np.where(image > 0, image * np.float32(MILLIMETRE), np.float32(np.nan))


def _decode(path: Path, way: int, cancelled: Callable[[], bool]) -> NDArray:
    if cancelled():
        raise CancelledError(f'cancelled before reading {path.name}')
    image = cv2.imread(str(path), way)
    if image is None or max(image.shape[:2]) > MAX_SIDE:
        raise VideoFailedError(
            f'{path.name} is no picture' if image is None else f'{path.name} is {image.shape[:2]}'
        )
    return image


def _fit(
    frames: NDArray[np.uint8], depth: NDArray[np.float32] | None, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Scale a recording to the camera's size; it must have its shape.

    Raises:
        VideoFailedError: it has another shape.
    """
    height, width = frames.shape[1:3]
    if abs(width * size[1] / (height * size[0]) - 1.0) > MAX_STRETCH:
        raise VideoFailedError(
            f'the recording is {width} x {height} px, the camera {size[0]} x {size[1]}: another '
            'shape, so another camera'
        )
    if (width, height) != size:
        frames = Framing(size, size).undo(frames)
    if depth is not None and depth.shape[1:] != (size[1], size[0]):
        # No mean of a near and a far surface: nothing is there.
        depth = np.stack(
            [cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in depth]
        ).astype(np.float32)
    return frames, depth
