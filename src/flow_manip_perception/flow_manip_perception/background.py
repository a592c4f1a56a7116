# SPDX-License-Identifier: Apache-2.0
"""The static background: which points tell motion, whether they stand, whether there is a cut."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import ImplausibleVideoError
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.transforms import invert_transform

MIN_TEXTURE = 4.0  # smaller eigenvalue of the brightness' gradient, where noise leaves about 1
CLEAR_TEXTURE = 25.0
CUT = 0.6  # of the background points that vanish at once ...
MIN_CUT = 12  # ... of at least so many
JUMP = 6.0  # median steps, beyond which and ...
JUMP_SHIFT, JUMP_TURN = 0.02, 0.02  # ... these [m], [rad] a step is a jump
Array = NDArray[np.float64]


def background_queries(
    frame: NDArray[np.uint8], usable: NDArray[np.bool_], grid: int, enough: int
) -> NDArray[np.float32]:
    """Return (N, 2) pixels, the best corner in each cell of a grid that has one.

    A plain grid falls on bare walls and table tops, where no tracker can tell motion.

    Args:
        frame: (H, W, 3) uint8 RGB.
        usable: (H, W) True on background with depth.
        grid: rows and columns of cells.
        enough: points; with more clear ones, faint ones are left out.
    """
    gray = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    texture = np.array(cv2.cornerMinEigenVal(gray.astype(np.float32), 7, ksize=3))
    texture[~usable] = 0.0
    height, width = gray.shape
    border = 4
    found, strength = [], []
    rows = np.linspace(border, height - border, grid + 1).astype(int)
    columns = np.linspace(border, width - border, grid + 1).astype(int)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            cell = texture[top:bottom, left:right]
            best = int(cell.argmax()) if cell.size else 0
            if cell.size and cell.flat[best] > MIN_TEXTURE:
                found.append((left + best % cell.shape[1], top + best // cell.shape[1]))
                strength.append(cell.flat[best])
    order = np.argsort(strength)[::-1]
    # Faint grain slides along itself, all of it the same way: it counts only where little else is.
    keep = max(enough, int((np.array(strength) > CLEAR_TEXTURE).sum()))
    return np.array(found, dtype=np.float32).reshape(-1, 2)[order[:keep]]


def stands_still(background: PointTracks, limit: float) -> bool:
    """Say whether most background points stay where they are, in every frame.

    In every frame the median point moved less than `limit` [px] since the first: a hand or an
    object may cover and drag less than half of the points.
    """
    away = np.linalg.norm(background.points - background.points[0], axis=-1)
    for step in range(1, len(away)):
        seen = background.visible[step] & background.visible[0]
        if not seen.any() or np.median(away[step, seen]) > limit:
            return False
    return True


def check_cut(background: PointTracks, key: int) -> None:
    """Refuse a view that is another one from one frame to the next.

    Raises:
        ImplausibleVideoError: most background points are lost at once.
    """
    seen = background.visible.sum(axis=1)
    for step in range(1, len(seen)):
        gone = (background.visible[step - 1] & ~background.visible[step]).sum()
        if seen[step - 1] >= MIN_CUT and gone > CUT * seen[step - 1]:
            raise ImplausibleVideoError(
                f'{gone} of {seen[step - 1]} background points are lost between frames '
                f'{key + step - 1} and {key + step}: a cut'
            )


def check_jump(poses: Array) -> None:
    """Refuse a camera that is elsewhere from one frame to the next.

    Raises:
        ImplausibleVideoError: one step is far longer, or turns far more, than the others.
    """
    steps = invert_transform(poses[:-1]) @ poses[1:]
    shift = np.linalg.norm(steps[:, :3, 3], axis=1)
    turn = np.asarray(Rotation.from_matrix(steps[:, :3, :3]).magnitude())
    for size, slack, unit in ((shift, JUMP_SHIFT, 'm'), (turn, JUMP_TURN, 'rad')):
        worst = int(size.argmax())
        usual = float(np.median(size))
        if size[worst] > JUMP * usual + slack:
            raise ImplausibleVideoError(
                f'the camera jumps by {size[worst]:.3f} {unit} between frames {worst} and '
                f'{worst + 1}, {usual:.4f} {unit} in the median step: a cut'
            )
