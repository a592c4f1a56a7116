# SPDX-License-Identifier: Apache-2.0
"""What a goal asks for, what it ends with, and the stages between: values without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import FailureStage, Stage
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import ExecutionOutcome, Plan

Cancelled = Callable[[], bool]
Progress = Callable[[str, float], None]
OnDropped = Callable[[str], None]
OnSegment = Callable[[int, str, float], None]
OnFrame = Callable[[NDArray[np.uint8], float], None]


class Ranking(Protocol):
    """What a selector says about candidates.

    Attributes:
        scores: (C,) 0..1 per candidate.
        vetoes: per candidate, '' where it is acceptable.
        order: indices of the acceptable ones, best first.
        note: what one should know of how they were ranked; mostly empty.
    """

    scores: Sequence[float]
    vetoes: Sequence[str]
    order: Sequence[int]
    note: str


class ObserveStage(Protocol):
    """Takes a new observation, not one from before the call."""

    def __call__(self, *, cancelled: Cancelled) -> Observation: ...


class SegmentStage(Protocol):
    """Finds one object by words."""

    def __call__(self, observation: Observation, phrase: str, *, cancelled: Cancelled) -> Mask: ...


class ImagineStage(Protocol):
    """Proposes object flows; `masks[0]` is of the object that moves.

    `on_dropped` is told of each candidate that failed on the way: 'code NAME: sentence'.
    """

    def __call__(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        *,
        goal_image: NDArray[np.uint8] | None,
        seed: int,
        on_progress: Progress,
        on_dropped: OnDropped,
        cancelled: Cancelled,
    ) -> list[ObjectFlow]: ...


class SelectStage(Protocol):
    """Ranks candidates."""

    def __call__(
        self,
        observation: Observation,
        instruction: str,
        mask: Mask,
        candidates: Sequence[ObjectFlow],
        *,
        cancelled: Cancelled,
    ) -> Ranking: ...


class PlanStage(Protocol):
    """Turns a flow into robot motion."""

    def __call__(
        self,
        observation: Observation,
        mask: Mask,
        flow: ObjectFlow,
        *,
        seed: int,
        on_stage: Progress,
        cancelled: Cancelled,
    ) -> Plan: ...


class ExecuteStage(Protocol):
    """Moves the robot; hands on camera frames while it does."""

    def __call__(
        self, plan: Plan, *, on_segment: OnSegment, on_frame: OnFrame, cancelled: Cancelled
    ) -> ExecutionOutcome: ...


class RecoverStage(Protocol):
    """Opens the hand and takes the arm out of the scene, from the segment at which a plan stopped.

    `segment` is the number of segments where all of them ran.
    """

    def __call__(self, plan: Plan, segment: int, *, cancelled: Cancelled) -> None: ...


class TrackStage(Protocol):
    """Says how the object has moved since its flow was imagined.

    (4, 4) from where it was then to where it is now, both in the world; None where it was lost.
    """

    def __call__(self) -> NDArray[np.float64] | None: ...


@dataclass(frozen=True)
class Stages:
    """The stages as callables, with no idea whether they are libraries or action clients.

    Each raises subclasses of `FlowManipError` only, and `CancelledError` soon after `cancelled()`
    turns true. Without `track` an object that went astray is looked for by words alone.
    """

    observe: ObserveStage
    segment: SegmentStage
    imagine: ImagineStage
    select: SelectStage
    plan: PlanStage
    execute: ExecuteStage
    recover: RecoverStage
    track: TrackStage | None = None


@dataclass(frozen=True)
class ManipulateRequest:
    """One goal.

    Attributes:
        instruction: what to do, in words.
        object: words for the object that moves; empty: read from the instruction.
        goal_image: (H, W, 3) uint8 RGB of the wished end, or None.
        seed: of everything that is drawn by chance.
        dry_run: plan and record, do not move.
        pipeline: the one that is expected to run; empty: whichever does.
    """

    instruction: str
    object: str = ''
    goal_image: NDArray[np.uint8] | None = None
    seed: int = 0
    dry_run: bool = False
    pipeline: str = ''


@dataclass(frozen=True)
class ManipulationResult:
    """How a goal ended: always one of these, whatever happened.

    Attributes:
        code: 0, or the code of the error that ended it.
        name: of the code, as in the action files; 'NONE' where all went well.
        message: a sentence with the numbers; of a success what was done.
        failure: which of the published systems' four classes it counts in.
        stage: where it ended; `DONE` after a success, None where the goal was refused before any.
        seconds: wall time per stage name, all attempts together, in order of first use [s].
        total_seconds: wall time of the goal [s].
        attempts: how many were begun.
        final_error_metres: object against the end of its flow; NaN if it could not be seen or
            was not looked at.
        final_error_degrees: likewise; NaN also where the object's shape does not show a rotation.
        record_path: folder of the run's record; empty if there is none.
        record_error: why there is no (whole) record; empty if there is one.
        traceback: of a bug, else empty.
        plan_ready_seconds: from acceptance to the first plan [s]; NaN if there was none.
    """

    code: int = 0
    name: str = 'NONE'
    message: str = ''
    failure: FailureStage = FailureStage.NONE
    stage: Stage | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    total_seconds: float = 0.0
    attempts: int = 0
    final_error_metres: float = float('nan')
    final_error_degrees: float = float('nan')
    record_path: str = ''
    record_error: str = ''
    traceback: str = ''
    plan_ready_seconds: float = float('nan')

    @property
    def succeeded(self) -> bool:
        """Whether the goal was reached (or, of a dry run, planned)."""
        return self.code == 0

    @property
    def sentence(self) -> str:
        """The last line for people: `succeeded` or `failed: <code> <sentence>`."""
        if self.succeeded:
            return 'succeeded'
        return f'failed: {self.code} {self.name}: {self.message}'
