# SPDX-License-Identifier: Apache-2.0
"""Object flows from a model server: a whole world model that runs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError, FlowManipError, InvalidInputError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_core.wire import ModelServer
from flow_manip_core.wire_values import (
    flow_from_wire,
    list_of,
    mask_to_wire,
    observation_to_wire,
)
from flow_manip_world_model.progress import ignore_dropped, ignore_progress, never_cancelled

MAX_FLOWS = 256


class RemoteFlow:
    """Sends what a generator is given, and takes its flows."""

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        server: str = field(
            default='http://127.0.0.1:8110/flow', metadata={'doc': 'Where the model is served'}
        )
        timeout: float = field(default=900.0, metadata={'doc': 'Of all candidates [s]'})

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
        masks: Sequence[Mask],
        *,
        goal_image: NDArray[np.uint8] | None = None,
        num_candidates: int = 0,
        seed: int = 0,
        on_dropped: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> list[ObjectFlow]:
        """Return the server's flows; see `FlowGenerator`. What it dropped stays there.

        Raises:
            BackendError: the server is not there or answers nonsense.
            StageTimeoutError: it did not answer in time.
            FlowManipError: what its generator raised.
        """
        request: dict[str, Any] = {
            'observation': observation_to_wire(observation),
            'instruction': instruction,
            'masks': [mask_to_wire(mask) for mask in masks],
            'num_candidates': num_candidates,
            'seed': seed,
        }
        if goal_image is not None:
            request['goal_image'] = goal_image
        on_progress(f'waiting for {self._server.url}', 0.0)
        answer = self._server.ask(request, cancelled)
        try:
            flows = [flow_from_wire(values) for values in list_of(answer, 'flows', MAX_FLOWS)]
        except InvalidInputError as error:
            raise BackendError(f'{self._server.url}: {error}') from error
        if not flows:
            raise BackendError(f'{self._server.url} gave no flow and no error')
        return flows
