# SPDX-License-Identifier: Apache-2.0
"""Masks from a model server: SAM 3, Grounded SAM 2, or any segmenter that `serve` runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError, InvalidInputError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_core.wire import array_of, ModelServer
from flow_manip_core.wire_values import (
    map_of,
    mask_from_wire,
    mask_to_wire,
    observation_to_wire,
    video_to_wire,
)


class RemoteSegmenter:
    """Sends the image and the words, and takes the mask."""

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        server: str = field(
            default='http://127.0.0.1:8110/segment', metadata={'doc': 'Where the model is served'}
        )
        timeout: float = field(default=30.0, metadata={'doc': 'Of an image [s]'})

    def __init__(self, config: Config, context: Context) -> None:
        """Check the URL; the server is first spoken to by `segment`.

        Raises:
            ConfigurationError: the URL makes no sense.
        """
        self._server = ModelServer(config.server, config.timeout)

    def segment(self, observation: Observation, phrase: str) -> Mask:
        """Return the server's mask; see `Segmenter`.

        Raises:
            BackendError: the server is not there or answers nonsense.
            StageTimeoutError: it did not answer in time.
            FlowManipError: what its backend raised.
        """
        answer = self._server.ask(
            {'observation': observation_to_wire(observation), 'phrase': phrase}
        )
        try:
            mask = mask_from_wire(map_of(answer, 'mask'))
        except InvalidInputError as error:
            raise BackendError(f'{self._server.url}: {error}') from error
        if mask.pixels.shape != observation.depth.shape:
            raise BackendError(
                f'{self._server.url} gave a mask {mask.pixels.shape} of an image '
                f'{observation.depth.shape}'
            )
        return mask

    def describe(self, observation: Observation) -> list[str]:
        """Return nothing: servers find what they are asked for, they do not list what is there."""
        return []


class RemoteVideoSegmenter:
    """Sends the video and its first mask, and takes the masks of all frames."""

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        server: str = field(
            default='http://127.0.0.1:8110/propagate', metadata={'doc': 'Where it is served'}
        )
        timeout: float = field(default=120.0, metadata={'doc': 'Of a whole video [s]'})

    def __init__(self, config: Config, context: Context) -> None:
        """Check the URL; the server is first spoken to by `propagate`.

        Raises:
            ConfigurationError: the URL makes no sense.
        """
        self._server = ModelServer(config.server, config.timeout)

    def propagate(
        self, video: Video, mask: Mask, *, cancelled: Callable[[], bool] = lambda: False
    ) -> NDArray[np.bool_]:
        """Return the server's (T, H, W) masks; see `VideoSegmenter`.

        Raises:
            BackendError: the server is not there or answers nonsense.
            StageTimeoutError: it did not answer in time.
            FlowManipError: what its backend raised.
        """
        request = {'video': video_to_wire(video), 'mask': mask_to_wire(mask)}
        answer = self._server.ask(request, cancelled)
        try:
            masks = array_of(answer, 'masks', '|u1', video.frames.shape[:3])
        except InvalidInputError as error:
            raise BackendError(f'{self._server.url}: {error}') from error
        return masks > 0
