# SPDX-License-Identifier: Apache-2.0
"""Tracks from a model server: TAPIP3D, SpatialTrackerV2, CoTracker, or any that `serve` runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import BackendError, InvalidInputError
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_core.wire import ModelServer
from flow_manip_core.wire_values import map_of, tracks_from_wire, video_to_wire
from flow_manip_perception.tracking import (
    Cancelled,
    checked_queries,
    checked_regions,
    never,
    PointStream,
)


class RemoteTracker:
    """Sends frames and queries, and takes the tracks."""

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        server: str = field(
            default='http://127.0.0.1:8110/track', metadata={'doc': 'Where the model is served'}
        )
        timeout: float = field(default=120.0, metadata={'doc': 'Of a whole video [s]'})

    def __init__(self, config: Config, context: Context) -> None:
        """Check the URL; the server is first spoken to by `track`.

        Raises:
            ConfigurationError: the URL makes no sense.
        """
        self._server = ModelServer(config.server, config.timeout)

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
        """Return the server's tracks; see `PointTracker`.

        Raises:
            BackendError: the server is not there or answers nonsense.
            StageTimeoutError: it did not answer in time.
            FlowManipError: what its backend raised.
        """
        points = checked_queries(queries, video.size)
        # Depth is sent once, as the caller calibrated it.
        request: dict[str, Any] = {
            'video': video_to_wire(replace(video, depth=None)),
            'queries': points,
        }
        if depth is not None:
            request['depth'] = np.asarray(depth, dtype=np.float32)
        if camera is not None:
            request['camera'] = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        if regions is not None:
            request['regions'] = checked_regions(regions, video.size)
        answer = self._server.ask(request, cancelled)
        try:
            tracks = tracks_from_wire(map_of(answer, 'tracks'))
        except InvalidInputError as error:
            raise BackendError(f'{self._server.url}: {error}') from error
        if tracks.points.shape[:2] != (video.num_frames, len(points)):
            raise BackendError(
                f'{self._server.url} gave tracks {tracks.points.shape}, expected '
                f'{(video.num_frames, len(points), 2)}'
            )
        return tracks

    def stream(self, *, window: int = 16, camera: CameraModel | None = None) -> PointStream:
        """Refuse: a live stream cannot wait for a network.

        Raises:
            BackendError: always.
        """
        raise BackendError(
            f'{self._server.url}: live streams need a tracker in the process of tracking_node, '
            'e.g. lucas_kanade or cotracker'
        )
