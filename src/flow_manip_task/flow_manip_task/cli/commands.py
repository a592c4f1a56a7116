# SPDX-License-Identifier: Apache-2.0
"""What each command does. ROS and the simulator are imported by the commands that need them."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
import json
import math
import os
from pathlib import Path
import sys
from typing import Any
import webbrowser

from flow_manip_core.errors import BackendError, RecordError
from flow_manip_task.cli.progress import Progress, report
from flow_manip_task.page import make_page, read_report
from flow_manip_task.stages import ManipulateRequest, ManipulationResult


def run(options: Namespace) -> int:
    """Send a goal to the running bring-up."""
    client = _ros('flow_manip_task.ros.client')
    progress = Progress(sys.stderr if options.json else sys.stdout, quiet=options.json)
    with client.FlowManipulator(options.namespace) as robot:
        try:
            result = robot.run(
                options.instruction,
                object=options.object,
                seed=options.seed,
                dry_run=options.dry_run,
                pipeline=options.pipeline,
                timeout=options.timeout,
                on_feedback=lambda f: progress.show(f.stage, f.attempt, f.progress, f.text),
            )
        finally:
            progress.close()
    return finish(result, options.json)


def demo(options: Namespace) -> int:
    """Start everything, run one instruction, stop everything."""
    if options.local:
        return _demo_local(options)
    bringup = _ros('flow_manip_task.ros.bringup')
    progress = Progress(sys.stderr if options.json else sys.stdout, quiet=options.json)
    try:
        arguments = [f'seed:={options.seed}']
        if options.scene:
            arguments.append(f'scene:={options.scene}')
        with bringup.Bringup(arguments, verbose=options.verbose, note=progress.note) as running:
            result = running.run(
                options.instruction,
                seed=options.seed,
                timeout=options.timeout,
                on_feedback=lambda f: progress.show(f.stage, f.attempt, f.progress, f.text),
            )
            progress.close()
            if options.keep:
                finish(result, options.json)
                print('the bring-up runs until Ctrl-C', file=sys.stderr)
                running.wait()
                return 0 if result.succeeded else 1
    finally:
        progress.close()
    return finish(result, options.json)


def _demo_local(options: Namespace) -> int:
    from flow_manip_task.local import LocalCell

    progress = Progress(sys.stderr if options.json else sys.stdout, quiet=options.json)
    try:
        cell = LocalCell.build(record_folder=runs_folder())
        cell.reset(options.seed, options.scene or 'tabletop')
        request = ManipulateRequest(options.instruction, seed=options.seed)
        result = cell.run(request, listener=progress)
        cell.close()
    finally:
        progress.close()
    return finish(result, options.json)


def show(options: Namespace) -> int:
    """Open a record, write it as one page, or serve it in 3D."""
    folder = options.record or newest_record(runs_folder())
    if options.serve:
        from flow_manip_task.replay import serve_record

        serve_record(folder, options.port)
        return 0
    if options.write:
        try:
            options.write.write_text(make_page(folder), encoding='utf-8')
        except OSError as error:
            raise RecordError(f'{options.write}: {error.strerror}') from error
        print(options.write)
        return 0
    read_report(folder)
    page = (folder / 'index.html').resolve()
    print(page)
    if not webbrowser.open(page.as_uri()):
        print('no browser here; open that file in one', file=sys.stderr)
    return 0


def trials(options: Namespace) -> int:
    """Run seeded trials and print their table."""
    from flow_manip_task import evaluation

    if options.json:
        # Better now than after an hour of trials.
        try:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.touch()
        except OSError as error:
            raise RecordError(f'{options.json}: {error.strerror}') from error

    def on_trial(outcome: evaluation.TrialOutcome) -> None:
        verdict = 'ok    ' if outcome.success else 'FAILED'
        why = '' if outcome.success else f'  {outcome.failure}: {outcome.name} {outcome.message}'
        print(
            f'{outcome.seed:4d}  {verdict}  {outcome.total_seconds:5.1f} s  '
            f'{outcome.instruction}{why[:160]}',
            flush=True,
        )

    outcomes = evaluation.run_trials(
        options.n,
        seed=options.seed,
        pipeline=options.pipeline,
        robot=options.robot,
        record_folder=options.records,
        on_trial=on_trial,
    )
    summary = evaluation.summarize(
        outcomes,
        task='put the <colour> <shape> on/in the <target>',
        pipeline=options.pipeline,
        robot=options.robot,
    )
    if options.json:
        text = json.dumps(evaluation.as_json(summary, outcomes), indent=1)
        options.json.write_text(text + '\n', encoding='utf-8')
    print()
    print(evaluation.table(summary))
    return 0


def finish(result: ManipulationResult, as_json: bool) -> int:
    """Print how a goal ended and return the exit code."""
    if as_json:
        print(json.dumps(result_facts(result), indent=1))
    else:
        print('\n'.join(report(result)), flush=True)
    return 0 if result.succeeded else 1


def result_facts(result: ManipulationResult) -> dict[str, Any]:
    """Return a result as JSON values."""
    facts = asdict(result)
    facts['failure'] = result.failure.name
    facts['stage'] = result.stage.name if result.stage else None
    facts['succeeded'] = result.succeeded
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in facts.items()
    }


def runs_folder() -> Path:
    """Return where records are kept: FLOW_MANIP_RUNS, or runs/ here."""
    return Path(os.environ.get('FLOW_MANIP_RUNS') or 'runs')


def newest_record(folder: Path) -> Path:
    """Return the record in a folder that was made last.

    Raises:
        RecordError: there is none.
    """
    records = sorted(path.parent for path in folder.glob('*/report.json'))
    if not records:
        raise RecordError(f'no record in {folder.resolve()}; name one')
    return records[-1]


def _ros(module: str) -> Any:
    """Import a module that needs ROS.

    Raises:
        BackendError: this shell has no ROS.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise BackendError(
            f"{error}; this shell has no ROS workspace: run 'source env.sh', or use --local"
        ) from error
