# SPDX-License-Identifier: Apache-2.0
"""The table that trials add up to: as JSON and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from flow_manip_core.errors import FailureStage
from flow_manip_task.evaluation.conditions import CLOSED, Condition
from flow_manip_task.evaluation.log import TrialLine
from flow_manip_task.evaluation.trials import wilson_interval

CLASSES = tuple(stage.name.lower() for stage in FailureStage if stage is not FailureStage.NONE)


@dataclass(frozen=True)
class Row:
    """All trials of one condition.

    Attributes:
        condition: what was tried.
        n: trials.
        successes: of them, by the simulator's state.
        wilson_low: lower end of the 95 % Wilson interval of the success rate.
        wilson_high: upper end.
        progress: mean share of the task's stages that were done, 0..1.
        stages: of the task, in how many trials each was done.
        failures: count per class; 'other' beside the four where something else ended a trial.
        codes: count per reported code's name among the failures.
        disagreements: trials in which the pipeline's opinion differs from the simulator's state.
        disturbed: trials in which something went wrong on purpose.
        attempts: mean number of them.
        seconds: median wall time per stage, of the trials that came to it [s].
        seeds: [first, last].
    """

    condition: Condition
    n: int
    successes: int
    wilson_low: float
    wilson_high: float
    progress: float
    stages: dict[str, int]
    failures: dict[str, int]
    codes: dict[str, int]
    disagreements: int
    disturbed: int
    attempts: float
    seconds: dict[str, float]
    seeds: list[int]

    def as_json(self) -> dict[str, Any]:
        """Return it with the condition's fields beside its own."""
        values = asdict(self)
        return values.pop('condition') | values


def rows_of(lines: Iterable[TrialLine]) -> list[Row]:
    """Return one row per condition, in the order in which they come."""
    groups: dict[Condition, list[TrialLine]] = {}
    for line in lines:
        groups.setdefault(line.condition, []).append(line)
    return [row_of(group) for group in groups.values()]


def row_of(lines: Sequence[TrialLine]) -> Row:
    """Add up the trials of one condition.

    Raises:
        InvalidInputError: there is none.
    """
    successes = sum(line.success for line in lines)
    low, high = wilson_interval(successes, len(lines))
    lines = sorted(lines, key=lambda line: line.seed)
    failed = [line for line in lines if not line.success]
    classes = Counter(line.failure for line in failed)
    names = list(dict.fromkeys(stage for line in lines for stage in line.seconds))
    stages = list(dict.fromkeys(stage for line in lines for stage in line.progress))
    return Row(
        condition=lines[0].condition,
        n=len(lines),
        successes=successes,
        wilson_low=low,
        wilson_high=high,
        progress=fmean(_share_done(line) for line in lines),
        stages={s: sum(line.progress.get(s, False) for line in lines) for s in stages},
        failures={name: classes.pop(name, 0) for name in CLASSES} | dict(classes),
        codes=dict(Counter(line.name for line in failed)),
        disagreements=sum(line.success != (line.code == 0) for line in lines),
        disturbed=sum(bool(line.disturbed) for line in lines),
        attempts=fmean(line.attempts for line in lines),
        seconds={s: median(ln.seconds[s] for ln in lines if s in ln.seconds) for s in names},
        seeds=[lines[0].seed, lines[-1].seed],
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown; columns that say the same everywhere are left out.

    'video', 'tracking', 'grasp' and 'execution' count failures.
    """
    header = ['task', 'pipeline', 'robot', 'flow', 'loop', 'baseline', 'disturbance']
    facts = [[getattr(row.condition, name) or 'none' for name in header] for row in rows]
    usual = {'pipeline': 'default', 'robot': 'franka', 'loop': CLOSED}
    usual |= {'baseline': 'none', 'disturbance': 'none'}
    shown = [
        index
        for index, name in enumerate(header)
        if name not in usual or any(fact[index] != usual[name] for fact in facts)
    ]
    others = any(_others(row) for row in rows)
    titles = [header[index] for index in shown]
    titles += ['success', '95 %', 'progress', *CLASSES, *(['other'] if others else []), 'time']
    cells = [
        [fact[index] for index in shown] + _figures(row, others) for fact, row in zip(facts, rows)
    ]
    return markdown(titles, cells)


def markdown(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    columns = list(zip(titles, *cells))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = [titles, ['-' * width for width in widths], *cells]
    return '\n'.join(
        '| ' + ' | '.join(f'{cell:{width}}' for cell, width in zip(line, widths)) + ' |'
        for line in lines
    )


def _figures(row: Row, others: bool) -> list[str]:
    """Return the cells of a row that are counted."""
    counts = [str(row.failures[name] or '') for name in CLASSES]
    if others:
        counts.append(str(_others(row) or ''))
    return [
        f'{row.successes}/{row.n} ({row.successes / row.n:.0%})',
        f'{row.wilson_low:.0%}-{row.wilson_high:.0%}',
        f'{row.progress:.0%}',
        *counts,
        f'{sum(row.seconds.values()):.1f} s',
    ]


def _others(row: Row) -> int:
    return sum(count for name, count in row.failures.items() if name not in CLASSES)


def _share_done(line: TrialLine) -> float:
    """Return which share of a trial's stages was done; success is all of them."""
    if line.success:
        return 1.0
    return fmean(line.progress.values()) if line.progress else 0.0
