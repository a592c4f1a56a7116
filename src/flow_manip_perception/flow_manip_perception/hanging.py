# SPDX-License-Identifier: Apache-2.0
"""Leaving out what does not stand on the support: the robot's hand over it, an arm reaching in.

A cluster stands if it comes down near the support, or touches something that stands, or if what
hides its foot is nearer to the camera than itself. Anything else hangs in the air. A cluster
that the workspace's border cuts open along much of its outline belongs to something outside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_perception.clusters import touching
from flow_manip_perception.foreground import Foreground, View

FOOT = 0.03  # what is seen of a standing object begins below this [m] ...
FOOT_SHARE = 0.3  # ... or below this share of its height: a ball hides its foot


def standing_objects(view: View, label: NDArray[np.int32], foreground: Foreground) -> list[int]:
    """Return the numbers of the clusters in `label` that stand on the support or on each other.

    Pieces of the support itself (a wall of the bin, a crease of its floor) are left out too:
    they wear its paint, and are not clearly raised or go on beyond the workspace.
    """
    count = int(label.max())
    foot, limit = np.full(count + 1, np.inf), np.full(count + 1, FOOT)
    for number in range(1, count + 1):
        heights = view.heights[label == number]
        heights = heights[np.isfinite(heights)]
        if len(heights):
            foot[number], top = np.percentile(heights, [4, 98])
            limit[number] = max(FOOT, FOOT_SHARE * top)
    stands = foot < limit
    links = [pair for pair, (_, close) in touching(label, view, 0.02).items() if close >= 6]
    for number in range(1, count + 1):
        if not stands[number] and _foot_hidden(view, label, number):
            stands[number] = True
    for _ in range(count):
        before = stands.copy()
        for a, b in links:
            # Only what rises from a standing thing rests on it.
            if stands[a] and not stands[b]:
                stands[b] = True
            elif stands[b] and not stands[a]:
                stands[a] = True
        if (before == stands).all():
            break
    return [
        n
        for n in range(1, count + 1)
        if stands[n]
        and not _cut_open(view, label == n)
        and not _of_the_support(view, label == n, foreground)
    ]


def _of_the_support(view: View, mask: NDArray, foreground: Foreground) -> bool:
    """Say whether a cluster in the support's paint is a part of the support."""
    if np.percentile(foreground.contrast[mask], 60) > 1.0:
        return False
    if foreground.raised[mask].mean() < 0.3:
        return True
    ring = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    with np.errstate(invalid='ignore'):
        goes_on = ring & ~view.inside & ~(view.heights < 0.01)
    return bool(goes_on.sum() > 0.1 * ring.sum())


def _foot_hidden(view: View, label: NDArray, number: int) -> bool:
    """Say whether something nearer to the camera covers most of what is below the cluster."""
    mask = label == number
    below = np.zeros_like(mask)
    below[4:] = mask[:-4] & ~mask[4:]
    if not below.any():
        return True
    with np.errstate(invalid='ignore'):
        ahead = view.points @ view.ahead
        depth_here = np.nanmedian(ahead[mask])
        nearer = below & (label > 0) & (ahead < depth_here)
    unknown = below & ~np.isfinite(view.heights)
    rest = int(below.sum() - unknown.sum())
    return rest == 0 or nearer.sum() > 0.3 * rest


def _cut_open(view: View, mask: NDArray) -> bool:
    """Say whether a raised thing goes on beyond the workspace along much of its outline."""
    ring = (cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~mask
    with np.errstate(invalid='ignore'):
        outside = ring & ~view.inside & (view.heights > 0.01)
    return bool(outside.sum() > 0.35 * max(ring.sum(), 1))
