# SPDX-License-Identifier: Apache-2.0
"""A video of one camera: what a generator imagined, or what was recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import is_rigid

MAX_FRAMES = 2048
MAX_SIDE = 4096  # [px]


@dataclass(frozen=True)
class Video:
    """Frames of one camera over time.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        times: (T,) float64 seconds from the first frame, strictly increasing, the first 0.
        source: backend or file that it came from.
        depth: (T, H, W) float32 along the optical axis, NaN where unknown, that came with the
            frames; None where nothing did. Metres only where the source says so: a generator's
            depth has an unknown scale and shift.
        camera_poses: (T, 4, 4) T_world_camera of the optical frame, where they are known.
        prompt: words that it was made from; empty for recordings.
        seed: that it was made from.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    source: str = ''
    depth: NDArray[np.float32] | None = None
    camera_poses: NDArray[np.float64] | None = None
    prompt: str = ''
    seed: int = 0

    def __post_init__(self) -> None:
        """Check shapes, sizes and times.

        Raises:
            InvalidInputError: they do not belong together.
        """
        shape = self.frames.shape
        if len(shape) != 4 or shape[3] != 3 or self.frames.dtype != np.uint8:
            raise InvalidInputError(
                f'frames are {shape} {self.frames.dtype}, expected (T, H, W, 3) uint8'
            )
        if (
            not 2 <= shape[0] <= MAX_FRAMES
            or not 0 < min(shape[1:3]) <= max(shape[1:3]) <= MAX_SIDE
        ):
            raise InvalidInputError(
                f'{shape[0]} frames of {shape[2]} x {shape[1]} px; 2 to {MAX_FRAMES} of at most '
                f'{MAX_SIDE} px a side are read'
            )
        times = np.ascontiguousarray(self.times, dtype=np.float64)
        object.__setattr__(self, 'times', times)
        if times.shape != shape[:1] or times[0] != 0.0 or not (np.diff(times) > 0).all():
            raise InvalidInputError(f'times of {shape[0]} frames must start at 0 and increase')
        if self.depth is not None and (
            self.depth.shape != shape[:3] or self.depth.dtype != np.float32
        ):
            raise InvalidInputError(
                f'depth is {self.depth.shape} {self.depth.dtype}, expected {shape[:3]} float32'
            )
        if self.camera_poses is not None and (
            self.camera_poses.shape != (shape[0], 4, 4)
            or not all(is_rigid(pose, tolerance=1e-4) for pose in self.camera_poses)
        ):
            raise InvalidInputError(
                f'camera poses {self.camera_poses.shape} are not {shape[0]} rigid transforms'
            )

    @property
    def num_frames(self) -> int:
        """T."""
        return self.frames.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) [px]."""
        return self.frames.shape[2], self.frames.shape[1]

    def thinned(self, num_frames: int) -> Video:
        """Return at most `num_frames` frames, spread evenly, both ends among them."""
        if num_frames < 2:
            raise InvalidInputError(f'{num_frames} frames are no video')
        if num_frames >= self.num_frames:
            return self
        keep = np.unique(np.linspace(0, self.num_frames - 1, num_frames).round().astype(int))
        return Video(
            frames=self.frames[keep],
            times=self.times[keep],
            source=self.source,
            depth=None if self.depth is None else self.depth[keep],
            camera_poses=None if self.camera_poses is None else self.camera_poses[keep],
            prompt=self.prompt,
            seed=self.seed,
        )
