# SPDX-License-Identifier: Apache-2.0
"""Drawn flows beside the truth, on the picture that they start from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_learning.training.validation import Drawn

TRUE, DRAWN = (40, 200, 40), (240, 60, 40)  # RGB
POINTS = 12
WIDTH = 384  # [px] of a picture
_BAND = 22  # [px] for the words


def draw_pictures(drawn: Sequence[Drawn]) -> list[NDArray[np.uint8]]:
    """Return one (H, W, 3) RGB picture per flow: true paths green, drawn ones red."""
    return [_picture(each) for each in drawn]


def save_sheet(pictures: Sequence[NDArray[np.uint8]], path: Path, columns: int = 3) -> None:
    """Write pictures side by side as one PNG."""
    size = np.max([picture.shape for picture in pictures], axis=0)
    empty = np.full(size, 255, dtype=np.uint8)
    cells = []
    for picture in pictures:
        cell = empty.copy()
        cell[: picture.shape[0], : picture.shape[1]] = picture
        cells.append(cell)
    cells += [empty] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _picture(drawn: Drawn) -> NDArray[np.uint8]:
    observation = drawn.example.observation
    scale = WIDTH / observation.camera.width
    size = (WIDTH, round(observation.camera.height * scale))
    image = np.ascontiguousarray(cv2.resize(observation.color, size))
    chosen = np.linspace(0, drawn.true.shape[1] - 1, POINTS).round().astype(int)
    for points, color in ((drawn.true, TRUE), (drawn.drawn, DRAWN)):
        pixels = observation.camera.project(points[:, np.unique(chosen)]) * scale
        for path in np.swapaxes(pixels, 0, 1):
            path = path[np.isfinite(path).all(axis=1) & (np.abs(path) < 1e4).all(axis=1)]
            corners = np.round(path * 8).astype(np.int32)
            cv2.polylines(image, [corners[:, None]], False, color, 1, cv2.LINE_AA, shift=3)
            if len(corners):
                end = (int(corners[-1, 0]), int(corners[-1, 1]))
                cv2.circle(image, end, 16, color, -1, cv2.LINE_AA, shift=3)
    error = np.linalg.norm(drawn.drawn[-1] - drawn.true[-1], axis=-1).mean()
    band = np.full((_BAND, WIDTH, 3), 255, dtype=np.uint8)
    text = f'{drawn.example.instruction[:48]}  {error * 1000:.0f} mm'
    cv2.putText(band, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([image, band])
