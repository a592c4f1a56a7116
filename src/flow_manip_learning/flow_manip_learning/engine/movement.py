# SPDX-License-Identifier: Apache-2.0
"""How far followed points move by themselves, and which of them can be believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.video import Video
from flow_manip_learning.engine.config import DetectionConfig
from flow_manip_learning.engine.static_view import StaticView
from flow_manip_perception.tracking import never, PointTracker

Array = NDArray[np.float64]
PATCH = 5  # [px] whose mean colour is compared
CHECKS = 8  # frames that a point may last be seen in, spread over the clip
RETURN_SLACK = 3.0  # [px of the working frame]
NOISE = 2.0  # [levels] of change that means nothing


@dataclass(frozen=True)
class Movement:
    """What N points do.

    Attributes:
        start: (N, 2) in the first frame [px of the video].
        displacement: (N,) from the first frame to `last`, the camera's motion taken out [px of
            the working frame]; NaN where that is not known.
        early: (N,) the same, up to the frame of early movers.
        last: (N,) of a few frames spread over the clip that show the point: the last, or the one
            in which it is farthest away.
        believable: (N,) seen often enough, and not dragged along by what passed over it.
    """

    start: Array
    displacement: Array
    early: Array
    last: NDArray[np.int64]
    believable: NDArray[np.bool_]


def measure_movement(
    video: Video,
    tracks: PointTracks,
    view: StaticView,
    tracker: PointTracker,
    config: DetectionConfig,
    cancelled: Callable[[], bool] = never,
) -> Movement:
    """Measure how points of a video move by themselves.

    Args:
        video: that was tracked in, of any size.
        tracks: of points of its first frame.
        view: the camera's part, in the same pixels.
        tracker: follows those that moved back to where they came from.
        config: limits.
        cancelled: polled while tracking.

    Raises:
        CancelledError: as `cancelled` says.
    """
    steps, count = tracks.confidence.shape
    seen = tracks.visible
    checks = np.unique(np.linspace(0, steps - 1, CHECKS + 1).round().astype(int))
    start = tracks.points[0].astype(np.float64)
    scale = config.frame_size / np.array(video.size, dtype=np.float64)
    static = np.array([view.at(step, start) for step in range(steps)])
    away = np.linalg.norm((tracks.points - static) * scale, axis=-1)
    # Frames later by a little count as much: a thing that came to rest is seen best at last.
    farness = np.where(seen[checks], away[checks] + 0.02 * checks[:, None], -1.0)
    last = checks[farness.argmax(axis=0)]
    if not config.put_back:
        last = np.full(count, steps - 1)
    displacement = np.where(
        seen[0] & seen[last, np.arange(count)], away[last, np.arange(count)], np.nan
    )
    # A point that is hidden that early was covered, not moved.
    begin = min(config.early_frame, steps - 1)
    early = np.where(seen[begin], np.nan_to_num(away[begin]), 0.0)
    believable = seen.mean(axis=0) >= config.min_seen
    believable &= np.isfinite(displacement)
    moved = believable & (np.nan_to_num(displacement) > config.early_motion)
    dragged = moved & _dragged(video, tracks, static, last, config)
    moved &= ~dragged
    if config.max_return > 0 and moved.any():
        back = _return_distance(video, tracks, last, moved, tracker, scale, cancelled)
        allowed = np.maximum(config.max_return * np.nan_to_num(displacement), RETURN_SLACK)
        dragged |= moved & ~(back <= allowed)
    return Movement(start, displacement, early, last, believable & ~dragged)


def _return_distance(
    video: Video,
    tracks: PointTracks,
    last: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    tracker: PointTracker,
    scale: Array,
    cancelled: Callable[[], bool],
) -> Array:
    """Follow points from their last frame back to the first.

    Background that a hand dragged along comes back with the hand, not to where it was.

    Returns:
        (N,) how far from its start each ends [px of the working frame]; inf for what was not
        chosen, or is not seen at the first frame when it comes back.
    """
    distance = np.full(len(last), np.inf)
    width, height = video.size
    for step in np.unique(last[chosen]):
        if step == 0:
            continue
        indices = np.flatnonzero(chosen & (last == step))
        begin = tracks.points[step, indices].clip([0, 0], [width - 1, height - 1])
        times = video.times[step] - video.times[step::-1]
        reverse = Video(video.frames[step::-1], times, source=video.source)
        back = tracker.track(reverse, begin, cancelled=cancelled)
        away = np.linalg.norm((back.points[-1] - tracks.points[0, indices]) * scale, axis=-1)
        distance[indices] = np.where(back.visible[-1], away, np.inf)
    return distance


def _dragged(
    video: Video,
    tracks: PointTracks,
    static: Array,
    last: NDArray[np.int64],
    config: DetectionConfig,
) -> NDArray[np.bool_]:
    """Say which points were dragged along by something in front of them.

    A thing that moves leaves its place and looks the same elsewhere. Background that was dragged
    lies on something of another colour, and its own place is what it was.
    """
    columns = np.arange(tracks.points.shape[1])
    there = np.zeros((len(columns), 3))
    place = np.zeros((len(columns), 3))
    first = _colours(video.frames[0], tracks.points[0])
    for step in np.unique(last):
        chosen = columns[last == step]
        there[chosen] = _colours(video.frames[step], tracks.points[step, chosen])
        place[chosen] = _colours(video.frames[step], static[step, chosen])
    recolour = np.abs(there - first).mean(axis=1)
    vacated = np.abs(place - first).mean(axis=1)
    wrong = np.zeros(len(columns), dtype=bool)
    if config.max_recolour > 0:
        wrong |= recolour > config.max_recolour
    if config.min_vacated > 0:
        usual = max(NOISE, float(np.median(vacated)))
        wrong |= vacated < config.min_vacated * usual
    return wrong


def _colours(frame: NDArray[np.uint8], pixels: NDArray) -> Array:
    """Return the (N, 3) mean colour around (N, 2) pixels."""
    blurred = cv2.blur(frame, (PATCH, PATCH))
    at = np.nan_to_num(np.asarray(pixels, dtype=np.float32)).reshape(-1, 1, 2)
    found = cv2.remap(
        blurred, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return found.reshape(-1, 3).astype(np.float64)
