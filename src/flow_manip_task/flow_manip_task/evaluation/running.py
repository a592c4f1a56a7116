# SPDX-License-Identifier: Apache-2.0
"""Running one trial of one condition in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
import time
import traceback
from typing import Any

from flow_manip_core.backends import pipeline_parameters
from flow_manip_core.errors import (
    FlowManipError,
    InstructionNotUnderstoodError,
    InvalidInputError,
)
from flow_manip_core.instruction import parse_instruction
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.disturbances import Disturbance, make_disturbance
from flow_manip_mujoco.object_tracker import TrackerConfig
from flow_manip_mujoco.tasks import PUT_TASK, TASKS, TaskSpec, TaskStep, TaskTrial
from flow_manip_mujoco.tasks.goal_image import goal_image
from flow_manip_task.evaluation.conditions import (
    ADJACENT_REPLAY,
    Condition,
    Job,
    nearest,
    NO_GOAL_IK,
    OPEN,
    RIGID_REPLAY,
)
from flow_manip_task.evaluation.flow_sources import DREAM, GENERATED, ORACLE, SourceSpec
from flow_manip_task.evaluation.log import TrialLine
from flow_manip_task.evaluation.trials import failure_class
from flow_manip_task.evaluation.truth import body_named, TruthSource
from flow_manip_task.local import LocalStages, task_config
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.policy import ManipulationConfig
from flow_manip_task.stages import ManipulateRequest, ManipulationResult

RIG = 'tabletop'
SIMULATED = 'simulated'
OTHER = 'other'
START_TESTED = 'flow_manip_planning.grasp.start_tested:StartTestedGrasps'


def tasks() -> dict[str, TaskSpec]:
    """Return every task by name."""
    return {PUT_TASK.name: PUT_TASK, **TASKS}


def task_named(name: str) -> TaskSpec:
    """Return a task.

    Raises:
        InvalidInputError: it is unknown; the message has the nearest name.
    """
    known = tasks()
    if name not in known:
        raise InvalidInputError(f"no task '{name}'{nearest(name, sorted(known))}")
    return known[name]


class TrialRunner:
    """Runs trials one after the other; keeps cells and pipelines between them.

    Nothing of a trial reaches the next: the same job gives the same line, seconds aside.
    """

    def __init__(self) -> None:
        """Build nothing yet."""
        self._cells: dict[str, SimulatedCell] = {}
        self._pipelines: dict[Condition, Pipeline] = {}

    def __call__(self, job: Job) -> TrialLine:
        """Run a trial to its line; what goes wrong in it is its outcome.

        Raises:
            FlowManipError: the pipeline or the cell cannot be built, or the task is unknown.
        """
        spec = task_named(job.condition.task)
        pipeline = self._pipeline(job.condition)
        try:
            return run_trial(pipeline, spec.make_trial(job.seed), job)
        except FlowManipError as error:
            return broken_line(job, error.code, error.name, str(error))
        except Exception:
            text = traceback.format_exc(limit=-4)
            return broken_line(job, FlowManipError.code, FlowManipError.name, text)

    def close(self) -> None:
        """Free the renderers."""
        for cell in self._cells.values():
            cell.close()

    def _pipeline(self, condition: Condition) -> Pipeline:
        """Return the pipeline as a condition changes it, in the cell of its robot."""
        spec = SourceSpec.parse(condition.flow)
        # Only a dream is made by the pipeline's own parts.
        flow = replace(spec, goal_image=False).text if spec.kind == DREAM else ORACLE
        variant = replace(condition, task='', flow=flow, disturbance='')
        if variant not in self._pipelines:
            robot = variant.robot
            if robot not in self._cells:
                self._cells[robot] = SimulatedCell(Context(load_robot(robot), load_rig(RIG)))
            self._pipelines[variant] = build_pipeline(variant, self._cells[robot])
        return self._pipelines[variant]


@dataclass(frozen=True)
class Pipeline:
    """What a condition compares, in a cell.

    Attributes:
        cell: the simulator.
        stages: the backends and the robot.
        config: of the state machine.
    """

    cell: SimulatedCell
    stages: LocalStages
    config: ManipulationConfig


def build_pipeline(condition: Condition, cell: SimulatedCell) -> Pipeline:
    """Build the pipeline of a condition as its flow, its loop and its baseline change it.

    Raises:
        UnknownPipelineError, BackendError, ConfigurationError: as they say.
        InvalidInputError: a dream is wanted of a pipeline that does not dream.
    """
    parameters = pipeline_parameters(condition.pipeline, condition.robot)
    spec = SourceSpec.parse(condition.flow)
    if spec.kind == DREAM:
        _dream(parameters['world_model_node'], spec, condition.pipeline)
    if condition.loop == OPEN:
        parameters.setdefault('task_node', {})['max_attempts'] = 1
    planning = parameters['planning_node']
    if condition.baseline in (RIGID_REPLAY, ADJACENT_REPLAY):
        adjacent = condition.baseline == ADJACENT_REPLAY
        planning |= {'backend': RIGID_REPLAY, RIGID_REPLAY: {'adjacent': adjacent}}
    elif condition.baseline == NO_GOAL_IK:
        tested = planning['grasp']
        planning['grasp'] = {'backend': START_TESTED, START_TESTED: {'proposer': tested}}
    tracking = None if condition.loop == OPEN else TrackerConfig()
    return Pipeline(
        cell=cell,
        stages=LocalStages(parameters, cell.context, cell, tracking=tracking),
        config=task_config(parameters.get('task_node', {}), condition.pipeline),
    )


def _dream(world_model: dict[str, Any], spec: SourceSpec, pipeline: str) -> None:
    """Have a dreaming pipeline's videos simulated, so many of them good.

    Raises:
        InvalidInputError: the pipeline does not dream.
    """
    if world_model.get('backend') != DREAM:
        raise InvalidInputError(
            f"pipeline '{pipeline}' imagines with '{world_model.get('backend')}'; a dream is "
            "wanted, as 'novaflow' and 'dream2flow' have it"
        )
    rates = {'good_rate': spec.good, 'good_rate_with_goal_image': spec.good}
    video = world_model.setdefault('video', {})
    video |= {'backend': SIMULATED, SIMULATED: video.get(SIMULATED, {}) | rates}
    world_model[DREAM] = world_model.get(DREAM, {}) | {'num_candidates': spec.candidates}


def run_trial(pipeline: Pipeline, trial: TaskTrial, job: Job) -> TrialLine:
    """Set the table, go through the task's steps, and read the end from the simulator."""
    spec = SourceSpec.parse(job.condition.flow)
    trial.reset(pipeline.cell)
    cell, stages = pipeline.cell, pipeline.stages.stages
    source = None

    def watch(bodies: tuple[str, ...]) -> None:
        pipeline.stages.watched = bodies

    pipeline.stages.watched = None
    disturbance = pipeline.stages.disturbance = _disturbance(cell, trial, job)
    if spec.kind != GENERATED:
        source = TruthSource(cell, spec, watch)
        stages = source.in_place_of(stages)
    manipulation = Manipulation(stages, pipeline.config)
    begun, results = time.monotonic(), []
    for index, step in enumerate(trial.steps):
        if source is not None:
            source.take(step, index)
        results.append(manipulation.run(_request(cell, step, spec, job.seed)))
        if not results[-1].succeeded:
            break
    wall, simulated = time.monotonic() - begun, cell.time
    success = bool(trial.success(cell))
    return TrialLine(
        condition=job.condition,
        seed=job.seed,
        instruction=trial.instruction,
        success=success,
        progress={name: bool(done) for name, done in trial.progress(cell).items()},
        steps_done=sum(result.succeeded for result in results),
        total_seconds=wall,
        simulated_seconds=simulated,
        disturbed=disturbance.description if disturbance else '',
        **_reported(results, success),
    )


