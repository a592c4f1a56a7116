# SPDX-License-Identifier: Apache-2.0
"""Seeded trials in the simulated cell; success is read from its state, never from the pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
import math
from pathlib import Path
from statistics import median
import time
from typing import Any

from flow_manip_core.errors import FailureStage, InvalidInputError
from flow_manip_mujoco.tasks import make_put_trial, Trial
from flow_manip_task.local import LocalCell
from flow_manip_task.stages import ManipulateRequest, ManipulationResult

CONFIDENCE = 1.959964  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class TrialOutcome:
    """How one trial ended.

    Attributes:
        seed: of the trial.
        instruction: in words.
        success: what the simulator's state says.
        failure: class of the failure, 'none' after a success.
        code: what the pipeline reported.
        name: of the code.
        message: what the pipeline reported.
        attempts: how many it took.
        seconds: wall time per stage [s].
        plan_ready_seconds: from acceptance to the plan [s]; None if there was none.
        total_seconds: wall time of the goal [s].
        simulated_seconds: by the simulator's clock [s].
        error_metres: object against the end of its flow, as the pipeline saw it; None if unseen.
    """

    seed: int
    instruction: str
    success: bool
    failure: str
    code: int
    name: str
    message: str
    attempts: int
    seconds: dict[str, float]
    plan_ready_seconds: float | None
    total_seconds: float
    simulated_seconds: float
    error_metres: float | None


@dataclass(frozen=True)
class TrialsSummary:
    """Trials together: one row of a results table.

    Attributes:
        task: what was tried.
        pipeline: by which.
        robot: with which.
        n: trials.
        successes: of them.
        wilson_low: lower end of the 95 % Wilson interval of the success rate.
        wilson_high: upper end.
        failures: count per failure class.
        codes: count per reported code's name among the failures.
        seconds: median wall time per stage [s].
        plan_ready_seconds: median from acceptance to the plan [s].
        simulated_over_real: simulated time over wall time of all goals.
        disagreements: trials in which the pipeline's opinion differs from the simulator's state.
        seeds: [first, last].
    """

    task: str
    pipeline: str
    robot: str
    n: int
    successes: int
    wilson_low: float
    wilson_high: float
    failures: dict[str, int]
    codes: dict[str, int]
    seconds: dict[str, float]
    plan_ready_seconds: float | None
    simulated_over_real: float
    disagreements: int
    seeds: list[int]


def wilson_interval(successes: int, n: int, z: float = CONFIDENCE) -> tuple[float, float]:
    """Return the score interval of a rate (Wilson 1927).

    Raises:
        InvalidInputError: there are fewer trials than successes, or none.
    """
    if not 0 <= successes <= n or n < 1:
        raise InvalidInputError(f'{successes} successes in {n} trials')
    rate = successes / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def run_trials(
    n: int,
    *,
    seed: int = 0,
    pipeline: str = 'default',
    robot: str = 'franka',
    rig: str = 'tabletop',
    record_folder: Path | None = None,
    on_trial: Callable[[TrialOutcome], None] = lambda outcome: None,
    make_trial: Callable[[int], Trial] = make_put_trial,
) -> list[TrialOutcome]:
    """Run n trials, seeds `seed` to `seed + n - 1`, in one process.

    Raises:
        FlowManipError: the cell or the pipeline cannot be built; a trial's own failure is an
            outcome.
    """
    local = LocalCell.build(pipeline, robot, rig, record_folder)
    try:
        outcomes = []
        for number in range(seed, seed + n):
            outcomes.append(run_trial(local, make_trial(number)))
            on_trial(outcomes[-1])
        return outcomes
    finally:
        local.close()


def run_trial(local: LocalCell, trial: Trial) -> TrialOutcome:
    """Set the table for a trial, run its instruction, and read success from the simulator."""
    local.reset(trial.seed, trial.scene)
    begun = time.monotonic()
    result = local.run(ManipulateRequest(trial.instruction, seed=trial.seed))
    wall, simulated = time.monotonic() - begun, local.cell.time
    success = bool(trial.success(local.cell))
    return TrialOutcome(
        seed=trial.seed,
        instruction=trial.instruction,
        success=success,
        failure='none' if success else failure_class(result),
        code=result.code,
        name=result.name,
        message=result.message or result.traceback,
        attempts=result.attempts,
        seconds=dict(result.seconds),
        plan_ready_seconds=_number(result.plan_ready_seconds),
        total_seconds=wall,
        simulated_seconds=simulated,
        error_metres=_number(result.final_error_metres),
    )


def failure_class(result: ManipulationResult) -> str:
    """Return the class of a trial that failed by the simulator's state.

    What the pipeline took for a success went wrong unseen, so in execution.
    """
    if result.succeeded:
        return FailureStage.EXECUTION.name.lower()
    if result.failure is FailureStage.NONE:
        return 'other'
    return result.failure.name.lower()


def summarize(
    outcomes: Sequence[TrialOutcome], *, task: str, pipeline: str, robot: str
) -> TrialsSummary:
    """Return the row of a results table for trials of one task."""
    successes = sum(o.success for o in outcomes)
    low, high = wilson_interval(successes, len(outcomes))
    failed = [o for o in outcomes if not o.success]
    stages = list(dict.fromkeys(stage for o in outcomes for stage in o.seconds))
    wall = sum(o.total_seconds for o in outcomes)
    return TrialsSummary(
        task=task,
        pipeline=pipeline,
        robot=robot,
        n=len(outcomes),
        successes=successes,
        wilson_low=low,
        wilson_high=high,
        failures=dict(Counter(o.failure for o in failed)),
        codes=dict(Counter(o.name for o in failed)),
        seconds={s: median(o.seconds[s] for o in outcomes if s in o.seconds) for s in stages},
        plan_ready_seconds=_median(o.plan_ready_seconds for o in outcomes),
        simulated_over_real=sum(o.simulated_seconds for o in outcomes) / max(wall, 1e-9),
        disagreements=sum(o.success != (o.code == 0) for o in outcomes),
        seeds=[outcomes[0].seed, outcomes[-1].seed],
    )


def as_json(summary: TrialsSummary, outcomes: Sequence[TrialOutcome]) -> list[dict[str, Any]]:
    """Return the results as JSON: a list with one row, its trials included."""
    return [asdict(summary) | {'trials': [asdict(outcome) for outcome in outcomes]}]


def table(summary: TrialsSummary) -> str:
    """Return the summary as a table in Markdown."""
    failures = ', '.join(f'{count} {name}' for name, count in summary.failures.items()) or 'none'
    rows = [
        ('task', summary.task),
        ('pipeline, robot', f'{summary.pipeline}, {summary.robot}'),
        ('success', f'{summary.successes} of {summary.n} ({summary.successes / summary.n:.0%})'),
        ('95 % interval', f'{summary.wilson_low:.0%} to {summary.wilson_high:.0%}'),
        ('failures', failures),
        ('pipeline and simulator disagree', f'{summary.disagreements} of {summary.n}'),
        ('accepted to plan ready', _seconds(summary.plan_ready_seconds)),
        *((stage.lower(), _seconds(value)) for stage, value in summary.seconds.items()),
        ('simulated over real time', f'{summary.simulated_over_real:.1f}'),
    ]
    width = max(len(name) for name, _ in rows)
    value_width = max(len(value) for _, value in rows)
    lines = [
        f'| {"":{width}} | {"":{value_width}} |',
        f'|{"-" * (width + 2)}|{"-" * (value_width + 2)}|',
    ]
    lines += [f'| {name:{width}} | {value:{value_width}} |' for name, value in rows]
    return '\n'.join(lines)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _seconds(value: float | None) -> str:
    return 'none' if value is None else f'{value:.2f} s median'
