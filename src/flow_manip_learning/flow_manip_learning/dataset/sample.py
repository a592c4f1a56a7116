# SPDX-License-Identifier: Apache-2.0
"""One sample: an image with depth, words, and the 3D flow of what moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import re

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation

MAX_SIDE = 4096  # [px]
MAX_STEPS, MAX_POINTS = 512, 65536
MAX_INSTRUCTION = 500  # characters, as in parse_instruction
MAX_TAGS, MAX_TAG = 64, 256
SOURCES = ('simulated', 'engine')

# In webdataset's layout the key ends at the first full stop of the file's name.
_KEY = re.compile(r'[A-Za-z0-9_-]{1,80}')


@dataclass(frozen=True)
class FlowSample:
    """What a flow world model learns from.

    Attributes:
        color: (H, W, 3) uint8 RGB, the first frame.
        depth: (H, W) float32 along the optical axis [m], NaN where unknown.
        camera: intrinsics of `color`.
        T_world_camera: (4, 4) pose of the optical frame.
        instruction: what is done, in words; '' where nobody said.
        mask: (H, W) bool, the visible pixels of what moves.
        flow: of points on what moves, in the world; its first step is the moment of `color`.
            A point that cannot be seen at a step has a confidence of 0 there.
        source: 'simulated' or 'engine', or 'engine:<name of the footage>'.
        licence: of the images, as an SPDX expression or in the words of their owner.
        key: unique in a dataset; letters, digits, '-' and '_'.
        tags: whatever evaluation wants to sort by (task, seed, held-out axis ...).
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: CameraModel
    T_world_camera: NDArray[np.float64]
    instruction: str
    mask: NDArray[np.bool_]
    flow: ObjectFlow
    source: str
    licence: str
    key: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that everything belongs together.

        Raises:
            InvalidInputError: a shape, a type, a size or a word is not as said above.
        """
        convert = object.__setattr__
        # Its constructor checks image, depth, camera and pose.
        observation = Observation(self.color, self.depth, self.camera, self.T_world_camera)
        convert(self, 'T_world_camera', np.array(self.T_world_camera, dtype=np.float64))
        convert(self, 'tags', dict(self.tags))
        convert(self, '_observation', observation)
        _check_words(self)
        _check_mask(self)
        steps, points = self.flow.num_steps, self.flow.num_points
        if not 2 <= steps <= MAX_STEPS or points > MAX_POINTS:
            raise InvalidInputError(
                f'{self.key}: a flow of {points} points over {steps} steps; 2 to {MAX_STEPS} '
                f'steps and at most {MAX_POINTS} points are taken'
            )
        if self.flow.frame_id != 'world':
            raise InvalidInputError(f"{self.key}: the flow is in '{self.flow.frame_id}'")

    @property
    def observation(self) -> Observation:
        """What a flow generator is given."""
        return self._observation  # type: ignore[attr-defined,no-any-return]

    @property
    def object_mask(self) -> Mask:
        """`mask` as the stages pass it, labelled with the flow's words for the object."""
        return Mask(self.mask, self.flow.object or 'object')


def _check_words(sample: FlowSample) -> None:
    """Check key, source, licence, instruction and tags."""
    if not isinstance(sample.key, str) or not _KEY.fullmatch(sample.key):
        raise InvalidInputError(
            f'key {str(sample.key)[:40]!r}: 1 to 80 letters, digits, - and _ are taken'
        )
    source = sample.source
    if not isinstance(source, str) or source.split(':')[0] not in SOURCES or len(source) > MAX_TAG:
        raise InvalidInputError(
            f'{sample.key}: source {str(source)[:40]!r}, known are {list(SOURCES)}'
        )
    if not isinstance(sample.licence, str) or not 0 < len(sample.licence) <= MAX_TAG:
        raise InvalidInputError(
            f'{sample.key}: the licence must be said, in at most {MAX_TAG} characters'
        )
    said = sample.instruction
    if not isinstance(said, str) or len(said) > MAX_INSTRUCTION:
        raise InvalidInputError(
            f'{sample.key}: the instruction is no text of at most {MAX_INSTRUCTION} characters'
        )
    tags = sample.tags
    words = [*tags, *tags.values()]
    if len(tags) > MAX_TAGS or any(not isinstance(w, str) or len(w) > MAX_TAG for w in words):
        raise InvalidInputError(
            f'{sample.key}: tags must be at most {MAX_TAGS} texts of {MAX_TAG} characters'
        )


def _check_mask(sample: FlowSample) -> None:
    """Check that the mask is one of the image and not empty."""
    size = (sample.camera.height, sample.camera.width)
    if max(size) > MAX_SIDE:
        raise InvalidInputError(f'{sample.key}: {size[1]} x {size[0]} px, limit {MAX_SIDE} a side')
    if sample.mask.shape != size or sample.mask.dtype != np.bool_:
        raise InvalidInputError(
            f'{sample.key}: mask is {sample.mask.shape} {sample.mask.dtype}, expected {size} bool'
        )
    if not sample.mask.any():
        raise InvalidInputError(f'{sample.key}: the mask is empty')
