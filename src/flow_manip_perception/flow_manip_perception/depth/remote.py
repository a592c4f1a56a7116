# SPDX-License-Identifier: Apache-2.0
"""Depth from a model server: Depth Pro, MoGe, MegaSaM, or any estimator that `serve` runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError, ConfigurationError, InvalidInputError
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_core.wire import array_of, ModelServer
from flow_manip_core.wire_values import text_of, video_to_wire
from flow_manip_perception.depth import KINDS, never


class RemoteDepth:
    """Sends the frames and takes their depth.

    Attributes:
        kind: see `DepthEstimator`.
    """

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        server: str = field(
            default='http://127.0.0.1:8110/depth', metadata={'doc': 'Where the model is served'}
        )
        kind: str = field(
            default='metric', metadata={'doc': 'What it gives: metric, relative or disparity'}
        )
        timeout: float = field(default=120.0, metadata={'doc': 'Of a whole video [s]'})

    def __init__(self, config: Config, context: Context) -> None:
        """Check the parameters; the server is first spoken to by `estimate`.

        Raises:
            ConfigurationError: the kind or the URL makes no sense.
        """
        if config.kind not in KINDS:
            raise ConfigurationError(f"depth kind '{config.kind}'; known: {', '.join(KINDS)}")
        self.kind = config.kind
        self._server = ModelServer(config.server, config.timeout)

    def estimate(
        self, video: Video, *, cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Return the server's (T, H, W) depth; see `DepthEstimator`.

        Raises:
            BackendError: the server is not there, gives another kind of depth, or nonsense.
            StageTimeoutError: it did not answer in time.
            FlowManipError: what its backend raised.
        """
        answer = self._server.ask({'video': video_to_wire(video)}, cancelled)
        try:
            kind = text_of(answer, 'kind')
            depth = array_of(answer, 'depth', '<f4', video.frames.shape[:3])
        except InvalidInputError as error:
            raise BackendError(f'{self._server.url}: {error}') from error
        if kind != self.kind:
            raise BackendError(f"{self._server.url} gives {kind[:20]} depth, not '{self.kind}'")
        return depth
