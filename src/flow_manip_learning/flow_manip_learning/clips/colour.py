# SPDX-License-Identifier: Apache-2.0
"""Cutting things out of their surroundings by colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.observation import Mask

GRABCUT_ROUNDS = 5


def mask_in_box(color: NDArray[np.uint8], box: tuple[int, int, int, int], label: str) -> Mask:
    """Cut the thing in a box out of what is around it by colour (GrabCut, Rother et al. 2004).

    Args:
        color: (H, W, 3) uint8 RGB.
        box: (x, y, width, height) [px], a little larger than the thing.
        label: words for it.

    Raises:
        InvalidInputError: the box is not inside the image, or nothing stands out in it.
    """
    height, width = color.shape[:2]
    x, y, w, h = box
    if min(x, y) < 0 or min(w, h) < 8 or x + w > width or y + h > height:
        raise InvalidInputError(
            f'box {box} does not lie within {width} x {height} px, at least 8 a side'
        )
    labels = np.zeros((height, width), np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(
        np.ascontiguousarray(color[..., ::-1]),
        labels,
        box,
        background,
        foreground,
        GRABCUT_ROUNDS,
        cv2.GC_INIT_WITH_RECT,
    )
    pixels = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8))
    if count < 2:
        raise InvalidInputError(f"nothing stands out in the box {box} of '{label}'")
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return Mask(parts == largest, label)
