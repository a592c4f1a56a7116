# SPDX-License-Identifier: Apache-2.0
"""Tracks of a live stream: a bounded window, ids that are never used again, images left out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.point_tracks import PointTracks
from flow_manip_perception.tracking import checked_queries, checked_regions, MAX_POINTS
from flow_manip_perception.tracking.follower import Follower, FollowerConfig
from flow_manip_perception.tracking.spatial import SpatialTracks

MAX_WINDOW = 1024


@dataclass(frozen=True)
class _Moment:
    stamp: float
    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    depth: NDArray[np.float32] | None = None
    support: NDArray[np.float32] | None = None


class Followed(Protocol):
    """What a window keeps of one image; depth and support where both are known."""

    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    depth: NDArray[np.float32] | None
    support: NDArray[np.float32] | None


@dataclass(frozen=True)
class FollowedPixels:
    """Points without depth; see `Followed`."""

    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    depth: None = None
    support: None = None


class TrackWindow:
    """The last images' tracks of one set of points, and ids for the next set."""

    def __init__(self, length: int) -> None:
        """Keep at most `length` moments.

        Raises:
            InvalidInputError: that is no window.
        """
        if not 1 <= length <= MAX_WINDOW:
            raise InvalidInputError(f'a window of {length} images; 1 to {MAX_WINDOW} are kept')
        self._moments: deque[_Moment] = deque(maxlen=length)
        self._ids = np.empty(0, dtype=np.uint32)
        self._next_id = 0

    def restart(self, num_points: int) -> NDArray[np.uint32]:
        """Forget all moments; return (N,) new ids."""
        if not 1 <= num_points <= MAX_POINTS:
            raise InvalidInputError(f'{num_points} points; 1 to {MAX_POINTS} are followed')
        self._moments.clear()
        first, self._next_id = self._next_id, self._next_id + num_points
        self._ids = np.arange(first, self._next_id, dtype=np.uint32)
        return self._ids.copy()

    @property
    def newest(self) -> float:
        """Stamp of the newest moment [s], minus infinity where there is none."""
        return self._moments[-1].stamp if self._moments else -np.inf

    def add(self, stamp: float, followed: Followed) -> None:
        """Keep one more moment; the oldest leaves where the window is full."""
        values = (followed.points, followed.confidence, followed.depth, followed.support)
        kept = (None if value is None else value.copy() for value in values)
        self._moments.append(_Moment(stamp, *kept))

    def tracks(self) -> PointTracks:
        """Return the window, oldest first.

        Raises:
            InvalidInputError: it is empty.
        """
        if not self._moments:
            raise InvalidInputError('no image was followed yet')
        plain = (
            np.stack([m.points for m in self._moments]),
            np.stack([m.confidence for m in self._moments]),
            np.array([m.stamp for m in self._moments]),
            self._ids,
        )
        depths = [m.depth for m in self._moments if m.depth is not None]
        supports = [m.support for m in self._moments if m.support is not None]
        if min(len(depths), len(supports)) < len(self._moments):
            return PointTracks(*plain)
        return SpatialTracks(*plain, np.stack(depths), np.stack(supports))


class FollowerStream:
    """Follows points by a `Follower` through images as they come; see `PointStream`.

    Attributes:
        num_dropped: images left out since the stream began.
    """

    def __init__(self, window: int, camera: CameraModel | None, config: FollowerConfig) -> None:
        """Open it.

        Args:
            window: images that tracks are kept of.
            camera: of the images.
            config: of the following.

        Raises:
            InvalidInputError: no such window.
        """
        self.num_dropped = 0
        self._camera, self._config = camera, config
        self._window = TrackWindow(window)
        self._asked: tuple[NDArray, NDArray | None] | None = None
        self._follower: Follower | None = None
        self._shape: tuple[int, ...] = ()

    def reset(self, queries: NDArray, *, regions: NDArray | None = None) -> NDArray[np.uint32]:
        """Follow other points from the next image on; see `PointStream.reset`."""
        points = np.array(queries, dtype=np.float32)
        if points.ndim != 2 or points.shape[1] != 2:
            raise InvalidInputError(f'queries are {points.shape}, expected (N, 2)')
        ids = self._window.restart(len(points))
        self._asked, self._follower = (points, regions), None
        return ids

    def push(
        self, frame: NDArray[np.uint8], stamp: float, depth: NDArray[np.float32] | None = None
    ) -> PointTracks:
        """Follow into one more image; see `PointStream.push`."""
        if self._asked is None:
            raise InvalidInputError('nothing to follow: reset the stream with points first')
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise InvalidInputError(
                f'the image is {frame.shape} {frame.dtype}, expected (H, W, 3) uint8'
            )
        if depth is not None and depth.shape != frame.shape[:2]:
            raise InvalidInputError(f'depth is {depth.shape}, the image {frame.shape[:2]}')
        if not np.isfinite(stamp):
            raise InvalidInputError(f'stamp {stamp}')
        if stamp <= self._window.newest:
            self.num_dropped += 1
            return self._window.tracks()
        if self._follower is None:
            self._follower = self._begin(frame, depth)
        elif frame.shape != self._shape:
            raise InvalidInputError(f'the image is {frame.shape}, the first was {self._shape}')
        else:
            self._follower.step(frame, depth)
        self._window.add(stamp, self._follower)
        return self._window.tracks()

    def _begin(self, frame: NDArray[np.uint8], depth: NDArray[np.float32] | None) -> Follower:
        assert self._asked is not None
        size = (frame.shape[1], frame.shape[0])
        if self._camera is not None and (self._camera.width, self._camera.height) != size:
            raise InvalidInputError(
                f'the camera is {self._camera.width} x {self._camera.height} px, the image '
                f'{size[0]} x {size[1]}'
            )
        points = checked_queries(self._asked[0], size)
        regions = checked_regions(self._asked[1], size)
        self._shape = frame.shape
        return Follower(frame, depth, points, regions, self._camera, self._config)