def _disturbance(cell: SimulatedCell, trial: TaskTrial, job: Job) -> Disturbance | None:
    """Make ready what is to go wrong in the trial's first step; the target is what it refers to.

    Raises:
        InvalidInputError: it cannot go wrong here: nothing is referred to, or it is bolted down.
    """
    if not job.condition.disturbance:
        return None
    step = trial.steps[0]
    try:
        references = parse_instruction(step.instruction).references
    except InstructionNotUnderstoodError:
        references = ()
    named = (body_named(cell.body_names, phrase) for phrase in references)
    target = next((body for body in named if body is not None), None)
    return make_disturbance(job.condition.disturbance, cell, step.body, target, job.seed)


def _request(
    cell: SimulatedCell, step: TaskStep, spec: SourceSpec, seed: int
) -> ManipulateRequest:
    """Ask for a step; a pipeline of its own gets the words only, an oracle knows the object.

    A goal image there is of objects only: of a drawer's or a door's end nobody hands in a picture.
    """
    named = '' if spec.kind == GENERATED else step.object
    picture = None
    if spec.goal_image and step.body in cell.object_poses():
        picture = goal_image(cell, step)
    return ManipulateRequest(step.instruction, object=named, seed=seed, goal_image=picture)


def _reported(results: Sequence[ManipulationResult], success: bool) -> dict[str, Any]:
    """Put what the pipeline said of the steps together."""
    last = results[-1]
    seconds: dict[str, float] = {}
    for result in results:
        for stage, value in result.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + value
    error = last.final_error_metres
    return {
        'failure': 'none' if success else failure_class(last),
        'code': last.code,
        'name': last.name,
        'message': last.traceback or last.message,
        'attempts': sum(result.attempts for result in results),
        'seconds': seconds,
        'error_metres': error if math.isfinite(error) else None,
    }


def broken_line(job: Job, code: int, name: str, message: str) -> TrialLine:
    """Return the line of a trial that could not be set up or read."""
    return TrialLine(job.condition, job.seed, '', False, OTHER, code, name, message, {})
