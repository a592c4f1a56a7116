# SPDX-License-Identifier: Apache-2.0
"""The masks over the first image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.observation import Mask, Observation
from flow_manip_task.drawing.canvas import ACCENT, Canvas, focus_box, label_color


def draw_masks(observation: Observation, masks: Sequence[Mask], title: str) -> NDArray[np.uint8]:
    """Draw the object that moves (orange) and its references, with words and scores.

    Returns:
        RGB picture.
    """
    corners = [_corners(mask) for mask in masks]
    height, width = observation.depth.shape
    canvas = Canvas(observation.color, 0.45, focus_box(corners, width, height, least=0.6))
    colors = [ACCENT] + [label_color(i) for i in range(len(masks) - 1)]
    for mask, color in zip(masks, colors):
        canvas.tint(mask.pixels, color, 0.45)
    for mask, color in zip(masks, colors):
        x, y, width, _ = mask.box
        text = f'{mask.label}  {mask.score:.2f}'
        canvas.text((x + width / 2, y), text, back=color, anchor='mm', bold=True, offset=(0, -30))
    canvas.caption(title, 'what the words were found to mean')
    return canvas.pixels


def _corners(mask: Mask) -> list[tuple[int, int]]:
    x, y, width, height = mask.box
    return [(x, y), (x + width, y + height)]
