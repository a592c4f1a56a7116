# SPDX-License-Identifier: Apache-2.0
"""Segmentation: words to the mask of one object."""

from __future__ import annotations

from typing import Protocol

from flow_manip_core.observation import Mask, Observation
from flow_manip_core.registry import Registry


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


SEGMENTERS: Registry[Segmenter] = Registry(
    'segmentation',
    {
        'tabletop': 'flow_manip_perception.segmentation.tabletop:TabletopSegmenter',
    },
)
