# SPDX-License-Identifier: Apache-2.0
"""Places that look otherwise once something has left them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.video import Video
from flow_manip_learning.engine.static_view import StaticView

CHANGE = 12.0  # [levels] largest of the three colours
LOOKS = 12  # frames that are compared, spread over the rest of the clip
LASTING = 0.45  # share of them that must differ: what only passes by covers less
SMALLEST = 12  # [px] of a place


def vacated_places(video: Video, view: StaticView, since: int = 1) -> NDArray[np.bool_]:
    """Return (H, W) pixels of the first frame whose place changed for most of the rest.

    Args:
        video: to look at.
        view: the camera's part, in its pixels.
        since: first frame that counts.
    """
    width, height = video.size
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    pixels = grid.reshape(-1, 2).astype(np.float64)
    first = cv2.GaussianBlur(video.frames[0], (5, 5), 0).astype(np.int16)
    steps = np.unique(
        np.linspace(min(since, video.num_frames - 1), video.num_frames - 1, LOOKS).round()
    ).astype(int)
    count = np.zeros((height, width))
    for step in steps:
        frame = cv2.GaussianBlur(video.frames[step], (5, 5), 0)
        if view.moved > 0.0:
            at = view.at(int(step), pixels).reshape(height, width, 2).astype(np.float32)
            frame = cv2.remap(frame, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
        count += np.abs(frame.astype(np.int16) - first).max(axis=-1) > CHANGE
    changed = (count >= LASTING * len(steps)).astype(np.uint8)
    changed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    number, parts, stats, _ = cv2.connectedComponentsWithStats(changed)
    large = [n for n in range(1, number) if stats[n, cv2.CC_STAT_AREA] >= SMALLEST]
    return np.isin(parts, large)


def place_under(places: NDArray[np.bool_], points: NDArray, least: float = 0.3) -> NDArray:
    """Return (H, W) the connected places that hold a good share of (N, 2) points.

    Args:
        places: (H, W) from `vacated_places`.
        points: (N, 2) pixels.
        least: share of the points that one place must hold.
    """
    count, parts = cv2.connectedComponents(places.astype(np.uint8))
    columns, rows = np.rint(points).astype(int).T
    inside = np.bincount(parts[rows, columns], minlength=count)[1:]
    return np.isin(parts, 1 + np.flatnonzero(inside >= max(1, least * len(points))))
