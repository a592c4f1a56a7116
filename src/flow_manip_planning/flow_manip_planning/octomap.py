# SPDX-License-Identifier: Apache-2.0
"""Voxels in the binary serialisation of OctoMap (Hornung et al. 2013), as messages carry it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DEPTH = 16  # levels of OctoMap's trees
HALF = 1 << (DEPTH - 1)  # cell 0 starts in the middle of the tree
LEAF, INNER = 2, 3  # two bits per child; 0 is unknown, 1 free


def binary_octree(cells: NDArray[np.int64]) -> bytes:
    """Serialise occupied cells without a header.

    Every inner node is two bytes, two bits for each of its eight children; then come the inner
    ones among them, depth first. Child 1 is towards x, 2 towards y, 4 towards z.

    Args:
        cells: (M, 3) indices; cell i covers i..i+1 times the resolution along its axis.

    Returns:
        the bytes; none for no cells.

    Raises:
        ValueError: a cell is outside the 2^16 of an axis.
    """
    if len(cells) == 0:
        return b''
    keys = np.asarray(cells, dtype=np.int64) + HALF
    if keys.min() < 0 or keys.max() >= 2 * HALF:
        raise ValueError(f'cells reach from {cells.min()} to {cells.max()}, beyond +-{HALF}')
    codes = np.zeros(len(keys), dtype=np.int64)
    for bit in range(DEPTH):
        for axis in range(3):
            codes |= ((keys[:, axis] >> bit) & 1) << (3 * bit + axis)
    out = bytearray()
    _write(np.unique(codes), DEPTH - 1, out)
    return bytes(out)


def _write(codes: NDArray[np.int64], level: int, out: bytearray) -> None:
    """Write a node from the sorted (N,) Morton codes of its leaves, then its inner children."""
    children, first = np.unique((codes >> (3 * level)) & 7, return_index=True)
    state = INNER if level else LEAF
    pairs = sum(state << (2 * int(child)) for child in children)
    out += pairs.to_bytes(2, 'little')
    if level:
        for part in np.split(codes, first[1:]):
            _write(part, level - 1, out)
