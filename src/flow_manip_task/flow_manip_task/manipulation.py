# SPDX-License-Identifier: Apache-2.0
"""The `manipulate` goal as a state machine that knows neither ROS nor any backend.

OBSERVING -> SEGMENTING -> IMAGINING -> SELECTING -> PLANNING -> GRASPING -> FOLLOWING -> CHECKING
-> DONE. What another attempt may mend leads through REPLANNING (hand open, arm withdrawn) back to
OBSERVING; everything else ends the goal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
import math
import time
import traceback
from typing import Any

from flow_manip_core.errors import (
    CancelledError,
    FailureStage,
    FlowManipError,
    InstructionNotUnderstoodError,
    InvalidInputError,
    NoAcceptableFlowError,
    RecordError,
    Stage,
    StaleInputError,
    UnknownPipelineError,
)
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.instruction import Instruction, parse_instruction
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Plan
from flow_manip_task.checking import GoalCheck, GoalChecker
from flow_manip_task.finding import find_tracked
from flow_manip_task.image_check import second_opinion
from flow_manip_task.listener import Listener, Listeners
from flow_manip_task.policy import ManipulationConfig, RETRIED, RETRIED_ONCE
from flow_manip_task.record import RunRecord
from flow_manip_task.recovery import is_finished
from flow_manip_task.stages import Cancelled, ManipulateRequest, ManipulationResult, Stages

OpenRecord = Callable[[ManipulateRequest], RunRecord]


class Manipulation:
    """Drives the stages for one goal at a time."""

    def __init__(
        self,
        stages: Stages,
        config: ManipulationConfig | None = None,
        *,
        open_record: OpenRecord | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the stages.

        Args:
            stages: what does the work.
            config: defaults if left out.
            open_record: makes the record of a goal; without it none is kept.
            clock: wall time [s].
        """
        self.stages = stages
        self.config = config or ManipulationConfig()
        self._open_record = open_record
        self._clock = clock
        self._arm = _Arm()

    def run(
        self,
        request: ManipulateRequest,
        *,
        cancelled: Cancelled = lambda: False,
        listener: Listener | None = None,
    ) -> ManipulationResult:
        """Do what the request says; raises nothing, a bug becomes UNKNOWN with its traceback."""
        record, record_error = self._begin_record(request)
        heard = [item for item in (record, listener) if item is not None]
        run = _Run(
            self.stages, self.config, request, cancelled, Listeners(heard), self._clock, self._arm
        )
        result = run.result()
        if record is not None:
            result = replace(result, record_path=str(record.path))
            try:
                record_error = record.close(result)
            except RecordError as error:
                result, record_error = replace(result, record_path=''), str(error)
        return _with_record_error(result, record_error, request)

    def _begin_record(self, request: ManipulateRequest) -> tuple[RunRecord | None, str]:
        """Open the record; a full disk must not keep the robot from working."""
        if self._open_record is None:
            return None, ''
        try:
            return self._open_record(request), ''
        except RecordError as error:
            return None, str(error)


def _with_record_error(
    result: ManipulationResult, record_error: str, request: ManipulateRequest
) -> ManipulationResult:
    """Say that the record failed; it is a dry run's product, so there it is the result."""
    if not record_error:
        return result
    result = replace(result, record_error=record_error)
    if result.succeeded and request.dry_run:
        return replace(
            result,
            code=RecordError.code,
            name=RecordError.name,
            message=record_error,
            failure=RecordError.failure,
        )
    return replace(result, message=f'{result.message}; record: {record_error}')


@dataclass
class _Arm:
    """What the arm was left in the middle of; outlives a goal that was cancelled.

    Attributes:
        plan: the one that did not run to a free hand and a withdrawn arm; None if it did.
        segment: the last of its segments that began.
    """

    plan: Plan | None = None
    segment: int = 0


