# SPDX-License-Identifier: Apache-2.0
"""CoTracker3 (Karaev et al. 2024) from the user's own install.

The package and its weights are under a licence that forbids commercial use, so neither comes with
this one. Used are `cotracker.predictor.CoTrackerPredictor` for whole videos and
`CoTrackerOnlinePredictor` for streams, as their README describes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import BackendError, CancelledError, InvalidInputError
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.registry import INSTALL_COMMANDS
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_perception.tracking import Cancelled, checked_queries, never, PointStream
from flow_manip_perception.tracking.streaming import FollowedPixels, TrackWindow


class CoTracker:
    """Follows points by CoTracker3; depth, camera and regions are not used."""

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            checkpoint: weights for whole videos.
            online_checkpoint: weights for streams.
            device: of torch.
            offline_window: frames that the weights for whole videos were trained with.
            online_window: the same of those for streams; tracks come every half of it.
            restart_after: images after which a stream begins anew where its points are: the
                model remembers all images that it saw.
        """

        checkpoint: str = field(default='', metadata={'doc': 'File scaled_offline.pth'})
        online_checkpoint: str = field(default='', metadata={'doc': 'File scaled_online.pth'})
        device: str = field(default='cpu', metadata={'doc': 'Of torch'})
        offline_window: int = field(default=60, metadata={'doc': 'Frames'})
        online_window: int = field(default=16, metadata={'doc': 'Images'})
        restart_after: int = field(default=256, metadata={'doc': 'Images of a stream'})

    def __init__(self, config: Config, context: Context) -> None:
        """Keep the configuration; weights are read when they are first needed.

        Raises:
            BackendError: torch or cotracker is not installed.
        """
        self._config = config
        self._torch = _load('torch')
        self._predictors = _load('cotracker.predictor')
        self._offline: Any = None

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

        Raises:
            InvalidInputError: the queries do not belong to the video.
            BackendError: no weights, or the model failed.
            CancelledError: `cancelled`, which is polled at every layer, said so.
        """
        points = checked_queries(queries, video.size)
        if self._offline is None:
            self._offline = self._predictor(
                'CoTrackerPredictor', self._config.checkpoint, self._config.offline_window, True
            )
        with self._running(self._offline, cancelled):
            tracks, visible = self._offline(
                self._tensor(video.frames), queries=self._queries(points)
            )
        found, confidence = _arrays(tracks, visible, (video.num_frames, len(points)))
        return PointTracks(found, confidence, video.times)

    def stream(self, *, window: int = 16, camera: CameraModel | None = None) -> PointStream:
        """Open a live stream; see `PointTracker.stream` and `CoTrackerStream`."""
        predictor = self._predictor(
            'CoTrackerOnlinePredictor',
            self._config.online_checkpoint,
            self._config.online_window,
            False,
        )
        return CoTrackerStream(self, predictor, window, self._config.restart_after)

    def advance(
        self, predictor: Any, frames: list[NDArray[np.uint8]], queries: NDArray | None
    ) -> tuple[Any, Any]:
        """Give the online predictor images; `queries` begin a new stream."""
        with self._running(predictor, never):
            if queries is not None:
                return predictor(
                    video_chunk=self._tensor(np.stack(frames)),
                    is_first_step=True,
                    queries=self._queries(queries),
                )
            return predictor(video_chunk=self._tensor(np.stack(frames)))

    def _predictor(self, name: str, checkpoint: str, window: int, offline: bool) -> Any:
        if not Path(checkpoint).is_file():
            which = 'checkpoint' if offline else 'online_checkpoint'
            weights = 'scaled_offline.pth' if offline else 'scaled_online.pth'
            raise BackendError(
                f"cotracker: {which} '{checkpoint}' is no file; get {weights} of "
                'facebook/cotracker3 and name its path'
            )
        try:
            predictor = getattr(self._predictors, name)(
                checkpoint=checkpoint, offline=offline, window_len=window
            )
        except Exception as error:  # whatever the package raises on wrong weights
            raise BackendError(f'cotracker: {name} with {checkpoint}: {error!r}') from error
        return predictor.to(self._config.device)

    def _tensor(self, frames: NDArray[np.uint8]) -> Any:
        """Return (1, T, 3, H, W) float of 0..255."""
        tensor = self._torch.from_numpy(np.ascontiguousarray(frames))
        return tensor.permute(0, 3, 1, 2)[None].float().to(self._config.device)

    def _queries(self, points: NDArray[np.float32]) -> Any:
        """Return (1, N, 3): the first frame's number, u, v."""
        rows = np.concatenate([np.zeros((len(points), 1), np.float32), points], axis=1)
        return self._torch.from_numpy(rows)[None].to(self._config.device)

    @contextmanager
    def _running(self, predictor: Any, cancelled: Cancelled) -> Iterator[None]:
        """Poll `cancelled` before every layer; turn what the model raises into BackendError."""

        def poll(*_: Any) -> None:
            if cancelled():
                raise CancelledError('cancelled while CoTracker followed points')

        poll()
        hooks = [module.register_forward_pre_hook(poll) for module in predictor.modules()]
        try:
            with self._torch.no_grad():
                yield
        except CancelledError:
            raise
        except Exception as error:
            raise BackendError(f'cotracker failed: {error!r}') from error
        finally:
            for hook in hooks:
                hook.remove()


