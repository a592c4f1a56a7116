# SPDX-License-Identifier: Apache-2.0
"""A run of the engine: many clips, several processes or machines, taken up where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
import multiprocessing
from pathlib import Path
import time
from typing import Any

from flow_manip_core.errors import BackendError, ConfigurationError, RecordError
from flow_manip_learning.dataset import DatasetCard, ShardWriter
from flow_manip_learning.engine.inputs import ClipSource
from flow_manip_learning.engine.journal import Journal, JournalEntry, SAMPLE
from flow_manip_learning.engine.processing import ClipOutcome, Worker, WorkerPlan
from flow_manip_learning.engine.rejection import REASONS

DATASET, SHEETS, JOURNAL = 'dataset', 'sheets', 'journal.jsonl'
WAITING = 4  # clips per worker that are under way or waiting


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        done: clips, of this run and earlier ones.
        total: clips.
        samples: of the clips that are done.
        rate: clips per second of this run.
        last: the newest entry.
    """

    done: int
    total: int
    samples: int
    rate: float
    last: JournalEntry


@dataclass(frozen=True)
class RunReport:
    """What came of a run.

    Attributes:
        outcomes: number of clips by outcome, 'sample' among them.
        skipped: clips that an earlier run had finished.
        seconds: of this run.
        rate: clips per second of this run.
        folder: with dataset/, sheets/ and journal.jsonl.
    """

    outcomes: dict[str, int]
    skipped: int
    seconds: float
    rate: float
    folder: Path


def run_engine(
    sources: Sequence[ClipSource],
    folder: Path,
    plan: WorkerPlan,
    *,
    workers: int = 1,
    ray_address: str = '',
    command: str = '',
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> RunReport:
    """Process clips and write dataset, contact sheets and journal into a folder.

    What an earlier run in the folder has finished is not done again: rejections by the journal,
    samples by the dataset, which loses those of its last shard when a run is killed.

    Args:
        sources: the clips.
        folder: made if it is not there.
        plan: for the workers.
        workers: processes on this machine; 1: none but this one.
        ray_address: of a Ray cluster that sees the same files; '': this machine.
        command: for the dataset's card.
        on_progress: told after every clip.

    Raises:
        ConfigurationError: no clips, or a number of workers that makes no sense.
        InvalidInputError: the folder holds another dataset.
        BackendError: a model, or Ray, is missing.
        RecordError: something cannot be written.
    """
    if not sources or not 1 <= workers <= 1024:
        raise ConfigurationError(f'{len(sources)} clips, {workers} workers')
    begun = time.perf_counter()
    _make(folder / SHEETS)
    journal = Journal(folder / JOURNAL)
    done_now = 0
    with ShardWriter(folder / DATASET, card_of(plan, command)) as writer:
        waiting = [s for s in sources if not _finished(s.key, journal, writer.keys)]
        skipped = len(sources) - len(waiting)
        for outcome in _outcomes(waiting, plan, workers, ray_address):
            _keep(outcome, folder, writer, journal)
            done_now += 1
            rate = done_now / max(time.perf_counter() - begun, 1e-9)
            on_progress(
                Progress(
                    skipped + done_now,
                    len(sources),
                    len(writer.keys),
                    rate,
                    journal.entries[outcome.key],
                )
            )
    seconds = time.perf_counter() - begun
    keys = {source.key for source in sources}
    counted = dict.fromkeys((SAMPLE, *REASONS), 0)
    for entry in journal.entries.values():
        counted[entry.outcome] += entry.key in keys
    return RunReport(
        {name: count for name, count in counted.items() if count},
        skipped,
        seconds,
        done_now / max(seconds, 1e-9),
        folder,
    )


def card_of(plan: WorkerPlan, command: str) -> DatasetCard:
    """Return the card of a dataset that the engine makes."""
    recipe = asdict(plan.config) | {'robot': plan.robot, 'rig': plan.rig}
    notes = [
        'Objects were found by their motion, not by their name; the contact sheets beside the '
        'dataset show what was taken for one.'
    ]
    if plan.config.depth == 'plane':
        notes.append(
            'Clips without a depth sensor are lifted onto a plane: their flow has no depth of its '
            "own. Their tag 'depth' is 'plane'."
        )
    return DatasetCard(
        name='engine',
        summary='3D flow of things that move in raw video.',
        command=command,
        recipe=recipe,
        notes=tuple(notes),
    )


def _finished(key: str, journal: Journal, written: set[str]) -> bool:
    entry = journal.entries.get(key)
    return key in written or (entry is not None and entry.outcome != SAMPLE)


def _keep(outcome: ClipOutcome, folder: Path, writer: ShardWriter, journal: Journal) -> None:
    """Write the sample before the journal: what the journal says is true."""
    if outcome.sample is not None:
        writer.write(outcome.sample)
    try:
        (folder / SHEETS / f'{outcome.key}.jpg').write_bytes(outcome.sheet)
    except OSError as error:
        raise RecordError(f'{folder / SHEETS}: {error}') from error
    journal.append(
        JournalEntry.of(
            outcome.key, outcome.rejection, outcome.summary, outcome.seconds, outcome.frames
        )
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f'{folder}: {error}') from error


# ---------------------------------------------------------------- who does the work

_worker: Worker | None = None


def _begin_worker(plan: WorkerPlan) -> None:
    """Get a process ready: one thread each, its models loaded."""
    import cv2

    global _worker
    cv2.setNumThreads(1)
    _worker = Worker(plan)


def _process(source: ClipSource) -> ClipOutcome:
    assert _worker is not None
    return _worker.process(source)


def _outcomes(
    sources: Sequence[ClipSource], plan: WorkerPlan, workers: int, ray_address: str
) -> Iterator[ClipOutcome]:
    """Process clips; in the order in which they get ready."""
    if ray_address:
        yield from _by_ray(sources, plan, ray_address)
    elif workers == 1:
        if sources:
            worker = Worker(plan)
            yield from map(worker.process, sources)
    else:
        yield from _by_processes(sources, plan, workers)


def _by_processes(
    sources: Sequence[ClipSource], plan: WorkerPlan, workers: int
) -> Iterator[ClipOutcome]:
    # Forked children would share the parent's threads' locks.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(
        min(workers, max(len(sources), 1)), context, _begin_worker, (plan,)
    ) as pool:
        waiting = iter(sources)
        running = {pool.submit(_process, s) for _, s in zip(range(WAITING * workers), waiting)}
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                following = next(waiting, None)
                if following is not None:
                    running.add(pool.submit(_process, following))
                yield future.result()


def _by_ray(
    sources: Sequence[ClipSource], plan: WorkerPlan, address: str
) -> Iterator[ClipOutcome]:
    """Process on a Ray cluster, an actor per CPU.

    Raises:
        BackendError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise BackendError(f"{error}; install it with: pip install 'ray[default]'") from error
    try:
        ray.init(address=address, ignore_reinit_error=True)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BackendError(f"no Ray cluster at '{address}': {error}") from error
    try:
        actor: Any = ray.remote(num_cpus=1)(Worker)
        count = max(1, min(len(sources), int(ray.cluster_resources().get('CPU', 1))))
        idle = [actor.remote(plan) for _ in range(count)]
        waiting, busy = iter(sources), {}
        while True:
            while idle and (following := next(waiting, None)) is not None:
                one = idle.pop()
                busy[one.process.remote(following)] = one
            if not busy:
                return
            ready, _ = ray.wait(list(busy), num_returns=1)
            idle.append(busy.pop(ready[0]))
            yield ray.get(ready[0])
    finally:
        ray.shutdown()
