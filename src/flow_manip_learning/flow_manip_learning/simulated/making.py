# SPDX-License-Identifier: Apache-2.0
"""Makes a simulated dataset with several processes; any number of them gives the same bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
import multiprocessing
from pathlib import Path
import time

import mujoco

from flow_manip_core.errors import BackendError, InvalidInputError
from flow_manip_learning.dataset import DatasetCard, encode_sample, EncodedSample, ShardWriter
from flow_manip_learning.simulated.config import SimulatedConfig
from flow_manip_learning.simulated.source import SimulatedSource

_AHEAD = 3  # scenes per process that are asked for before they are needed
_EMPTY = 200  # scenes in a row without a sample: something is wrong with the configuration
_source: SimulatedSource | None = None

OnProgress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class SimulatedRecipe:
    """Everything that decides the bytes of a simulated dataset.

    Attributes:
        count: samples.
        seed: of everything.
        split: 'train' or 'test'.
        config: what samples look like.
    """

    count: int
    seed: int = 0
    split: str = 'train'
    config: SimulatedConfig = field(default_factory=SimulatedConfig)

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        if self.count < 1 or self.seed < 0:
            raise InvalidInputError(f'{self.count} samples of seed {self.seed}')

    def card(self) -> DatasetCard:
        """Return how the dataset is made, in words."""
        return DatasetCard(
            name=f'simulated flow, {self.split}, seed {self.seed}',
            summary=(
                'Objects on a table that are put, lifted, pushed, turned upright, hung, inserted, '
                'poured from, and drawers, doors and lids that are opened and shut, drawn by '
                'MuJoCo with the exact 3D flow of what an instruction says.'
            ),
            command=(
                f'flow_manip dataset make --out FOLDER --count {self.count} --seed {self.seed} '
                f'--split {self.split}'
            ),
            recipe={'source': 'simulated', **asdict(self), 'mujoco': mujoco.__version__},
            notes=(
                'Pixels depend on the OpenGL that draws them, all else on the recipe alone.',
                'Training never has seeds under 10 000, and none of the phrasings, colours of '
                'nouns, kinds of things, cameras, lights and backgrounds that the tag `axis` of '
                'the test split names.',
                'The arm is not drawn while the visibility of later steps is found.',
            ),
        )


@dataclass(frozen=True)
class MakingReport:
    """What came of it.

    Attributes:
        samples: in the dataset.
        made: in this run.
        scenes: that were set in this run.
        seconds: that it took.
        bytes: of all shards.
    """

    samples: int
    made: int
    scenes: int
    seconds: float
    bytes: int

    @property
    def rate(self) -> float:
        """Samples per second of this run."""
        return self.made / max(self.seconds, 1e-9)


def make_simulated_dataset(
    folder: Path,
    recipe: SimulatedRecipe,
    *,
    processes: int = 1,
    max_shard_bytes: int = 256 * 2**20,
    on_progress: OnProgress = lambda done, count, rate: None,
) -> MakingReport:
    """Make a dataset, or go on with one that was interrupted.

    Args:
        folder: of the dataset.
        recipe: what is made.
        processes: that draw; 1: this one.
        max_shard_bytes: a shard is closed when it has reached this size.
        on_progress: told the samples that are done, how many there will be, and the rate [1/s].

    Raises:
        InvalidInputError: the folder holds something else or another recipe's dataset, or nothing
            can be shown with this configuration.
        BackendError: no off-screen rendering, or a process died.
        RecordError: the folder cannot be written.
    """
    begun, made, scenes, empty = time.monotonic(), 0, 0, 0
    writer = ShardWriter(folder, recipe.card(), max_shard_bytes)
    complete = False
    try:
        first = _first_scene(writer)
        for samples in _scenes(recipe, first, processes, lambda: len(writer.keys) < recipe.count):
            scenes += 1
            empty = 0 if samples else empty + 1
            if empty >= _EMPTY:
                raise InvalidInputError(f'{empty} scenes in a row showed nothing to move')
            for sample in samples:
                if sample.key not in writer.keys and len(writer.keys) < recipe.count:
                    writer.write(sample)
                    made += 1
            rate = made / (time.monotonic() - begun)
            on_progress(len(writer.keys), recipe.count, rate)
        complete = True
    finally:
        writer.close(complete=complete)
    index = writer.index
    seconds = time.monotonic() - begun
    return MakingReport(index.num_samples, made, scenes, seconds, index.num_bytes)


def _first_scene(writer: ShardWriter) -> int:
    """Return the scene that the last written sample is of."""
    shards = writer.index.shards
    return int(shards[-1].last_key.split('-')[2]) if shards else 0


def _scenes(
    recipe: SimulatedRecipe, first: int, processes: int, wanted: Callable[[], bool]
) -> Iterator[list[EncodedSample]]:
    """Give the samples of scene after scene while they are wanted."""
    number = first
    if processes <= 1:
        _start(recipe)
        try:
            while wanted():
                yield _scene(number)
                number += 1
        finally:
            _stop()
        return
    # A forked copy of a process that has drawn shares its OpenGL.
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context('spawn'),
        initializer=_start,
        initargs=(recipe,),
    )
    waiting: deque[Future[list[EncodedSample]]] = deque()
    try:
        while wanted():
            while len(waiting) < _AHEAD * processes:
                waiting.append(pool.submit(_scene, number))
                number += 1
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise BackendError(f'a process that draws died: {error}') from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(recipe: SimulatedRecipe) -> None:
    """Build this process's source."""
    global _source
    _source = SimulatedSource(recipe.config, seed=recipe.seed, split=recipe.split)


def _stop() -> None:
    global _source
    if _source is not None:
        _source.close()
        _source = None


def _scene(number: int) -> list[EncodedSample]:
    if _source is None:
        raise BackendError('the process that draws was not started')
    return [encode_sample(sample) for sample in _source.scene_samples(number)]
