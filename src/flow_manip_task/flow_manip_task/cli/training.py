# SPDX-License-Identifier: Apache-2.0
"""`flow_manip train`: a flow world model from a data set of 3D flow."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
import signal
import sys
import time
from types import FrameType

from flow_manip_core.errors import BackendError, CancelledError

SAID_EVERY = 10.0  # [s]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `train` takes."""
    parser.epilog = (
        'A run that was stopped goes on from its newest checkpoint. Several GPUs: '
        'accelerate launch --no_python flow_manip train <config>'
    )
    parser.add_argument('config', help='yaml file, or: compact, paper, fine_tune')
    parser.add_argument('--dataset', default='', metavar='FOLDER', help='instead of the file')
    parser.add_argument('--output', default='', metavar='FOLDER', help='instead of the file')
    parser.add_argument('--seed', type=int, default=-1, help='instead of the file')
    parser.add_argument(
        '--until', type=int, default=0, metavar='STEP', help='stop there, with a checkpoint'
    )
    parser.set_defaults(run=run_training)


def run_training(options: argparse.Namespace) -> int:
    """Train, and say what came of it.

    Raises:
        FlowManipError: as `train` says.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written first.
    """
    try:
        from flow_manip_learning.training.config import find_config
        from flow_manip_learning.training.trainer import train
    except ImportError as error:
        raise BackendError(f'{error}; install what training needs: make setup-models') from error

    config = find_config(options.config)
    given = {name: getattr(options, name) for name in ('dataset', 'output')}
    changes = {name: value for name, value in given.items() if value}
    if options.seed >= 0:
        changes['seed'] = options.seed
    config = replace(config, **changes)
    with _interrupted() as stopped:
        try:
            result = train(
                config,
                until=options.until,
                on_step=_Progress(config.steps),
                cancelled=lambda: bool(stopped),
            )
        except CancelledError as error:
            print(error, file=sys.stderr)
            raise KeyboardInterrupt from error
    for step, numbers in sorted(result.validations.items()):
        said = ', '.join(f'{name} {value:.4f}' for name, value in numbers.items())
        print(f'step {step}: {said}')
    print(
        f'{result.steps} steps, {result.seconds_per_step:.3f} s each; weights in {result.weights}'
    )
    return 0


class _Progress:
    """Says every few seconds how far a run is."""

    def __init__(self, steps: int) -> None:
        """Start the clock."""
        self._steps = steps
        self._first: tuple[int, float] | None = None
        self._said = 0.0

    def __call__(self, step: int, loss: float) -> None:
        """Take one step's loss."""
        now = time.monotonic()
        if self._first is None:
            self._first = step, now
        if now - self._said < SAID_EVERY:
            return
        self._said = now
        done = step - self._first[0]
        left = (now - self._first[1]) / done * (self._steps - step) / 60 if done else float('nan')
        print(
            f'step {step} of {self._steps}, loss {loss:.4f}, {left:.0f} min left', file=sys.stderr
        )


@contextmanager
def _interrupted() -> Iterator[list[int]]:
    """Give a list that is not empty once Ctrl-C was pressed; a second one ends at once."""
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
