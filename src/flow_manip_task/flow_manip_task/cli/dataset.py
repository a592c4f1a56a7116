# SPDX-License-Identifier: Apache-2.0
"""`flow_manip dataset`: make, check and show samples of 3D object flow."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time

from flow_manip_task.cli import engine

_PERIOD = 2.0  # [s] between lines of progress where there is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dataset` takes."""
    commands = parser.add_subparsers(metavar='COMMAND', required=True)

    make = commands.add_parser('make', help='from the simulated cell; goes on where it stopped')
    make.epilog = 'example: flow_manip dataset make --out flows --count 20000 --processes 2'
    make.add_argument('--out', type=Path, required=True, metavar='FOLDER')
    make.add_argument('--count', type=int, default=1000, metavar='N', help='samples')
    make.add_argument('--seed', type=int, default=0)
    make.add_argument('--split', choices=('train', 'test'), default='train')
    make.add_argument('--processes', type=int, default=1, metavar='N', help='that draw')
    make.add_argument('--size', type=int, nargs=2, metavar=('W', 'H'), help='default: 256 192')
    make.add_argument('--steps', type=int, metavar='T', help='of every flow; default: 16')
    make.add_argument('--points', type=int, metavar='N', help='at most; default: 256')
    make.add_argument('--views', type=int, metavar='N', help='samples per scene; default: 8')
    make.add_argument('--shard-mb', type=int, default=256, metavar='MB', help='size of a shard')
    make.set_defaults(run=run_make)

    engine.add_arguments(
        commands.add_parser('engine', help='from raw video, by finding what moves; resumable')
    )

    check = commands.add_parser('check', help='read everything, say what is wrong')
    check.add_argument('folder', type=Path)
    check.set_defaults(run=run_check)

    show = commands.add_parser('show', help='a picture of random samples with their flow')
    show.add_argument('folder', type=Path)
    show.add_argument('--out', type=Path, metavar='PNG', help='default: FOLDER.png')
    show.add_argument('--count', type=int, default=16, metavar='N')
    show.add_argument('--seed', type=int, default=0)
    show.add_argument(
        '--tag', action='append', default=[], metavar='NAME=VALUE', help='only those; repeatable'
    )
    show.set_defaults(run=run_show)


def run_make(options: argparse.Namespace) -> int:
    """Make a dataset.

    Raises:
        FlowManipError: as `make_simulated_dataset` says.
    """
    from flow_manip_learning.simulated import (
        make_simulated_dataset,
        SimulatedConfig,
        SimulatedRecipe,
    )

    width, height = options.size or (None, None)
    chosen = {
        'width': width,
        'height': height,
        'steps': options.steps,
        'points': options.points,
        'views': options.views,
    }
    config = SimulatedConfig(**{name: v for name, v in chosen.items() if v is not None})
    recipe = SimulatedRecipe(options.count, options.seed, options.split, config)
    report = make_simulated_dataset(
        options.out,
        recipe,
        processes=options.processes,
        max_shard_bytes=options.shard_mb * 2**20,
        on_progress=_Progress(),
    )
    print(
        f'{report.samples} samples in {options.out}, {report.bytes / 2**20:.1f} MiB '
        f'({report.bytes / max(report.samples, 1) / 1000:.1f} kB each); {report.made} made from '
        f'{report.scenes} scenes in {report.seconds:.1f} s: {report.rate:.2f} samples/s'
    )
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Check a dataset; 1 where something is wrong."""
    from flow_manip_learning.dataset import check_dataset, DatasetIndex

    problems = check_dataset(options.folder)
    for problem in problems:
        print(problem)
    if not problems:
        index = DatasetIndex.read(options.folder)
        print(f'{index.num_samples} samples in {len(index.shards)} shards: nothing is wrong')
    return 1 if problems else 0


def run_show(options: argparse.Namespace) -> int:
    """Write a contact sheet.

    Raises:
        InvalidInputError: it is no dataset, damaged, or no sample has the tags.
        RecordError: the picture cannot be written.
    """
    from flow_manip_learning.dataset import write_contact_sheet

    out = options.out or options.folder.with_suffix('.png')
    tags = dict(tag.partition('=')[::2] for tag in options.tag)
    shown = write_contact_sheet(
        options.folder, out, count=options.count, seed=options.seed, tags=tags
    )
    print(f'{shown} samples: {out}')
    return 0


class _Progress:
    """One line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, done: int, count: int, rate: float) -> None:
        now = time.monotonic()
        live = sys.stderr.isatty()
        if now < self._told + (0.1 if live else _PERIOD) and done < count:
            return
        self._told = now
        left = (count - done) / rate if rate > 0 else float('nan')
        line = f'{done}/{count} samples, {rate:.2f}/s, {left / 60:.1f} min left'
        ending = '\n' if done >= count or not live else ''
        print(f'\r{line}\x1b[K' if live else line, end=ending, file=sys.stderr, flush=True)