@dataclass
class _Run:
    """One goal under way."""

    stages: Stages
    config: ManipulationConfig
    request: ManipulateRequest
    cancelled: Cancelled
    listener: Listener
    clock: Callable[[], float]
    arm: _Arm
    attempt: int = 0
    stage: Stage | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    replanned: bool = False
    check: GoalCheck | None = None
    known: tuple[Observation, Mask] | None = None
    plan_ready: float = float('nan')
    begun: float = 0.0

    def result(self) -> ManipulationResult:
        """Run to the one end that every goal has."""
        self.begun = self.clock()
        try:
            self.listener.on_begin(self.request)
            message = self._work()
        except FlowManipError as error:
            return self._ended(error.code, error.name, str(error), error.failure)
        except Exception as error:
            return replace(
                self._ended(FlowManipError.code, FlowManipError.name, repr(error)),
                traceback=traceback.format_exc(),
            )
        self.stage = Stage.DONE
        self.listener.on_stage_begun(Stage.DONE, self.attempt, message)
        self.listener.on_stage_ended(Stage.DONE, self.attempt, 0.0, None)
        return self._ended(0, 'NONE', message)

    def _ended(
        self, code: int, name: str, message: str, failure: FailureStage = FailureStage.NONE
    ) -> ManipulationResult:
        check = self.check
        return ManipulationResult(
            code=code,
            name=name,
            message=message,
            failure=failure,
            stage=self.stage,
            seconds=dict(self.seconds),
            total_seconds=self.clock() - self.begun,
            attempts=self.attempt,
            final_error_metres=check.error_metres if check else float('nan'),
            final_error_degrees=check.error_degrees if check else float('nan'),
            plan_ready_seconds=self.plan_ready,
        )

    def _work(self) -> str:
        """Try until it worked, failed for good, or attempts are used up; return what was done."""
        instruction = self._read_request()
        self.listener.on_value('instruction', 1, instruction)
        if self.arm.plan is not None and not self.request.dry_run:
            self._clear_scene()
        while True:
            self.attempt += 1
            try:
                return self._try_once(instruction)
            except FlowManipError as error:
                self._prepare_another(error)

    def _clear_scene(self) -> None:
        """Take the arm out of what the goal before left it in: it would hide the scene."""
        self.attempt = 1
        with self._stage(Stage.REPLANNING, 'the arm leaves where the last goal stopped'):
            try:
                self._recover()
            except StaleInputError:
                # Somebody has moved it since, so the way back is no longer known to be clear.
                self.arm.plan = None
        self.attempt = 0

    def _recover(self) -> None:
        if self.arm.plan is not None:
            self.stages.recover(self.arm.plan, self.arm.segment, cancelled=self.cancelled)
            self.arm.plan = None

    def _read_request(self) -> Instruction:
        """Check the request before anything is looked at."""
        request = self.request
        if request.pipeline and request.pipeline != self.config.pipeline:
            raise UnknownPipelineError(
                f"pipeline '{request.pipeline}' does not run here; '{self.config.pipeline}' does"
            )
        try:
            parsed = parse_instruction(request.instruction)
        except InstructionNotUnderstoodError:
            # A generator may understand more than the parser, as long as the object is known.
            if not request.object.strip():
                raise
            parsed = Instruction(' '.join(request.instruction.split()), '', '')
        return replace(parsed, object=request.object.strip()) if request.object.strip() else parsed

    def _try_once(self, instruction: Instruction) -> str:
        """Go once through all stages."""
        seed = self.request.seed + self.attempt - 1
        with self._stage(Stage.OBSERVING, 'taking an image'):
            observation = self.stages.observe(cancelled=self.cancelled)
            self._made('observation', observation)
        masks = self._segment(observation, instruction)
        candidates = self._imagine(observation, instruction, masks, seed)
        flows = self._select(observation, instruction, masks[0], candidates)
        plan, flow = self._plan(observation, masks[0], flows, seed)
        if self.request.dry_run:
            return (
                f'planned {len(plan.segments)} segments, {plan.duration:.1f} s of motion; dry run'
            )
        self._execute(plan)
        return self._check(instruction, observation, masks, flow)

    def _segment(self, observation: Observation, instruction: Instruction) -> list[Mask]:
        phrases = (instruction.object, *instruction.references)
        masks: list[Mask] = []
        with self._stage(Stage.SEGMENTING, f"looking for '{instruction.object}'"):
            for index, phrase in enumerate(phrases):
                self._progress(Stage.SEGMENTING, index / len(phrases), f"looking for '{phrase}'")
                find = self._find_again if index == 0 else self._find
                masks.append(find(observation, phrase))
                self._made('references' if index else 'mask', masks[1:] if index else masks[0])
                self._stop_if_cancelled()
        return masks

    def _find(self, observation: Observation, phrase: str) -> Mask:
        return self.stages.segment(observation, phrase, cancelled=self.cancelled)

    def _find_again(self, observation: Observation, phrase: str) -> Mask:
        """Find the object that moves; in another attempt the track says where to look.

        What fell over may not look like its words any more, and something else may.
        """
        motion = self.stages.track() if self.known and self.stages.track else None
        if motion is None or self.known is None:
            return self._find(observation, phrase)
        return find_tracked(
            self.known,
            motion,
            observation,
            lambda: self._find(observation, phrase),
            self.config.check.search_radius,
            self.config.check.search_color,
        )

    def _imagine(
        self,
        observation: Observation,
        instruction: Instruction,
        masks: list[Mask],
        seed: int,
    ) -> list[ObjectFlow]:
        with self._stage(Stage.IMAGINING, f"imagining how '{instruction.object}' moves"):
            self.known = (observation, masks[0])
            dropped: list[str] = []
            candidates = self.stages.imagine(
                observation,
                instruction.text,
                masks,
                goal_image=self.request.goal_image,
                seed=seed,
                on_progress=lambda text, done: self._progress(Stage.IMAGINING, done, text),
                on_dropped=dropped.append,
                cancelled=self.cancelled,
            )
            self._made('dropped', dropped)
            for flow in candidates:
                if flow.frame_id != observation.frame_id:
                    raise InvalidInputError(
                        f"a flow is in '{flow.frame_id}', the observation in "
                        f"'{observation.frame_id}'"
                    )
            self._made('candidates', candidates)
        return candidates

    def _select(
        self,
        observation: Observation,
        instruction: Instruction,
        mask: Mask,
        candidates: list[ObjectFlow],
    ) -> list[ObjectFlow]:
        """Return the acceptable candidates, best first, with their scores."""
        with self._stage(Stage.SELECTING, f'choosing among {len(candidates)} flows'):
            ranking = self.stages.select(
                observation, instruction.text, mask, candidates, cancelled=self.cancelled
            )
            self._made('ranking', ranking)
            if not len(ranking.order):
                raise NoAcceptableFlowError(
                    f'all {len(candidates)} flows were vetoed: {"; ".join(ranking.vetoes)}'
                )
            flows = [candidates[i].with_score(ranking.scores[i]) for i in ranking.order]
            self._made('flow', flows[0])
        return flows

    def _plan(
        self, observation: Observation, mask: Mask, flows: list[ObjectFlow], seed: int
    ) -> tuple[Plan, ObjectFlow]:
        """Plan for the best flow, or for the next if that one cannot be followed."""
        tried = flows[: self.config.max_planned_flows]
        with self._stage(Stage.PLANNING, 'planning the motion'):
            for index, flow in enumerate(tried):
                try:
                    plan = self.stages.plan(
                        observation,
                        mask,
                        flow,
                        seed=seed,
                        on_stage=lambda text, done: self._progress(Stage.PLANNING, done, text),
                        cancelled=self.cancelled,
                    )
                    break
                except RETRIED_ONCE as error:
                    if index + 1 == len(tried):
                        raise
                    self._progress(Stage.PLANNING, 0.0, f'trying the next flow: {error}')
            if index:
                self._made('flow', flow)
            self._made('plan', plan)
            if math.isnan(self.plan_ready):
                self.plan_ready = self.clock() - self.begun
        return plan, flow

    def _execute(self, plan: Plan) -> None:
        """Run the plan: GRASPING until the object is to be in the hand, then FOLLOWING."""
        closing = next(
            (i for i, segment in enumerate(plan.segments) if segment.expect_object),
            len(plan.segments),
        )
        self._enter(Stage.GRASPING, f"reaching for '{plan.object}'")
        started = self.clock()
        error: Exception | None = None

        def on_segment(index: int, name: str, progress: float) -> None:
            nonlocal started
            if index > closing and self.stage is Stage.GRASPING:
                self._leave(started, None)
                self._enter(Stage.FOLLOWING, f"moving '{plan.object}'")
                started = self.clock()
            assert self.stage is not None
            self.arm.segment = index
            self._progress(self.stage, progress, name)

        try:
            self._stop_if_cancelled()
            self.arm.plan, self.arm.segment = plan, 0
            outcome = self.stages.execute(
                plan,
                on_segment=on_segment,
                on_frame=self.listener.on_frame,
                cancelled=self.cancelled,
            )
            # The last reports may come after the result, that is, not at all.
            if closing < len(plan.segments) - 1 and self.stage is Stage.GRASPING:
                on_segment(len(plan.segments) - 1, plan.segments[-1].name, 1.0)
            self.arm.segment = len(plan.segments)
            if is_finished(plan, self.arm.segment):
                self.arm.plan = None
            self._made('outcome', outcome)
            self._stop_if_cancelled()
        except Exception as raised:
            error = raised
            raise
        finally:
            self._leave(started, error)

    def _check(
        self, instruction: Instruction, before: Observation, masks: list[Mask], flow: ObjectFlow
    ) -> str:
        """Look again; return what was found in words."""
        with self._stage(Stage.CHECKING, 'looking again'):
            after = self.stages.observe(cancelled=self.cancelled)
            self._made('observation_after', after)
            checker = GoalChecker(self.config.check)
            self.check = checker.measure(
                instruction,
                before,
                masks[0],
                flow,
                after,
                lambda phrase: self.stages.segment(after, phrase, cancelled=self.cancelled),
                masks[1:],
            )
            self._made('check', self.check)
            checker.judge(instruction, self.check)
            second = second_opinion(
                self.config.image_check,
                instruction.text,
                (before, masks[0], flow, self.request.goal_image),
                after,
                self.cancelled,
            )
        return self.check.sentence + second

    def _prepare_another(self, error: FlowManipError) -> None:
        """Make ready for another attempt, or raise `error` where none is due."""
        once = isinstance(error, RETRIED_ONCE) and not self.replanned
        again = (isinstance(error, RETRIED) or once) and self.attempt < self.config.max_attempts
        tidy = isinstance(error, RETRIED) and self.config.recover_after_failure
        tidy = tidy and self.arm.plan is not None
        if isinstance(error, CancelledError) or not (again or tidy):
            raise error
        self.replanned |= once
        failed_in = self.stage
        reason = f'attempt {self.attempt} of {self.config.max_attempts} failed: {error}'
        try:
            with self._stage(Stage.REPLANNING, reason):
                self._recover()
        except CancelledError:
            raise
        except FlowManipError as worse:
            # What went wrong first is what people need to know; the arm's state comes on top.
            self.stage = failed_in
            raise type(error)(f'{error}; then recovery failed: {worse}') from worse
        if not again:
            self.stage = failed_in
            raise error

    @contextmanager
    def _stage(self, stage: Stage, text: str) -> Iterator[None]:
        """Announce a stage, time it, and notice a cancel before and after it."""
        self._stop_if_cancelled()
        self._enter(stage, text)
        started, error = self.clock(), None
        try:
            yield
            self._stop_if_cancelled()
        except Exception as raised:
            error = raised
            raise
        finally:
            self._leave(started, error)

    def _enter(self, stage: Stage, text: str) -> None:
        self.stage = stage
        self.listener.on_stage_begun(stage, self.attempt, text)

    def _leave(self, started: float, error: Exception | None) -> None:
        assert self.stage is not None
        seconds = self.clock() - started
        self.seconds[self.stage.name] = self.seconds.get(self.stage.name, 0.0) + seconds
        self.listener.on_stage_ended(self.stage, self.attempt, seconds, error)

    def _progress(self, stage: Stage, progress: float, text: str) -> None:
        self.listener.on_stage(stage, self.attempt, min(max(progress, 0.0), 1.0), text)

    def _made(self, name: str, value: Any) -> None:
        self.listener.on_value(name, self.attempt, value)

    def _stop_if_cancelled(self) -> None:
        if self.cancelled():
            where = self.stage.name if self.stage else 'the beginning'
            raise CancelledError(f'cancelled at {where} of attempt {max(self.attempt, 1)}')
