# SPDX-License-Identifier: Apache-2.0
"""What is compared: task x pipeline x robot x flow x loop x baseline, each over the same seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product

from flow_manip_core.config import config_root
from flow_manip_core.errors import ConfigurationError, InvalidInputError, UnknownPipelineError
from flow_manip_task.evaluation.flow_sources import SourceSpec

CLOSED, OPEN = 'closed', 'open'
LOOPS = (CLOSED, OPEN)
# '' is the pipeline itself.
RIGID_REPLAY, ADJACENT_REPLAY = 'rigid_replay', 'adjacent_replay'
NO_GOAL_IK = 'no_goal_ik'
BASELINES = ('', RIGID_REPLAY, ADJACENT_REPLAY, NO_GOAL_IK)
DISTURBANCES = ('', 'slip', 'push', 'moved_target')  # of flow_manip_mujoco.disturbances
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Condition:
    """One row of the results.

    Attributes:
        task: name in `tasks()`.
        pipeline: name in config/pipelines.
        robot: name in config/robots.
        flow: of a trial, as `SourceSpec` reads and writes it.
        loop: 'closed': watched while it moves and tried again as the pipeline says; 'open':
            tried once, unwatched.
        baseline: '' for the pipeline itself, 'rigid_replay', 'adjacent_replay' or 'no_goal_ik'.
        disturbance: what goes wrong on purpose once per trial: '', 'slip', 'push' or
            'moved_target'.
    """

    task: str
    pipeline: str = 'default'
    robot: str = 'franka'
    flow: str = 'oracle'
    loop: str = CLOSED
    baseline: str = ''
    disturbance: str = ''

    def __post_init__(self) -> None:
        """Refuse words that name nothing, and write the flow in its one way."""
        words = (
            ('loop', self.loop, LOOPS),
            ('baseline', self.baseline, BASELINES),
            ('disturbance', self.disturbance, DISTURBANCES),
        )
        for kind, value, known in words:
            if value not in known:
                raise InvalidInputError(f"no {kind} '{value}'; known: {list(known)}")
        object.__setattr__(self, 'flow', SourceSpec.parse(self.flow).text)


@dataclass(frozen=True)
class Job:
    """One trial of a condition."""

    condition: Condition
    seed: int


def conditions(
    tasks: Sequence[str],
    pipelines: Sequence[str],
    robots: Sequence[str],
    flows: Sequence[str],
    loops: Sequence[str] = (CLOSED,),
    baselines: Sequence[str] = ('',),
    disturbances: Sequence[str] = ('',),
) -> list[Condition]:
    """Return every combination once, in the order of the arguments.

    Raises:
        InvalidInputError: a flow, loop, baseline or disturbance is unknown.
    """
    every = product(tasks, pipelines, robots, flows, loops, baselines, disturbances)
    return list(dict.fromkeys(Condition(*values) for values in every))


def jobs_of(rows: Iterable[Condition], seeds: range) -> list[Job]:
    """Return the trials seed by seed, so that an interrupted run has all rows equally far."""
    rows = list(rows)
    return [Job(row, seed) for seed in seeds for row in rows]


def parse_seeds(text: str) -> range:
    """Read 'A:B' (B not included, as in Python) or one seed 'A'.

    Raises:
        InvalidInputError: it is neither, or empty, or outside 0..2**32 - 1.
    """
    first, colon, end = text.partition(':')
    try:
        low = int(first)
        high = int(end) if colon else low + 1
    except ValueError:
        raise InvalidInputError(f"seeds '{text}' are not A:B, e.g. 0:50") from None
    if not 0 <= low < high <= MAX_SEED + 1:
        raise InvalidInputError(f"seeds '{text}' hold none, or not all are within 0..{MAX_SEED}")
    return range(low, high)


def check_names(rows: Iterable[Condition], tasks: Iterable[str]) -> None:
    """Say of the first name that is unknown which one is nearest.

    Raises:
        InvalidInputError: a task is unknown.
        UnknownPipelineError: a pipeline is.
        ConfigurationError: a robot is.
    """
    root = config_root()
    pipelines = sorted(path.stem for path in (root / 'pipelines').glob('*.yaml'))
    robots = sorted(path.parent.name for path in (root / 'robots').glob('*/robot.yaml'))
    names = sorted(tasks)
    for row in rows:
        for kind, name, known, error in (
            ('task', row.task, names, InvalidInputError),
            ('pipeline', row.pipeline, pipelines, UnknownPipelineError),
            ('robot', row.robot, robots, ConfigurationError),
        ):
            if name not in known:
                raise error(f"no {kind} '{name}'{nearest(name, known)}")


def nearest(name: str, known: Sequence[str]) -> str:
    """Return '; did you mean ...?', or what there is."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f'; known: {list(known)}'
