# SPDX-License-Identifier: Apache-2.0
"""Small drawn clips: a textured square that rests and then moves, with an arm that moves first."""

import cv2
import numpy as np

from flow_manip_learning.clips import clip_without_depth

SIDE, REST, MOVE = 128, 7, 9  # [px], frames
STEP = 4  # [px] per frame
SQUARE = (30, 50, 24)  # column, row, side at the start


def texture(seed, height, width, low, high, cell=4):
    rng = np.random.default_rng(seed)
    small = rng.integers(low, high, (height // cell + 1, width // cell + 1, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def picture(shift=0, arm=None, square=SQUARE, camera=0):
    """Draw the ground, the square `shift` px to the right, an arm whose tip is at column `arm`."""
    image = texture(1, SIDE, SIDE + 40, 90, 140, 8)[:, 20 + camera : 20 + camera + SIDE].copy()
    column, row, side = square
    left = column + shift - camera
    image[row : row + side, left : left + side] = texture(2, side, side, 0, 255)
    if arm is not None:
        image[10:26, max(0, arm - 30) : arm] = texture(3, 16, 60, 150, 255)[:, -min(30, arm) :]
    return image


def frames(square=SQUARE, step=STEP, rest=REST, camera_step=0, arm=True):
    """Return frames in which the arm moves from the start, the square after `rest` frames."""
    count = rest + MOVE
    return np.stack(
        [
            picture(
                step * max(0, k - rest + 1),
                20 + 5 * k if arm else None,
                square,
                camera_step * k,
            )
            for k in range(count)
        ]
    )


def clip_of(images, rate=10.0):
    return clip_without_depth(images, np.arange(len(images)) / rate, 'drawn')


def true_mask(square=SQUARE):
    column, row, side = square
    mask = np.zeros((SIDE, SIDE), bool)
    mask[row : row + side, column : column + side] = True
    return mask
