# SPDX-License-Identifier: Apache-2.0
"""Choosing among dreams: how often is the chosen one of 8 videos good?

Every goal is a task of the suite. Its videos are those of the simulated generator, good ones and
ones with each of its failures; each goes through the checks and the lifter as in a goal, with the
default parameters (points valid per frame, as Dream2Flow's are), and is a candidate or dropped
with its error. Sets of 8 are drawn from them, with 15, 46 and 75 % good ones, as published systems
found, and `geometric` chooses among what is left.

A choice is right where the lifted points keep within 3 cm of where the motion that was asked for
brings them, in the median, at every frame: a video that flickers, or whose camera's drift the
lifter takes out, may be none of the good ones and right to choose (`by_label` counts the good ones
only). A set where everything is dropped or vetoed counts as not right: a goal would be told so,
and nothing would move. The peer takes one of the 8 videos at random. `ceiling` is the share of
sets with a right one; `refused` is the share of sets that end without a choice.

`rejection_synthetic` has more draws of motions that go wrong without pictures.

Other sizes: ``python tests/benchmarks/rejection.py --seeds 2 --good 8 --bad 16 --sets 20``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rejection_synthetic import CANDIDATES, GOAL_AT_46, RATES
from rows import row

from flow_manip_core.errors import FlowManipError, NoAcceptableFlowError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import invert_transform
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks import TASKS
from flow_manip_mujoco.video import SimulatedVideo
from flow_manip_mujoco.video.truth import VideoTruth
from flow_manip_perception.video_to_flow import create_video_lifter
from flow_manip_world_model.selection.geometric import GeometricSelection
from flow_manip_world_model.video.plausibility import check_video, VideoCheckConfig

SEEDS, GOOD, BAD, SETS, SEED = 1, 5, 9, 20, 0
RIGHT_WITHIN = 0.03  # [m] of the motion that was asked for
LIFTER = {
    'depth': {'backend': 'sensor', 'sensor': {'kind': 'relative'}},
    'tracking': {'backend': 'lucas_kanade'},
    'lifting': {'lifting': {'keep': 'per_frame'}},
}


@dataclass(frozen=True)
class Dreamt:
    """What became of one video.

    Attributes:
        kind: what is wrong with it, or 'good'.
        flow: lifted from it; None where it was dropped.
        off: largest distance on the way from what was asked for [m]; infinite without a flow.
        error: why it was dropped.
    """

    kind: str
    flow: ObjectFlow | None
    off: float = float('inf')
    error: str = ''

    @property
    def right(self) -> bool:
        """Say whether it does what was asked for."""
        return self.off <= RIGHT_WITHIN


@dataclass(frozen=True)
class Goal:
    """A goal and videos of it, good ones and others.

    Attributes:
        name: task and seed.
        instruction: in words.
        observation: that they begin with.
        mask: of what should move.
        good: what became of the good videos.
        bad: of the others.
    """

    name: str
    instruction: str
    observation: Observation
    mask: Mask
    good: tuple[Dreamt, ...]
    bad: tuple[Dreamt, ...]


def goals(seeds: int, good: int, bad: int, first_seed: int) -> Iterator[Goal]:
    """Dream of every task with every seed."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    cell = SimulatedCell(context)
    told = Context(context.robot, context.rig, simulation=cell.state)
    generators = [SimulatedVideo(SimulatedVideo.Config(good_rate=r), told) for r in (1.0, 0.0)]
    lifter = create_video_lifter(LIFTER, context)
    for number, (name, task) in enumerate(TASKS.items()):
        # Another seed for every goal, or all would fail alike.
        for seed in range(first_seed + seeds * number, first_seed + seeds * (number + 1)):
            trial = task.make_trial(seed)
            trial.reset(cell)
            step = trial.steps[0]
            observation, mask = cell.observe(noise=True), cell.true_mask(step.body)
            kinds = []
            for generator, count in zip(generators, (good, bad)):
                videos = generator.generate(
                    observation, step.instruction, num_videos=count, seed=seed
                )
                kinds.append(
                    tuple(_dreamt(generator, lifter, v, observation, mask) for v in videos)
                )
            yield Goal(f'{name}:{seed}', step.instruction, observation, mask, *kinds)
    cell.close()


def _dreamt(
    generator: SimulatedVideo, lifter: Any, video: Any, observation: Observation, mask: Mask
) -> Dreamt:
    """Check and lift one video, as a goal does."""
    truth = generator.truth(video)
    kind = truth.failure or 'good'
    try:
        check_video(video, observation, mask, VideoCheckConfig())
        flow = lifter.lift(video, observation, mask).flow
    except FlowManipError as error:
        return Dreamt(kind, None, error=f'{error.name}: {error}')
    return Dreamt(kind, flow, distance_off(flow, truth))


def distance_off(flow: ObjectFlow, truth: VideoTruth) -> float:
    """Return how far a flow strays from the reference motion: median of its points, worst step."""
    frames = np.abs(truth.times[None] - flow.times[:, None]).argmin(axis=1)
    moves = truth.reference[frames] @ invert_transform(truth.reference[0])
    start = flow.points[0].astype(np.float64)
    asked = np.einsum('tij,nj->tni', moves[:, :3, :3], start) + moves[:, None, :3, 3]
    known = flow.visible & flow.visible[:1]
    away = np.where(known, np.linalg.norm(flow.points - asked, axis=-1), np.nan)
    return float(np.nanmax(np.nanmedian(away[known.any(axis=1)], axis=1)))


