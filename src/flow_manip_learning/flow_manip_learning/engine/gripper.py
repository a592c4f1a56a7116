# SPDX-License-Identifier: Apache-2.0
"""A1: where the gripper, or the hand, is in the first frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.backends import create_backend
from flow_manip_core.errors import InvalidInputError, ObjectAbsentError
from flow_manip_core.observation import Observation
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_learning.engine.config import DetectionConfig, GripperConfig
from flow_manip_learning.engine.static_view import StaticView
from flow_manip_perception.segmentation import SEGMENTERS

Pixels = NDArray[np.bool_]


def mask_from_file(path: Path, size: tuple[int, int]) -> Pixels:
    """Read a mask: a picture that is not black on the gripper.

    Args:
        path: of the picture, of any size.
        size: (width, height) of the mask that is wanted.

    Raises:
        InvalidInputError: no picture there.
    """
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InvalidInputError(f'no picture of the gripper at {path}')
    return cv2.resize((image > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def mask_by_words(
    observation: Observation, config: GripperConfig, context: Context
) -> Pixels | None:
    """Ask a segmenter for everything that the phrase names, sentence by sentence.

    Returns:
        (H, W) of the observation; None where nothing of it is in view.

    Raises:
        FlowManipError: what the segmenter raises, but for what is absent.
    """
    segmenter = create_backend(SEGMENTERS, {'backend': config.segmenter}, context)
    found = np.zeros(observation.depth.shape, dtype=bool)
    for phrase in (part.strip() for part in config.phrase.split('.')):
        if not phrase:
            continue
        try:
            found |= segmenter.segment(observation, phrase).pixels
        except ObjectAbsentError:
            continue
    return found if found.any() else None


def mask_from_motion(
    video: Video, view: StaticView, config: GripperConfig, detection: DetectionConfig
) -> Pixels:
    """Return what moves from the beginning, by dense flow (DIS, Kroeger et al. 2016).

    The rule of early movers, for every pixel: the arm moves first, the object later.

    Args:
        video: working frames.
        view: the camera's part, in the same pixels.
        config: sizes.
        detection: how far, and up to which frame.
    """
    width, height = video.size
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    pixels = grid.reshape(-1, 2).astype(np.float64)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in video.frames[: detection.early_frame + 1]]
    moving = np.zeros((height, width), np.uint8)
    for step in range(1, len(grey)):
        own = flow.calc(grey[0], grey[step], None) - (view.at(step, pixels) - pixels).reshape(
            height, width, 2
        )
        away = np.linalg.norm(np.nan_to_num(own), axis=-1)
        # Flow in flat regions is made up; what moved has changed there.
        changed = cv2.absdiff(cv2.blur(grey[0], (3, 3)), cv2.blur(grey[step], (3, 3))) > 6
        near = cv2.dilate(changed.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        moving |= (near & (away > detection.early_motion)).astype(np.uint8)
    moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(moving)
    large = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= config.min_area]
    return np.isin(parts, large)


def grown(mask: Pixels, by: int) -> Pixels:
    """Return the mask dilated by a disc of a radius in pixels."""
    if by == 0:
        return mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1, 2 * by + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0
