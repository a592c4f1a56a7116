# SPDX-License-Identifier: Apache-2.0
"""Video files that somebody else wrote: read bounded, checked, and thinned while reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import re
import subprocess
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError, CancelledError, VideoFailedError
from flow_manip_core.video import MAX_FRAMES, MAX_SIDE
from flow_manip_world_model.progress import never_cancelled

MAX_FILE = 512 * 1024 * 1024  # [bytes]
COUNT_TIMEOUT = 60.0  # [s] for counting the frames of a file
# A "video" may be a playlist: nothing but the file itself may be opened.
ONLY_FILES = ['-protocol_whitelist', 'file', '-nostdin']


def read_video(
    path: Path,
    num_frames: int,
    cancelled: Callable[[], bool] = never_cancelled,
    *,
    start: float = 0.0,
    seconds: float | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Read at most `num_frames` frames of a video file, spread evenly, both ends among them.

    Args:
        path: of an mp4 or anything that ffmpeg reads.
        num_frames: to keep, at least 2.
        cancelled: polled at every frame.
        start: where to begin [s].
        seconds: to read from there; None: to the end.

    Returns:
        (T, H, W, 3) uint8 RGB and (T,) seconds from the first frame.

    Raises:
        VideoFailedError: the file is missing, too large, unreadable, or has fewer than 2 frames.
        BackendError: imageio-ffmpeg is not installed.
        CancelledError: the caller asked to stop.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise BackendError(f'{error}; install it with: pip install imageio-ffmpeg') from error
    if not path.is_file() or path.stat().st_size > MAX_FILE:
        size = path.stat().st_size if path.is_file() else 0
        raise VideoFailedError(
            f'{path.name}: {size} bytes' + (f', limit {MAX_FILE}' if size else ', no such file')
        )
    window = _window(path.name, start, seconds)
    total, _ = _count_frames(imageio_ffmpeg.get_ffmpeg_exe(), path, window)
    if not 2 <= total <= MAX_FRAMES:
        raise VideoFailedError(f'{path.name} has {total} frames, 2 to {MAX_FRAMES} are read')
    keep = np.unique(np.linspace(0, total - 1, min(num_frames, total)).round().astype(int))
    # Frames as they are stored: at an uneven rate some would be doubled otherwise.
    reader = imageio_ffmpeg.read_frames(
        str(path), input_params=[*ONLY_FILES, *window], output_params=['-fps_mode', 'passthrough']
    )
    try:
        return _read(reader, keep, path.name, cancelled)
    except (OSError, RuntimeError) as error:
        raise VideoFailedError(f'{path.name} cannot be read: {str(error)[:300]}') from error
    finally:
        reader.close()


def video_seconds(path: Path) -> float:
    """Return how long a video file is [s], by decoding none of it.

    Raises:
        VideoFailedError: it cannot be read.
        BackendError: imageio-ffmpeg is not installed.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise BackendError(f'{error}; install it with: pip install imageio-ffmpeg') from error
    return _count_frames(imageio_ffmpeg.get_ffmpeg_exe(), path, [])[1]


def _window(name: str, start: float, seconds: float | None) -> list[str]:
    """Return ffmpeg's words for a part of a file.

    Raises:
        VideoFailedError: it is none.
    """
    if not 0.0 <= start < 1e6 or (seconds is not None and not 0.0 < seconds < 1e6):
        raise VideoFailedError(f'{name}: no part of {seconds} s from {start} s')
    words = ['-ss', f'{start:.6f}'] if start > 0 else []
    return words if seconds is None else [*words, '-t', f'{seconds:.6f}']


def _count_frames(ffmpeg: str, path: Path, window: list[str]) -> tuple[int, float]:
    """Return how many frames the first video stream has, and its length [s].

    Nothing is decoded for a whole file; where a part begins only the decoder knows.
    """
    codec = [] if window else ['-c', 'copy']
    command = [ffmpeg, *ONLY_FILES, *window, '-i', str(path), '-map', '0:v:0', *codec]
    if window:
        command += ['-fps_mode', 'passthrough']
    try:
        done = subprocess.run(
            [*command, '-f', 'null', '-'],
            capture_output=True,
            timeout=COUNT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VideoFailedError(f'{path.name} cannot be read: {str(error)[:300]}') from error
    counts = re.findall(rb'frame=\s*(\d+)', done.stderr)
    if done.returncode != 0 or not counts:
        reason = done.stderr.decode(errors='replace').strip().splitlines()[-1:]
        raise VideoFailedError(f'{path.name} cannot be read: {" ".join(reason)[:300]}')
    clock = re.findall(rb'time=(\d+):(\d+):(\d+(?:\.\d+)?)', done.stderr)
    hours, minutes, rest = (float(part) for part in clock[-1]) if clock else (0.0, 0.0, 0.0)
    return int(counts[-1]), 3600.0 * hours + 60.0 * minutes + rest


def _read(
    reader: Iterator[Any], keep: NDArray, name: str, cancelled: Callable[[], bool]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Take the frames with the numbers `keep`."""
    about = next(reader)
    width, height = about['size']
    rate = float(about['fps'])
    if not 0 < min(width, height) <= max(width, height) <= MAX_SIDE or not rate > 0:
        raise VideoFailedError(f'{name}: {width} x {height} px at {rate} Hz')
    wanted = {int(number): place for place, number in enumerate(keep)}
    frames = np.empty((len(keep), height, width, 3), dtype=np.uint8)
    found = 0
    for number, data in enumerate(reader):
        if cancelled():
            raise CancelledError(f'cancelled while reading {name}')
        if number in wanted:
            frames[wanted[number]] = np.frombuffer(data, np.uint8).reshape(height, width, 3)
            found += 1
        if found == len(keep):
            break
    if found < len(keep):
        raise VideoFailedError(f'{name} ended after {found} of {len(keep)} frames')
    return frames, keep / rate
