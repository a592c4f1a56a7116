# SPDX-License-Identifier: Apache-2.0
"""Who wants to know how a goal gets on: the record, the action's feedback, the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import FlowManipError, Stage

if TYPE_CHECKING:
    from flow_manip_task.stages import ManipulateRequest


class Listener:
    """Is told what happens during a goal; every method may be left as it is.

    All calls but `on_frame` come from the thread that runs the goal, in this order: `on_begin`,
    then for every stage `on_stage_begun`, any number of `on_stage` and `on_value`, and
    `on_stage_ended`.
    """

    def on_begin(self, request: ManipulateRequest) -> None:
        """Learn that the goal was accepted."""

    def on_stage_begun(self, stage: Stage, attempt: int, text: str) -> None:
        """Learn that a stage begins; `attempt` counts from 1."""

    def on_stage(self, stage: Stage, attempt: int, progress: float, text: str) -> None:
        """Learn how far the running stage is: `progress` is 0..1 of this stage."""

    def on_value(self, name: str, attempt: int, value: Any) -> None:
        """Receive what a stage made.

        Args:
            name: 'instruction', 'observation', 'mask', 'references', 'candidates', 'dropped',
                'ranking', 'flow', 'plan', 'outcome', 'observation_after' or 'check'.
            attempt: from 1.
            value: the core type of that name.
        """

    def on_stage_ended(
        self, stage: Stage, attempt: int, seconds: float, error: Exception | None
    ) -> None:
        """Learn that a stage ended, with the error that ended it, if one did."""

    def on_frame(self, image: NDArray[np.uint8], time: float) -> None:
        """Receive a camera frame during execution; may come from another thread.

        Args:
            image: (H, W, 3) RGB.
            time: of the camera's clock [s].
        """


class Listeners(Listener):
    """Several listeners as one."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        """Remember them; they are told in this order."""
        self._listeners = tuple(listeners)

    def on_begin(self, request: ManipulateRequest) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.on_begin(request)

    def on_stage_begun(self, stage: Stage, attempt: int, text: str) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.on_stage_begun(stage, attempt, text)

    def on_stage(self, stage: Stage, attempt: int, progress: float, text: str) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.on_stage(stage, attempt, progress, text)

    def on_value(self, name: str, attempt: int, value: Any) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.on_value(name, attempt, value)

    def on_stage_ended(
        self, stage: Stage, attempt: int, seconds: float, error: Exception | None
    ) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.on_stage_ended(stage, attempt, seconds, error)

    def on_frame(self, image: NDArray[np.uint8], time: float) -> None:
        """Pass on."""
        for listener in self._listeners:
            listener.on_frame(image, time)


def error_code(error: Exception | None) -> int:
    """Return the code that an error is reported with: 0 for none, 499 for a bug."""
    if error is None:
        return 0
    return error.code if isinstance(error, FlowManipError) else FlowManipError.code
