# SPDX-License-Identifier: Apache-2.0
"""Arguments and dispatch; each command is a function that returns the exit code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys

from flow_manip_core.errors import FlowManipError
from flow_manip_task.cli import commands, dataset, evaluating, lifting, serving, training

DEMO = 'put the red cube on the plate'
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0: done; 1: failed; 2: wrong usage; 130: interrupted, after the goal was cancelled.
    """
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return INTERRUPTED
    except FlowManipError as error:
        print(f'failed: {error.code} {error.name}: {error}', file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader, e.g. `head`, has seen enough.
        return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog='flow_manip',
        description='Tell a robot what to do; an imagined flow of the object leads its hand.',
        epilog='exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted',
    )
    subparsers = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)

    run = subparsers.add_parser('run', help='send an instruction to a running bring-up')
    _goal_arguments(run)
    run.add_argument('--dry-run', action='store_true', help='plan and record, do not move')
    run.set_defaults(run=commands.run)

    plan = subparsers.add_parser('plan', help='the same as run --dry-run')
    _goal_arguments(plan)
    plan.set_defaults(run=commands.run, dry_run=True)

    demo = subparsers.add_parser('demo', help='start the simulation and run one instruction')
    demo.add_argument('--instruction', default=DEMO, metavar='TEXT', help=f"default: '{DEMO}'")
    demo.add_argument('--seed', type=_seed, default=0, help='of the scene and the goal')
    demo.add_argument('--scene', default='', help='what stands on the table, as in bring-up')
    demo.add_argument('--local', action='store_true', help='in this process, without ROS')
    demo.add_argument(
        '--keep', action='store_true', help='leave the bring-up running until Ctrl-C'
    )
    demo.add_argument('--timeout', type=_seconds, default=300.0, metavar='S', help='of the goal')
    demo.add_argument('--json', action='store_true', help='print the result as JSON')
    demo.add_argument('--verbose', action='store_true', help="show the nodes' output")
    demo.set_defaults(run=commands.demo)

    show = subparsers.add_parser('show', help="open a goal's record in the browser")
    show.add_argument('record', type=Path, nargs='?', help='folder; default: the newest in ./runs')
    way = show.add_mutually_exclusive_group()
    way.add_argument('--write', type=Path, metavar='FILE', help='write one self-contained page')
    way.add_argument('--serve', action='store_true', help='serve a 3D view of it on this machine')
    show.add_argument('--port', type=_port, default=8080, help='of the 3D view')
    show.set_defaults(run=commands.show)

    trials = subparsers.add_parser('trials', help='seeded trials in simulation, and their table')
    trials.add_argument('--n', type=_count, default=50, help='how many')
    trials.add_argument('--seed', type=_seed, default=0, help='of the first')
    trials.add_argument('--pipeline', default='default')
    trials.add_argument('--robot', default='franka')
    trials.add_argument('--json', type=Path, metavar='FILE', help='write the results here')
    trials.add_argument('--records', type=Path, metavar='FOLDER', help='keep a record of each')
    trials.set_defaults(run=commands.trials)

    evaluate = subparsers.add_parser(
        'evaluate', help='tasks x pipelines x robots x flows x seeds in simulation, as a table'
    )
    evaluating.add_arguments(evaluate)

    lift = subparsers.add_parser('lift', help="a clip to one object's 3D flow, with pictures")
    lifting.add_arguments(lift)

    samples = subparsers.add_parser('dataset', help='samples of 3D flow: make, check, show')
    dataset.add_arguments(samples)

    trained = subparsers.add_parser('train', help='a flow world model from such samples')
    training.add_arguments(trained)

    serve = subparsers.add_parser('serve', help='serve models to the `remote` backends')
    serving.add_arguments(serve)
    return parser


def _goal_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('instruction', help="what to do, e.g. 'put the red cube on the plate'")
    parser.add_argument('--object', default='', help='words for the object that moves')
    parser.add_argument('--pipeline', default='', help='the one that is expected to run')
    parser.add_argument('--seed', type=_seed, default=0)
    parser.add_argument('--namespace', default='', help='of the bring-up')
    parser.add_argument('--timeout', type=_seconds, default=600.0, metavar='S')
    parser.add_argument('--json', action='store_true', help='print the result as JSON')


def _seed(text: str) -> int:
    return _within(text, 0, 2**32 - 1)


def _count(text: str) -> int:
    return _within(text, 1, 1_000_000)


def _port(text: str) -> int:
    return _within(text, 1, 65535)


def _within(text: str, low: int, high: int) -> int:
    value = int(text)
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f'{value} is not within {low}..{high}')
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f'{value} is not a time in seconds')
    return value
