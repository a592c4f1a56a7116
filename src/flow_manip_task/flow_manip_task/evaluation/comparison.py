# SPDX-License-Identifier: Apache-2.0
"""A whole comparison: what is finished is kept, the rest is run, the table is of all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
from pathlib import Path

from flow_manip_core.errors import RecordError, StageTimeoutError
from flow_manip_task.evaluation.conditions import check_names, Condition, Job, jobs_of
from flow_manip_task.evaluation.log import TrialLine, TrialLog
from flow_manip_task.evaluation.report import Row, rows_of
from flow_manip_task.evaluation.running import broken_line, tasks, TrialRunner
from flow_manip_task.evaluation.workers import Lost, run_jobs

OnTrial = Callable[[TrialLine], None]
OnResume = Callable[[Sequence[TrialLine], int], None]


def trials_path(out: Path) -> Path:
    """Return where the trials of a results file are: beside it, with '.trials.jsonl' added."""
    return out.with_name(out.name + '.trials.jsonl')


def compare(
    conditions: Sequence[Condition],
    seeds: range,
    out: Path,
    *,
    processes: int = 1,
    on_resume: OnResume = lambda finished, total: None,
    on_trial: OnTrial = lambda line: None,
) -> list[Row]:
    """Run every condition over the seeds and write the rows to `out` as a JSON list.

    Trials that `trials_path(out)` holds are not run again; each that ends is added to it at once.
    Interrupted, it leaves that file whole, and the same call goes on from there.

    Args:
        conditions: one row each.
        seeds: of every condition.
        out: file of the rows.
        processes: that run trials at a time; the results do not depend on it.
        on_resume: told the trials that are finished already, and how many there are in all.
        on_trial: told of every trial that ends.

    Raises:
        InvalidInputError, UnknownPipelineError, ConfigurationError, BackendError: a name is
            unknown or something cannot be built.
        RecordError: a file cannot be read or written.
    """
    check_names(conditions, tasks())
    log = TrialLog(trials_path(out))
    wanted = jobs_of(conditions, seeds)
    finished = log.read()
    lines = {job: finished[job] for job in wanted if job in finished}
    log.prepare()
    on_resume(list(lines.values()), len(wanted))
    for job, result in run_jobs([j for j in wanted if j not in lines], TrialRunner, processes):
        lines[job] = _lost_line(job, result) if isinstance(result, Lost) else result
        log.append([lines[job]])
        on_trial(lines[job])
    rows = rows_of([lines[job] for job in wanted])
    write_rows(rows, out)
    return rows


def write_rows(rows: Sequence[Row], out: Path) -> None:
    """Write rows as a JSON list; the file is there whole or as it was.

    Raises:
        RecordError: it cannot be written.
    """
    text = json.dumps([row.as_json() for row in rows], indent=1, allow_nan=False) + '\n'
    part = out.with_name(out.name + '.part')
    try:
        part.write_text(text, encoding='utf-8')
        part.replace(out)
    except OSError as error:
        raise RecordError(f'{out}: {error.strerror}') from error


def _lost_line(job: Job, lost: Lost) -> TrialLine:
    """Return the line of a trial whose process did not come back."""
    return broken_line(job, StageTimeoutError.code, StageTimeoutError.name, lost.reason)
