# SPDX-License-Identifier: Apache-2.0
"""Writing the video of an execution while it happens."""

from __future__ import annotations

from pathlib import Path
import subprocess

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError, RecordError

FRAME_RATE = 15  # [Hz] of the file; frames are taken or repeated by their time
CLOSE_TIMEOUT = 30.0  # [s] that the encoder may take to finish
MAX_REPEATS = 5 * FRAME_RATE  # a longer pause of the camera is shortened to this


class VideoWriter:
    """H.264 in yuv420p at a constant rate, playable by browsers, by imageio-ffmpeg's ffmpeg."""

    def __init__(self, path: Path, rate: int = FRAME_RATE) -> None:
        """Say where to; the encoder starts with the first frame."""
        self.path = path
        self.frames = 0
        self._rate = rate
        self._size: tuple[int, int] | None = None
        self._encoder: subprocess.Popen[bytes] | None = None
        self._start = 0.0

    def add(self, image: NDArray[np.uint8], time: float) -> None:
        """Append a frame.

        Args:
            image: (H, W, 3) RGB, of the same size as the first.
            time: of the frame [s]; frames faster than the rate are dropped, slower ones repeated.

        Raises:
            InvalidInputError: not an RGB image, or of another size than the first.
            RecordError: the encoder ended, e.g. because the disk is full.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InvalidInputError(f'a frame is {image.shape} {image.dtype}, expected RGB uint8')
        # yuv420p halves the colour's resolution: both sides must be even.
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        if self._encoder is None:
            self._open(width, height, time)
        if self._size != (width, height):
            raise InvalidInputError(f'a frame is {(width, height)}, the first was {self._size}')
        due = round((time - self._start) * self._rate) + 1 - self.frames
        data = np.ascontiguousarray(image[:height, :width]).tobytes()
        for _ in range(min(max(due, 0), MAX_REPEATS)):
            self._write(data)
        if due > MAX_REPEATS:
            self._start = time - (self.frames - 1) / self._rate

    def close(self) -> None:
        """Finish the file; without frames there is none.

        Raises:
            RecordError: the encoder failed.
        """
        if self._encoder is None:
            return
        encoder, self._encoder = self._encoder, None
        try:
            _, errors = encoder.communicate(timeout=CLOSE_TIMEOUT)
        except (BrokenPipeError, subprocess.TimeoutExpired) as error:
            encoder.kill()
            encoder.wait()
            raise RecordError(f'{self.path.name}: the encoder did not finish: {error}') from error
        if encoder.returncode:
            raise RecordError(f'{self.path.name}: {errors.decode(errors="replace").strip()}')

    def _open(self, width: int, height: int, time: float) -> None:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), '-y', '-loglevel', 'error']
        command += ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}']
        command += ['-r', str(self._rate), '-i', '-', '-an', '-c:v', 'libx264', '-threads', '1']
        command += ['-preset', 'veryfast', '-crf', '24', '-pix_fmt', 'yuv420p']
        command += ['-movflags', '+faststart', str(self.path)]
        self._encoder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._size, self._start = (width, height), time

    def _write(self, data: bytes) -> None:
        assert self._encoder is not None
        assert self._encoder.stdin is not None
        try:
            self._encoder.stdin.write(data)
        except OSError as error:
            raise RecordError(f'{self.path.name}: the encoder ended: {error}') from error
        self.frames += 1