class CoTrackerStream:
    """A live stream; tracks come in steps of half the model's window.

    Between steps `push` returns the window as it was: its newest time tells how far it goes.
    Points that are hidden where the model begins anew go on from where it supposed them.

    Attributes:
        num_dropped: images left out since the stream began.
    """

    def __init__(
        self, tracker: CoTracker, predictor: Any, window: int, restart_after: int
    ) -> None:
        """Open it.

        Args:
            tracker: that calls the model.
            predictor: online one, of this stream alone.
            window: images that tracks are kept of.
            restart_after: images after which the model begins anew.

        Raises:
            InvalidInputError: no such window.
        """
        self.num_dropped = 0
        self._tracker, self._predictor, self._restart_after = tracker, predictor, restart_after
        self._step = int(predictor.step)
        self._window = TrackWindow(window)
        self._recent: deque[tuple[float, NDArray[np.uint8]]] = deque(maxlen=2 * self._step)
        self._asked: NDArray[np.float32] | None = None
        self._num_seen = 0
        self._newest = -np.inf

    def reset(self, queries: NDArray, *, regions: NDArray | None = None) -> NDArray[np.uint32]:
        """Follow other points from the next image on; see `PointStream.reset`."""
        points = np.array(queries, dtype=np.float32)
        if points.ndim != 2 or points.shape[1] != 2:
            raise InvalidInputError(f'queries are {points.shape}, expected (N, 2)')
        ids = self._window.restart(len(points))
        self._asked, self._num_seen, self._newest = points, 0, -np.inf
        self._recent.clear()
        return ids

    def push(
        self, frame: NDArray[np.uint8], stamp: float, depth: NDArray[np.float32] | None = None
    ) -> PointTracks:
        """Follow into one more image; see `PointStream.push`.

        Raises:
            InvalidInputError: nothing was reset, or the image does not fit.
            BackendError: the model failed.
        """
        if self._asked is None:
            raise InvalidInputError('nothing to follow: reset the stream with points first')
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise InvalidInputError(
                f'the image is {frame.shape} {frame.dtype}, expected (H, W, 3) uint8'
            )
        if self._recent and frame.shape != self._recent[-1][1].shape:
            raise InvalidInputError(
                f'the image is {frame.shape}, the one before {self._recent[-1][1].shape}'
            )
        if not np.isfinite(stamp):
            raise InvalidInputError(f'stamp {stamp}')
        if stamp <= self._newest:
            self.num_dropped += 1
            return self._window.tracks()
        if not self._num_seen:
            size = (frame.shape[1], frame.shape[0])
            self._begin(frame, stamp, checked_queries(self._asked, size))
            sure = np.ones(len(self._asked), np.float32)
            self._window.add(stamp, FollowedPixels(self._asked, sure))
        else:
            self._go_on(frame, stamp)
        return self._window.tracks()

    def _begin(self, frame: NDArray[np.uint8], stamp: float, points: NDArray[np.float32]) -> None:
        self._tracker.advance(self._predictor, [frame], points)
        self._recent.clear()
        self._recent.append((stamp, frame))
        self._num_seen, self._newest = 1, stamp

    def _go_on(self, frame: NDArray[np.uint8], stamp: float) -> None:
        self._recent.append((stamp, frame))
        self._num_seen, self._newest = self._num_seen + 1, stamp
        if self._num_seen % self._step or self._num_seen < 2 * self._step:
            return
        assert self._asked is not None
        frames = [image for _, image in self._recent]
        tracks, visible = self._tracker.advance(self._predictor, frames, None)
        points, confidence = _arrays(
            tracks[:, -len(frames) :], visible[:, -len(frames) :], (len(frames), len(self._asked))
        )
        known = self._window.newest
        for (time, _), where, sure in zip(self._recent, points, confidence):
            if time > known:
                self._window.add(time, FollowedPixels(where, sure))
        if self._num_seen >= self._restart_after:
            limit = np.array([frame.shape[1], frame.shape[0]], dtype=np.float32) - 1
            self._begin(frame, stamp, np.clip(points[-1], 0, limit))


def _load(name: str) -> Any:
    """Import a module of the user's install.

    Raises:
        BackendError: it is not there; with the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = (error.name or name).partition('.')[0]
        command = INSTALL_COMMANDS.get(package)
        hint = f'; install it with: {command}' if command else ''
        raise BackendError(f"tracking backend 'cotracker': {error}{hint}") from error


def _arrays(
    tracks: Any, visible: Any, expected: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (T, N, 2) points and (T, N) confidence of the model's answer.

    Raises:
        BackendError: it is of another shape.
    """
    if tuple(tracks.shape) != (1, *expected, 2) or visible.shape[1:3] != tracks.shape[1:3]:
        raise BackendError(
            f'cotracker answered with {tuple(tracks.shape)} and {tuple(visible.shape)}, expected '
            f'{(1, *expected, 2)}'
        )
    points = tracks[0].float().cpu().numpy()
    confidence = visible[0].float().cpu().numpy().reshape(expected)
    known = np.isfinite(points).all(axis=2)
    return np.where(known[..., None], points, 0.0), np.clip(confidence, 0.0, 1.0) * known
