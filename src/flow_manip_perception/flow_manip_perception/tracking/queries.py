# SPDX-License-Identifier: Apache-2.0
"""Which points of the first frame are followed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError

CANDIDATES_PER_POINT = 24
"""Farthest points are chosen among this many times as many pixels drawn at random: spacing
suffers by under a tenth, and large masks cost no more than small ones."""


def grid_queries(size: tuple[int, int], count: int = 32) -> NDArray[np.float32]:
    """Spread points evenly over the whole image (NovaFlow: 32 x 32).

    Args:
        size: (width, height) [px].
        count: rows and columns.

    Returns:
        (count * count, 2) pixels (u, v), the middles of equal cells, row by row.

    Raises:
        InvalidInputError: there is no such grid.
    """
    if count < 1 or min(size) < count:
        raise InvalidInputError(f'no grid of {count} x {count} in {size[0]} x {size[1]} px')
    u, v = ((np.arange(count) + 0.5) * length / count - 0.5 for length in size)
    return np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2).astype(np.float32)


def farthest_queries(
    mask: NDArray[np.bool_],
    max_points: int = 1024,
    ratio: float = 0.01,
    *,
    min_points: int = 1,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Spread points over a mask, each as far as can be from those before it.

    Farthest-point sampling (Gonzalez 1985) with Dream2Flow's numbers: one point per `1 / ratio`
    pixels, at most `max_points`. The first k points are well spread for every k.

    Args:
        mask: (H, W) pixels of one object.
        max_points: at most.
        ratio: points per pixel of the mask.
        min_points: at least, where the mask has as many pixels.
        seed: of the first point and of the pixels that large masks are thinned to.

    Returns:
        (N, 2) pixels (u, v) within the mask, no two alike.

    Raises:
        InvalidInputError: the mask is empty or not of two dimensions, or the numbers make no
            sense.
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 2 or not mask.any():
        raise InvalidInputError(f'a mask of {mask.shape} with {int(mask.sum())} pixels has none')
    if not 1 <= min_points <= max_points or not 0 < ratio <= 1:
        raise InvalidInputError(
            f'{min_points} to {max_points} points at {ratio} per pixel are no sampling'
        )
    rows, columns = np.nonzero(mask)
    pixels = np.stack([columns, rows], axis=1).astype(np.float32)
    count = min(max_points, max(min_points, int(np.ceil(ratio * len(pixels)))), len(pixels))
    rng = np.random.default_rng(seed)
    if len(pixels) > CANDIDATES_PER_POINT * count:
        pixels = pixels[rng.choice(len(pixels), CANDIDATES_PER_POINT * count, replace=False)]
    return _farthest(pixels, count, int(rng.integers(len(pixels))))


def _farthest(pixels: NDArray[np.float32], count: int, first: int) -> NDArray[np.float32]:
    """Choose `count` of (M, 2) points, beginning with the one at index `first`."""
    chosen = np.empty(count, dtype=np.int64)
    u, v = np.ascontiguousarray(pixels[:, 0]), np.ascontiguousarray(pixels[:, 1])
    nearest = np.full(len(pixels), np.inf, dtype=np.float32)
    index = first
    for k in range(count):
        chosen[k] = index
        np.minimum(nearest, (u - u[index]) ** 2 + (v - v[index]) ** 2, out=nearest)
        index = int(nearest.argmax())
    return pixels[chosen]
