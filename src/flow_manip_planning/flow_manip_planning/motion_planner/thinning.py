# SPDX-License-Identifier: Apache-2.0
"""Fewer points on a way that is almost straight in pieces."""

from __future__ import annotations

import numpy as np

from flow_manip_planning.kinematics import Array


def thin(path: Array, tolerance: float) -> Array:
    """Leave points out of (K, J) that lie closer than `tolerance` to a line between those kept.

    Douglas and Peucker (1973), the distance being the largest difference of a joint.

    Returns:
        (N, J), N <= K; first and last as given.
    """
    keep = np.zeros(len(path), dtype=bool)
    keep[[0, -1]] = True
    spans = [(0, len(path) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distance = _distances(path[first : last + 1])
        worst = int(distance.argmax())
        if distance[worst] > tolerance:
            middle = first + worst
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return path[keep]


def _distances(points: Array) -> Array:
    """Return how far each of (K, J) points is from the line from the first to the last [rad]."""
    line = points[-1] - points[0]
    squared = float(line @ line)
    share = (points - points[0]) @ line / squared if squared > 0 else np.zeros(len(points))
    nearest = points[0] + np.clip(share, 0.0, 1.0)[:, None] * line
    return np.abs(points - nearest).max(axis=1)
