# SPDX-License-Identifier: Apache-2.0
"""What is true of a simulated video; for scoring, never part of the video."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_core.video import Video

Array = NDArray[np.float64]


@dataclass(frozen=True)
class VideoTruth:
    """What a video really shows.

    Attributes:
        failure: name of what is wrong with it; '' for a good one.
        body: that the words mean.
        times: (T,) of the frames [s].
        poses: (T, 4, 4) T_world_body as the video shows it.
        reference: (T, 4, 4) T_world_body as it should be.
        moved: body that moves in the video.
        moved_poses: (T, 4, 4) of that, as the video shows it.
        visible: (T,) whether the moved body is drawn.
        ghost: (T, 4, 4) poses of a second one, NaN where there is none; None for none.
        camera_poses: (T, 4, 4) T_world_camera.
        zoom: (T,) factor on the observation's focal length.
        depth_scale: (T,) and
        depth_shift: [m] of the video's depth: scale * true + shift.
    """

    failure: str
    body: str
    times: Array
    poses: Array
    reference: Array
    moved: str
    moved_poses: Array
    visible: NDArray[np.bool_]
    ghost: Array | None
    camera_poses: Array
    zoom: Array
    depth_scale: Array
    depth_shift: float

    @property
    def is_good(self) -> bool:
        """Nothing is wrong with it."""
        return not self.failure

    def carry(self, points: Array, times: Array) -> Array:
        """Return where (N, 3) world points of the body in the first frame are: (M, N, 3) [m].

        Args:
            points: on the body [m].
            times: (M,) of the video [s]; the nearest frames.
        """
        frames = np.abs(self.times[None] - np.asarray(times)[:, None]).argmin(axis=1)
        back = invert_transform(self.poses[0])
        return np.array([transform_points(self.poses[f] @ back, points) for f in frames])


def video_key(video: Video) -> bytes:
    """Return what tells a video from others, copied or thinned: words, seed, its two ends."""
    digest = hashlib.blake2b(f'{video.seed} {video.prompt}'.encode(), digest_size=16)
    ends = [video.frames[0], video.frames[-1]]
    ends += [] if video.depth is None else [video.depth[0]]
    for frame in ends:
        digest.update(np.ascontiguousarray(frame).data)
    return digest.digest()
