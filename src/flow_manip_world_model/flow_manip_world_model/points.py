# SPDX-License-Identifier: Apache-2.0
"""Choosing the points of an object that carry its flow."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow_manip_core.errors import InvalidInputError, TooFewPointsError
from flow_manip_core.observation import Mask

MAX_OUTLIER_SAMPLE = 6000  # points; more do not change what is an outlier
NEIGHBOURS = 8
OUTLIER_SPREAD = 4.0  # standard deviations of the distance to the neighbours


def grow_mask(pixels: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Dilate an (H, W) mask by `radius` pixels; a negative radius erodes it."""
    size = 2 * abs(radius) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    operation = cv2.dilate if radius > 0 else cv2.erode
    image = pixels.astype(np.uint8)
    border = cv2.BORDER_CONSTANT
    return operation(image, kernel, borderType=border, borderValue=0).astype(bool)


def object_points(
    points_world: NDArray[np.float64], mask: Mask, *, erosion: int = 2, minimum: int = 40
) -> NDArray[np.float64]:
    """Return the points of an object that can be trusted.

    Pixels at the mask's edge mix the object with what is behind it, so the mask is eroded as far
    as `minimum` points remain. Points far from their neighbours are dropped.

    Args:
        points_world: (H, W, 3) of the observation, NaN where unknown [m].
        mask: of the object.
        erosion: at most this many pixels.
        minimum: fewer points than these carry no flow.

    Returns:
        (N, 3) world points, N >= minimum.

    Raises:
        TooFewPointsError: there are fewer.
        InvalidInputError: the mask has another size than the image.
    """
    if mask.pixels.shape != points_world.shape[:2]:
        raise InvalidInputError(f'mask is {mask.pixels.shape}, the image {points_world.shape[:2]}')
    known = np.isfinite(points_world[..., 2])
    for radius in range(erosion, -1, -1):
        points = points_world[grow_mask(mask.pixels, -radius) & known]
        if len(points) >= minimum:
            kept = drop_outliers(points)
            if len(kept) >= minimum:
                return kept
    raise TooFewPointsError(
        f"'{mask.label}' shows {len(points)} points with depth on {int(mask.pixels.sum())} "
        'pixels; '
        f'{minimum} are needed'
    )


def drop_outliers(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop those of (N, 3) points that lie far from their neighbours compared with the others."""
    if len(points) <= NEIGHBOURS:
        return points
    stride = -(-len(points) // MAX_OUTLIER_SAMPLE)
    points = points[::stride]
    distances, _ = cKDTree(points).query(points, k=NEIGHBOURS + 1)
    mean = distances[:, 1:].mean(axis=1)
    return points[mean <= np.median(mean) + OUTLIER_SPREAD * mean.std()]


def farthest_points(points: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Choose `count` of (N, 3) points that cover them evenly.

    Farthest-point sampling (Gonzalez, 1985). The first is the one closest to the centroid, each
    next one the farthest from those chosen, so that every beginning of the result covers the
    object too.

    Returns:
        (min(count, N),) indices, all different.
    """
    count = min(count, len(points))
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())
    nearest = np.full(len(points), np.inf)
    for i in range(1, count):
        last = points[chosen[i - 1]]
        np.minimum(nearest, ((points - last) ** 2).sum(axis=1), out=nearest)
        nearest[chosen[i - 1]] = -1.0  # doubles must not be chosen twice
        chosen[i] = int(nearest.argmax())
    return chosen
