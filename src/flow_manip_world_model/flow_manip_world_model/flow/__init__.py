# SPDX-License-Identifier: Apache-2.0
"""Flow generators: from an observation and words to candidate object flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import re
from typing import Protocol

from numpy.typing import NDArray

from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.registry import Registry


def ignore_progress(stage: str, progress: float) -> None:
    """Drop a progress report."""


def never_cancelled() -> bool:
    """Say that nobody asked to stop."""
    return False


def candidate_stage(number: int | str, count: int | str) -> str:
    """Return the text by which a generator reports that it begins candidate `number`, from 1."""
    return f'imagining candidate {number} of {count}'


def finished_candidates(stage: str) -> int:
    """Return how many candidates are finished at a generator's `stage`, else 0."""
    found = re.fullmatch(candidate_stage(r'(\d+)', r'\d+'), stage)
    return int(found[1]) - 1 if found else 0


class FlowGenerator(Protocol):
    """Imagines how an object should move."""

    def generate(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        *,
        goal_image: NDArray | None = None,
        num_candidates: int = 0,
        seed: int = 0,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> list[ObjectFlow]:
        """Return candidate flows in the world frame, the best-reasoned first, at least one.

        Args:
            observation: what the camera saw.
            instruction: what is to be done, in words.
            masks: first the object that moves, then those that the instruction refers to, in the
                order of `Instruction.references`.
            goal_image: (H, W, 3) uint8 RGB of the wished-for end, for generators that use one.
            num_candidates: how many; 0 is the backend's default. Fewer may come back.
            seed: the same seed gives the same candidates.
            on_progress: told a short text (`candidate_stage` for candidates) and 0..1.
            cancelled: polled at least every 20 ms of work.

        Raises:
            TaskNotSupportedError: the backend has no motion for this instruction.
            NoFreePlaceError: there is no goal that is free and inside the workspace.
            NoObjectPathError: the object cannot be brought there without touching something.
            TooFewPointsError: too little of the object is visible.
            CancelledError: the caller asked to stop.
            InvalidInputError: masks and instruction do not belong together.
        """


FLOW_GENERATORS: Registry[FlowGenerator] = Registry(
    'flow',
    {
        'rule_based': 'flow_manip_world_model.flow.rule_based:RuleBasedFlow',
    },
)
