# SPDX-License-Identifier: Apache-2.0
"""Tracking: where points of a video's first frame are in all others, or in a live stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.registry import Registry
from flow_manip_core.video import Video

Cancelled = Callable[[], bool]

FREE = -1
"""Region of a pixel that belongs to no rigid thing."""

MAX_POINTS = 16384
"""Queries of one call."""


def never() -> bool:
    """Say that nobody cancelled."""
    return False


class PointStream(Protocol):
    """Follows points through images as they come; memory does not grow with time.

    Drop policy: an image that is not newer than the newest one is left out and counted in
    `num_dropped`; a caller that falls behind keeps only the newest waiting image.

    Attributes:
        num_dropped: images left out since the stream began.
    """

    num_dropped: int

    def reset(self, queries: NDArray, *, regions: NDArray | None = None) -> NDArray[np.uint32]:
        """Forget what was followed, and follow points of the image that is pushed next.

        Args:
            queries: (N, 2) pixels (u, v) in the next image.
            regions: see `PointTracker.track`.

        Returns:
            (N,) ids; none was ever given before by this stream.

        Raises:
            InvalidInputError: the queries are no pixels, or too many.
        """

    def push(
        self, frame: NDArray[np.uint8], stamp: float, depth: NDArray[np.float32] | None = None
    ) -> PointTracks:
        """Follow the points into one more image.

        Args:
            frame: (H, W, 3) uint8 RGB.
            stamp: seconds, of the image itself.
            depth: (H, W) metres along the optical axis, NaN unknown.

        Returns:
            Tracks of the window, oldest first, `times` being stamps; its first entry is the image
            after `reset` until that has left the window.

        Raises:
            InvalidInputError: nothing was reset, or the image is not of the first one's size.
        """


class PointTracker(Protocol):
    """Follows points of a video's first frame through all frames."""

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
        """Follow points.

        Args:
            video: to track in.
            queries: (N, 2) pixels (u, v) of the first frame.
            depth: (T, H, W) metres along the optical axis, NaN unknown; helps where the backend
                knows how to use it.
            camera: of the frames; with depth it lets a backend think in 3D.
            regions: (H, W) whole numbers of the first frame's pixels: those of one number show one
                thing that probably moves rigidly, `FREE` (-1) ones belong to nothing; of a mask,
                `np.where(mask, 0, FREE)`. A hint: what does not move rigidly is still followed.
                All `FREE` where left out.
            cancelled: polled while tracking.

        Returns:
            Tracks with one entry per frame, in the order of the queries.

        Raises:
            InvalidInputError: queries, depth or regions do not belong to the video.
            CancelledError: as it says.
            BackendError: the backend's package or server is missing.
        """

    def stream(self, *, window: int = 16, camera: CameraModel | None = None) -> PointStream:
        """Open a live stream.

        Args:
            window: images that tracks are kept of.
            camera: of the images.
        """


TRACKERS: Registry[PointTracker] = Registry(
    'tracking',
    {
        'lucas_kanade': 'flow_manip_perception.tracking.lucas_kanade:LucasKanadeTracker',
        'cotracker': 'flow_manip_perception.tracking.cotracker:CoTracker',
        'remote': 'flow_manip_perception.tracking.remote:RemoteTracker',
    },
)


def checked_queries(queries: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return queries as (N, 2) float32.

    Args:
        queries: (N, 2) pixels (u, v).
        size: (width, height) of the image [px].

    Raises:
        InvalidInputError: they are none, too many, or not all within the image.
    """
    points = np.asarray(queries, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or not 1 <= len(points) <= MAX_POINTS:
        raise InvalidInputError(
            f'queries are {points.shape}, expected (N, 2) with N in 1..{MAX_POINTS}'
        )
    inside = ((points >= -0.5) & (points <= np.array(size) - 0.5)).all(axis=1)
    if not inside.all():
        raise InvalidInputError(
            f'{int((~inside).sum())} of {len(points)} queries lie outside an image of '
            f'{size[0]} x {size[1]} px'
        )
    return points


def checked_regions(regions: NDArray | None, size: tuple[int, int]) -> NDArray[np.int64]:
    """Return regions as (H, W) int64, all `FREE` where left out.

    Raises:
        InvalidInputError: not one whole number per pixel.
    """
    shape = (size[1], size[0])
    if regions is None:
        return np.full(shape, FREE, dtype=np.int64)
    found = np.asarray(regions)
    if found.shape != shape or found.dtype.kind not in 'iu':
        raise InvalidInputError(
            f'regions are {found.shape} {found.dtype}, expected {shape} whole numbers'
        )
    return found.astype(np.int64)
