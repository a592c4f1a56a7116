# SPDX-License-Identifier: Apache-2.0
"""All candidates of a goal beside each other, in the order of choice."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Observation
from flow_manip_task.drawing.flow import draw_flow
from flow_manip_task.stages import Ranking

COLUMNS = 3
MOST = 12  # that are drawn
CELL_WIDTH = 640  # [px]


def draw_candidates(
    observation: Observation, candidates: Sequence[ObjectFlow], ranking: Ranking
) -> NDArray[np.uint8]:
    """Draw at most `MOST` candidates: acceptable ones first, then vetoed ones with the reason.

    Returns:
        RGB picture.
    """
    vetoed = [index for index in range(len(candidates)) if index not in ranking.order]
    shown = [*ranking.order, *vetoed][:MOST]
    cells = []
    for place, index in enumerate(shown, start=1):
        if index in ranking.order:
            title = f'#{place}  score {ranking.scores[index]:.2f}'
        else:
            title = f'vetoed: {ranking.vetoes[index]}'
        picture = draw_flow(observation, candidates[index], None, title)
        height = round(picture.shape[0] * CELL_WIDTH / picture.shape[1])
        cells.append(cv2.resize(picture, (CELL_WIDTH, height), interpolation=cv2.INTER_AREA))
    height = max(len(cell) for cell in cells)
    blank = np.full((height, CELL_WIDTH, 3), 250, np.uint8)
    rows = []
    for first in range(0, len(cells), COLUMNS):
        row = [blank.copy() for _ in range(min(COLUMNS, len(cells)))]
        for space, cell in zip(row, cells[first : first + COLUMNS]):
            space[: len(cell)] = cell
        rows.append(np.hstack(row))
    return np.vstack(rows)
