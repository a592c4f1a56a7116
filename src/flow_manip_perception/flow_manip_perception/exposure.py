# SPDX-License-Identifier: Apache-2.0
"""Brightness and colour that change from frame to frame, put back to the first frame's."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.video import Video

NOTICEABLE = 0.03  # relative change of a channel that is put right; less is the scene's own
SATURATED = 250  # brighter pixels do not tell
DARK = 8  # darker ones neither
THIN = 4  # every so many rows and columns are looked at


def channel_gains(frames: NDArray[np.uint8], moving: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (T, 3) the median brightness of each channel over the first frame's.

    Args:
        frames: (T, H, W, 3) RGB.
        moving: (H, W) True where pixels are not compared.
    """
    first = frames[0, ::THIN, ::THIN].astype(np.float64)
    still = ~moving[::THIN, ::THIN, None] & (first > DARK) & (first < SATURATED)
    gains = np.ones((len(frames), 3))
    for step, frame in enumerate(frames[1:], start=1):
        now = frame[::THIN, ::THIN].astype(np.float64)
        told = still & (now > DARK) & (now < SATURATED)
        for channel in range(3):
            here = told[..., channel]
            if here.sum() >= 100:
                gains[step, channel] = np.median(
                    now[..., channel][here] / first[..., channel][here]
                )
    return gains


def evenly_lit(video: Video, moving: NDArray[np.bool_]) -> Video:
    """Return the video with every frame in the first frame's brightness and colour.

    Trackers compare pixels; a lamp that flickers looks like motion to them. Frames that differ by
    less than 3 % are left alone.

    Args:
        video: to look at.
        moving: (H, W) what moves in the first frame.
    """
    gains = channel_gains(video.frames, moving)
    changed = np.flatnonzero((np.abs(gains - 1.0) > NOTICEABLE).any(axis=1))
    if not len(changed):
        return video
    frames = video.frames.copy()
    levels = np.arange(256)[:, None]
    for step in changed:
        table = np.clip(np.rint(levels / gains[step]), 0, 255).astype(np.uint8)
        frames[step] = cv2.LUT(frames[step], table[:, None])
    return replace(video, frames=frames)