@dataclass
class Tally:
    """Counts of one rate of good videos.

    Attributes:
        sets: drawn.
        right: whose choice does what was asked for.
        labelled: whose choice is one of the good ones.
        ceiling: with a right one.
        refused: without a choice.
        expected: chance of a random choice, summed.
        taken: those that were chosen, by kind.
        vetoed: lifted candidates that were vetoed, by kind.
        lifted: candidates by kind.
    """

    sets: int = 0
    right: int = 0
    labelled: int = 0
    ceiling: int = 0
    refused: int = 0
    expected: float = 0.0
    taken: Counter[str] = field(default_factory=Counter)
    vetoed: Counter[str] = field(default_factory=Counter)
    lifted: Counter[str] = field(default_factory=Counter)


def judge(
    selector: GeometricSelection, goal: Goal, rate: float, rng: np.random.Generator, tally: Tally
) -> None:
    """Draw 8 videos, let the selection choose among what was lifted, and count."""
    is_good = rng.random(CANDIDATES) < rate
    pools = {True: rng.permutation(len(goal.good)), False: rng.permutation(len(goal.bad))}
    drawn = []
    for k, right in enumerate(is_good):
        pool = goal.good if right else goal.bad
        drawn.append(pool[pools[bool(right)][k % len(pool)]])
    left = [d for d in drawn if d.flow is not None]
    tally.sets += 1
    tally.expected += sum(d.right for d in drawn) / len(drawn)
    tally.ceiling += any(d.right for d in drawn)
    kinds = [d.kind for d in left]
    tally.lifted.update(kinds)
    try:
        if not left:
            raise NoAcceptableFlowError('every video was dropped')
        flows = [d.flow for d in left if d.flow is not None]
        ranking = selector.rank(goal.observation, goal.instruction, goal.mask, flows)
    except NoAcceptableFlowError:
        tally.refused += 1
        tally.vetoed.update(kinds)
        return
    tally.vetoed.update(kind for kind, veto in zip(kinds, ranking.vetoes) if veto)
    chosen = left[ranking.best]
    tally.right += chosen.right
    tally.labelled += chosen.kind == 'good'
    tally.taken.update([chosen.kind])


def measure(seeds: int, good: int, bad: int, sets: int, seed: int) -> list[dict[str, Any]]:
    """Dream, draw sets, choose, and return the rows."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    selector = GeometricSelection(GeometricSelection.Config(), context)
    tallies = {rate: Tally() for rate in RATES}
    made: Counter[str] = Counter()
    right: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for number, goal in enumerate(goals(seeds, good, bad, seed)):
        for dreamt in (*goal.good, *goal.bad):
            made[dreamt.kind] += 1
            right[dreamt.kind] += dreamt.right
            dropped[dreamt.kind] += dreamt.flow is None
        for rate, tally in tallies.items():
            rng = np.random.default_rng([29, seed, number, round(100 * rate)])
            for _ in range(sets):
                judge(selector, goal, rate, rng, tally)
        tally = tallies[0.46]
        print(f'  {goal.name:<30} so far {100 * tally.right / tally.sets:.0f} %', flush=True)
    rows = [_row(rate, tally, seed) for rate, tally in tallies.items()]
    lost = {
        kind: f'{dropped[kind]} dropped, {right[kind]} right, of {made[kind]}'
        for kind in sorted(made)
    }
    share = 100.0 * dropped['good'] / max(made['good'], 1)
    return [*rows, row('good_videos_dropped', share, '%', n=made['good'], seed=seed, by=lost)]


def _row(rate: float, tally: Tally, seed: int) -> dict[str, Any]:
    """Return the row of a rate, in per cent."""
    percent = 100.0 / tally.sets
    return row(
        f'right_of_{CANDIDATES}_at_{round(100 * rate)}',
        percent * tally.right,
        '%',
        n=tally.sets,
        seed=seed,
        peer='random choice',
        peer_value=percent * tally.expected,
        limit=GOAL_AT_46 if rate == 0.46 else None,
        by_label=percent * tally.labelled,
        ceiling=percent * tally.ceiling,
        refused=percent * tally.refused,
        vetoed={k: f'{tally.vetoed[k]}/{tally.lifted[k]}' for k in sorted(tally.lifted)},
        taken=dict(tally.taken),
    )


def run() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    return measure(SEEDS, GOOD, BAD, SETS, SEED)


def main() -> None:
    """Run with other sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=SEEDS)
    parser.add_argument('--good', type=int, default=GOOD)
    parser.add_argument('--bad', type=int, default=BAD)
    parser.add_argument('--sets', type=int, default=SETS)
    parser.add_argument('--seed', type=int, default=SEED)
    given = parser.parse_args()
    for entry in measure(given.seeds, given.good, given.bad, given.sets, given.seed):
        print(f'{entry["name"]:<22}{entry["value"]:6.1f} {entry["unit"]}')
        for key in (
            'peer_value',
            'by_label',
            'ceiling',
            'refused',
            'vetoed',
            'taken',
            'by',
        ):
            if entry.get(key) is not None:
                print(f'    {key}: {entry[key]}')


if __name__ == '__main__':
    main()
