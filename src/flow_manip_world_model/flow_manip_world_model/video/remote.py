# SPDX-License-Identifier: Apache-2.0
"""Videos from a model server: Wan on a GPU elsewhere, or any generator that `serve` runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError, FlowManipError, InvalidInputError
from flow_manip_core.observation import Observation
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_core.wire import ModelServer
from flow_manip_core.wire_values import list_of, observation_to_wire, video_from_wire
from flow_manip_world_model.progress import ignore_dropped, ignore_progress, never_cancelled


class RemoteVideo:
    """Asks for one video after the other, so that each can be lifted while the next is made."""

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        server: str = field(
            default='http://127.0.0.1:8110/video', metadata={'doc': 'Where the model is served'}
        )
        timeout: float = field(default=900.0, metadata={'doc': 'Of one video [s]'})

    def __init__(self, config: Config, context: Context) -> None:
        """Check the URL; the server is first spoken to by `generate`.

        Raises:
            ConfigurationError: the URL makes no sense.
        """
        self._server = ModelServer(config.server, config.timeout)

    def generate(
        self,
        observation: Observation,
        instruction: str,
        *,
        goal_image: NDArray[np.uint8] | None = None,
        num_videos: int = 1,
        seed: int = 0,
        on_failed: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> Iterator[Video]:
        """Give the server's videos; see `VideoGenerator`.

        Raises:
            BackendError: the server is not there or answers nonsense.
            StageTimeoutError: it did not answer in time.
            FlowManipError: what its backend raised, if no video came at all.
        """
        request = {
            'observation': observation_to_wire(observation),
            'instruction': instruction,
            'num_videos': 1,
        }
        if goal_image is not None:
            request['goal_image'] = goal_image
        came, last = 0, None
        for number in range(num_videos):
            on_progress(f'video {number + 1} of {num_videos}', number / num_videos)
            try:
                yield from self._ask(request | {'seed': seed + number}, cancelled)
                came += 1
            except BackendError:
                raise
            except FlowManipError as error:
                if cancelled():
                    raise
                last = error
                on_failed(number, error)
        if not came and last is not None:
            raise last

    def _ask(self, request: dict, cancelled: Callable[[], bool]) -> list[Video]:
        answer = self._server.ask(request, cancelled)
        try:
            return [video_from_wire(values) for values in list_of(answer, 'videos', 1)]
        except InvalidInputError as error:
            raise BackendError(f'{self._server.url}: {error}') from error
