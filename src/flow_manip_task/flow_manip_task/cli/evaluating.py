# SPDX-License-Identifier: Apache-2.0
"""The command `flow_manip evaluate`: tasks x pipelines x robots x flows x seeds, and the table."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace, SUPPRESS
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
import sys
import time
from typing import TextIO, TYPE_CHECKING

from flow_manip_core.errors import InvalidInputError

if TYPE_CHECKING:
    from flow_manip_task.evaluation.conditions import Condition
    from flow_manip_task.evaluation.log import TrialLine

EXAMPLE = 'flow_manip evaluate --task put --flow oracle noisy:0.01 --seeds 0:50 --out put.json'


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.epilog = f'example: {EXAMPLE}'
    several = {'nargs': '+', 'action': 'extend', 'default': SUPPRESS}
    parser.add_argument('--task', metavar='T', help="names; 'all': every task", **several)
    parser.add_argument('--pipeline', metavar='P', help='default: default', **several)
    parser.add_argument('--robot', metavar='R', help='default: franka', **several)
    parser.add_argument(
        '--flow',
        metavar='F',
        help="'oracle' (default), 'noisy:<metres>[:<dropout>]', 'generated', "
        "'dream[:<share of good videos>[:<videos per goal>[:goal]]]'",
        **several,
    )
    parser.add_argument('--seeds', default='0:50', metavar='A:B', help='A to B - 1; default: 0:50')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='JSON; trials go beside it'
    )
    parser.add_argument('--processes', type=_processes, default=1, metavar='N')
    parser.add_argument(
        '--loop', choices=('closed', 'open'), help='default: closed; both may be given', **several
    )
    parser.add_argument(
        '--baseline',
        choices=('rigid_replay', 'adjacent_replay'),
        help="rows beside the pipeline's: the flow's rigid transforms, replayed",
        **several,
    )
    parser.add_argument(
        '--no-goal-ik',
        action='store_true',
        help="rows beside the pipeline's: grasps are tested at the start only",
    )
    parser.add_argument(
        '--disturb',
        choices=('none', 'slip', 'push', 'moved_target'),
        help='what goes wrong once in every trial; default: none; several may be given',
        **several,
    )
    parser.set_defaults(run=evaluate)


def evaluate(options: Namespace) -> int:
    """Run what is not finished yet, write the rows, and print them as a table."""
    from flow_manip_task.evaluation.comparison import compare, trials_path
    from flow_manip_task.evaluation.conditions import parse_seeds
    from flow_manip_task.evaluation.report import table

    rows, seeds = conditions_of(options), parse_seeds(options.seeds)
    counter = Counting(sys.stderr)
    try:
        results = compare(
            rows,
            seeds,
            options.out,
            processes=options.processes,
            on_resume=counter.resume,
            on_trial=counter.count,
        )
    except KeyboardInterrupt:
        print(
            f'\ninterrupted; what is finished is in {trials_path(options.out)}, the same command '
            'goes on from there',
            file=sys.stderr,
        )
        raise
    print(table(results))
    return 0


def conditions_of(options: Namespace) -> list[Condition]:
    """Return the conditions that the options name.

    Raises:
        InvalidInputError: no task is named, or something is unknown.
    """
    from flow_manip_task.evaluation.conditions import conditions, NO_GOAL_IK
    from flow_manip_task.evaluation.running import tasks

    values = vars(options)
    names = values.get('task', [])
    if not names:
        raise InvalidInputError(f'name one --task or more, or all; known: {sorted(tasks())}')
    baselines = ['', *values.get('baseline', [])]
    if options.no_goal_ik:
        baselines.append(NO_GOAL_IK)
    return conditions(
        sorted(tasks()) if 'all' in names else names,
        values.get('pipeline', ['default']),
        values.get('robot', ['franka']),
        values.get('flow', ['oracle']),
        values.get('loop', ['closed']),
        baselines,
        ['' if kind == 'none' else kind for kind in values.get('disturb', ['none'])],
    )


class Counting:
    """One line per trial: how far the whole is and how fast, then how this one ended."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._begun = time.monotonic()
        self._total = self._before = self._done = 0
        self._won: Counter[Condition] = Counter()
        self._tried: Counter[Condition] = Counter()

    def resume(self, finished: Sequence[TrialLine], total: int) -> None:
        """Take what is finished already, of how many trials."""
        self._before, self._total = len(finished), total
        for line in finished:
            self._won[line.condition] += line.success
            self._tried[line.condition] += 1
        if finished:
            print(f'{len(finished)} of {total} trials are finished already', file=self._stream)

    def count(self, line: TrialLine) -> None:
        """Show a trial that ended."""
        self._done += 1
        self._won[line.condition] += line.success
        self._tried[line.condition] += 1
        done, spent = self._before + self._done, time.monotonic() - self._begun
        left = (self._total - done) * spent / self._done
        row = line.condition
        words = (row.task, row.flow, row.loop, row.baseline, row.disturbance)
        what = ' '.join(word for word in words if word)
        if line.success:
            how = 'ok'
        else:
            how = f'FAILED {line.failure}: {line.name} {" ".join(line.message.split())[:160]}'
        print(
            f'{done}/{self._total}  {60 * self._done / spent:.1f}/min  {_clock(left)} left  '
            f'{what}  {self._won[row]}/{self._tried[row]}  seed {line.seed}  {how}',
            file=self._stream,
            flush=True,
        )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f'{minutes // 60}:{minutes % 60:02}:{seconds:02}'


def _processes(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 256:
        raise ArgumentTypeError(f'{value} is not within 1..256')
    return value
