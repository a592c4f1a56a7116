# SPDX-License-Identifier: Apache-2.0
"""Segmentation: words to the mask of one object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.observation import Mask, Observation
from flow_manip_core.registry import Registry
from flow_manip_core.video import Video


class Segmenter(Protocol):
    """Finds one object in one image by words; keeps nothing between calls."""

    def segment(self, observation: Observation, phrase: str) -> Mask:
        """Return the one object that `phrase` names.

        Raises:
            ObjectAbsentError: nothing fits; the message lists what is seen.
            ObjectAmbiguousError: several fit equally well; the message names them and where they
                are.
            NoSupportError: no plane that objects stand on was found.
            PhraseNotUnderstoodError: the words do not name an object.
        """

    def describe(self, observation: Observation) -> list[str]:
        """Return what is seen, in words, one entry per object."""


class VideoSegmenter(Protocol):
    """Follows one object's mask through a video; keeps nothing between calls."""

    def propagate(
        self, video: Video, mask: Mask, *, cancelled: Callable[[], bool] = lambda: False
    ) -> NDArray[np.bool_]:
        """Return (T, H, W) masks of the object that `mask` shows in the first frame.

        Raises:
            InvalidInputError: the mask is not of the video's size.
            CancelledError: `cancelled` said so.
            BackendError: a model is not there or failed.
        """


SEGMENTERS: Registry[Segmenter] = Registry(
    'segmentation',
    {
        'ground_truth': 'flow_manip_mujoco.segmentation:GroundTruthSegmenter',
        'grounded_sam2': 'flow_manip_perception.segmentation.grounded_sam2:GroundedSam2',
        'remote': 'flow_manip_perception.segmentation.remote:RemoteSegmenter',
        'tabletop': 'flow_manip_perception.segmentation.tabletop:TabletopSegmenter',
    },
)

VIDEO_SEGMENTERS: Registry[VideoSegmenter] = Registry(
    'video segmentation',
    {
        'grounded_sam2': 'flow_manip_perception.segmentation.grounded_sam2:GroundedSam2Video',
        'remote': 'flow_manip_perception.segmentation.remote:RemoteVideoSegmenter',
    },
)
