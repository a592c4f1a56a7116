# SPDX-License-Identifier: Apache-2.0
"""The default tracker: patches by Lucas and Kanade, rigid things by shape and colour; CPU only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import CancelledError, InvalidInputError
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_perception.tracking import (
    Cancelled,
    checked_queries,
    checked_regions,
    never,
    PointStream,
)
from flow_manip_perception.tracking.follower import Follower, FollowerConfig
from flow_manip_perception.tracking.streaming import FollowerStream, TrackWindow


class LucasKanadeTracker:
    """Follows points by their patches, and those of rigid things by the thing's motion."""

    @dataclass(frozen=True)
    class Config(FollowerConfig):
        """See `FollowerConfig`."""

    def __init__(self, config: Config, context: Context) -> None:
        """Keep the configuration; `context` is not needed."""
        self._config = config

    def track(
        self,
        video: Video,
        queries: NDArray,
        *,
        depth: NDArray[np.float32] | None = None,
        camera: CameraModel | None = None,
        regions: NDArray | None = None,
        cancelled: Cancelled = never,
    ) -> PointTracks:
        """Follow points; see `PointTracker.track`.

        With depth and a camera the result is `SpatialTracks`.

        Raises:
            InvalidInputError: queries, depth, camera or regions do not belong to the video.
            CancelledError: as it says.
        """
        points = checked_queries(queries, video.size)
        labels = checked_regions(regions, video.size)
        if depth is not None and depth.shape != video.frames.shape[:3]:
            raise InvalidInputError(f'depth is {depth.shape}, the video {video.frames.shape[:3]}')
        if camera is not None and (camera.width, camera.height) != video.size:
            raise InvalidInputError(
                f'the camera is {camera.width} x {camera.height} px, the video '
                f'{video.size[0]} x {video.size[1]}'
            )
        first = None if depth is None else depth[0]
        follower = Follower(video.frames[0], first, points, labels, camera, self._config)
        window = TrackWindow(video.num_frames)
        window.restart(len(points))
        window.add(float(video.times[0]), follower)
        for t in range(1, video.num_frames):
            if cancelled():
                raise CancelledError(f'cancelled after {t} of {video.num_frames} frames')
            follower.step(video.frames[t], None if depth is None else depth[t])
            window.add(float(video.times[t]), follower)
        return window.tracks()

    def stream(self, *, window: int = 16, camera: CameraModel | None = None) -> PointStream:
        """Open a live stream; see `PointTracker.stream`."""
        return FollowerStream(window, camera, self._config)
