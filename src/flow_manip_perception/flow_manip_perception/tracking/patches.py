# SPDX-License-Identifier: Apache-2.0
"""Following image patches: pyramidal Lucas and Kanade (Bouguet 2001), checked both ways.

What has no texture is helped by dense inverse search (DIS, Kroeger et al. 2016), which carries
motion in from the edges around it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Grey = NDArray[np.uint8]

PATCH = 9  # [px] side of patches that are compared


def grey(frame: NDArray[np.uint8]) -> Grey:
    """Return (H, W) uint8 of (H, W, 3) uint8 RGB."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def follow_patches(
    before: Grey, after: Grey, points: Points, guess: Points, window: int, levels: int
) -> tuple[Points, NDArray[np.bool_]]:
    """Follow patches of `window` px with `levels` levels above the image.

    Returns:
        (N, 2) where the patches at `points` went, looking around `guess`, and (N,) which held.
    """
    if not len(points):
        return points.copy(), np.zeros(0, dtype=bool)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        points.reshape(-1, 1, 2),
        guess.reshape(-1, 1, 2).astype(np.float32, copy=True),
        winSize=(window, window),
        maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    found = found[:, 0]
    held = (status[:, 0] == 1) & np.isfinite(found).all(axis=1)
    return np.where(held[:, None], found, points).astype(np.float32), held


def follow_both_ways(
    before: Grey, after: Grey, points: Points, guess: Points, window: int, levels: int
) -> tuple[Points, NDArray[np.float32]]:
    """Return (N, 2) where patches went and (N,) how far following back misses them [px]."""
    there, held = follow_patches(before, after, points, guess, window, levels)
    back, held_back = follow_patches(
        after, before, there, points + (there - guess), window, levels
    )
    miss = np.linalg.norm(back - points, axis=1).astype(np.float32)
    return there, np.where(held & held_back, miss, np.float32(np.inf))


def dense_motion(
    before: Grey, after: Grey, points: Points, margin: int = 48
) -> tuple[Points, NDArray[np.float32]]:
    """Follow by DIS in the part of the image around the points.

    Returns:
        As `follow_both_ways`.
    """
    height, width = before.shape
    low = np.clip(points.min(axis=0) - margin, 0, [width - 1, height - 1]).astype(int)
    high = np.clip(points.max(axis=0) + margin, 0, [width - 1, height - 1]).astype(int) + 1
    # Dense search needs room for its patches at every scale.
    low = np.maximum(np.minimum(low, [width - 64, height - 64]), 0)
    high = np.minimum(np.maximum(high, low + 64), [width, height])
    box = np.s_[low[1] : high[1], low[0] : high[0]]
    first, second = (np.ascontiguousarray(image[box]) for image in (before, after))
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    forth, back = search.calc(first, second, None), search.calc(second, first, None)
    shift = sample(forth, points - low)
    there = (points + shift).astype(np.float32)
    miss = np.linalg.norm(shift + sample(back, there - low), axis=1)
    return there, miss.astype(np.float32)


def sample(image: NDArray, points: Points) -> NDArray[np.float32]:
    """Return (N,) or (N, C) values of an image between pixels; its border goes on outside."""
    maps = np.ascontiguousarray(points, dtype=np.float32)[None]
    found = cv2.remap(
        image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return found[0].astype(np.float32)


def cut_patches(gray: Grey, points: Points) -> NDArray[np.float32]:
    """Return (N, PATCH * PATCH) patches around points, with mean 0 and length 1 (0 if flat)."""
    if not len(points):
        return np.zeros((0, PATCH * PATCH), dtype=np.float32)
    reach = np.arange(PATCH, dtype=np.float32) - PATCH // 2
    u = points[:, 0, None, None] + reach[None, None, :] + np.zeros((1, PATCH, 1), np.float32)
    v = points[:, 1, None, None] + reach[None, :, None] + np.zeros((1, 1, PATCH), np.float32)
    # remap takes maps of at most 32767 rows or columns.
    flat = np.stack([u.reshape(len(points), -1), v.reshape(len(points), -1)], axis=-1)
    parts = cv2.remap(
        gray, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    parts -= parts.mean(axis=1, keepdims=True)
    length = np.linalg.norm(parts, axis=1, keepdims=True)
    return parts / np.maximum(length, 1e-6) * (length > PATCH)


def texture_of(gray: Grey, points: Points) -> NDArray[np.float32]:
    """Return (N,) smaller eigenvalue of the structure tensor (Shi and Tomasi 1994), per pixel.

    In squared grey levels; 0 on plain surface, small along a straight edge.
    """
    return sample(cv2.cornerMinEigenVal(gray, PATCH, 3) * (255.0 * 255.0), points)


def local_motion(
    start: Points, end: Points, at: Points, neighbours: int = 12
) -> NDArray[np.float32]:
    """Return (M, 2) where points go that move as those nearest to them do.

    The median shift of the nearest `neighbours` of N points that went from `start` to `end`; with
    none, they stay.
    """
    if not len(start) or not len(at):
        return at.copy()
    shift = end - start
    if len(start) <= neighbours:
        return (at + np.median(shift, axis=0)).astype(np.float32)
    away = ((at[:, None] - start[None]) ** 2).sum(axis=2)
    nearest = np.argpartition(away, neighbours, axis=1)[:, :neighbours]
    return (at + np.median(shift[nearest], axis=1)).astype(np.float32)
