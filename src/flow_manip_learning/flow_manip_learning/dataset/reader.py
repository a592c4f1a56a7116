# SPDX-License-Identifier: Apache-2.0
"""Reads samples back, streamed: bounded memory, everything checked, nothing unpickled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
import tarfile

import numpy as np

from flow_manip_core.errors import InvalidInputError
from flow_manip_learning.dataset.encoding import decode_sample, EncodedSample, LIMITS
from flow_manip_learning.dataset.index import DatasetIndex
from flow_manip_learning.dataset.sample import FlowSample

_AHEAD = 4  # samples per worker that are decoded before they are asked for


def read_samples(
    folder: Path,
    *,
    shards: Sequence[int] | None = None,
    shuffle_buffer: int = 0,
    seed: int = 0,
    workers: int = 0,
) -> Iterator[FlowSample]:
    """Give the samples of a dataset, one by one.

    The order depends on `seed` and `shuffle_buffer` alone, not on `workers`.

    Args:
        folder: of the dataset.
        shards: numbers of those to read: a process that reads together with others takes every
            n-th. All if left out.
        shuffle_buffer: samples to choose the next one from, kept as files in memory; the order of
            the shards is drawn too. 0: in the order they were written.
        seed: of the order; another one for every epoch.
        workers: threads that decode (PNG and zip leave Python's lock); 0: the caller's own.

    Yields:
        samples.

    Raises:
        InvalidInputError: it is no dataset, a shard is missing, has another size than the index
            says or is damaged; the message names the shard and the key.
    """
    if shuffle_buffer < 0 or workers < 0:
        raise InvalidInputError(f'shuffle_buffer {shuffle_buffer}, workers {workers}')
    folder = Path(folder)
    encoded = _encoded_samples(folder, shards, shuffle_buffer, seed)
    if workers == 0:
        yield from map(decode_sample, encoded)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix='decode')
    try:
        waiting: deque[Future[FlowSample]] = deque()
        for sample in encoded:
            waiting.append(pool.submit(decode_sample, sample))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def read_shard(path: Path) -> Iterator[EncodedSample]:
    """Give the samples of one shard as files, in order, no more than one at a time in memory.

    Raises:
        InvalidInputError: it cannot be read, or holds something other than whole samples.
    """
    key, files = '', {}
    for name, data in _members(path):
        new, _, kind = name.partition('.')
        if kind not in LIMITS:
            raise InvalidInputError(f"{path.name} holds '{name[:80]}', which is part of no sample")
        if new != key and files:
            yield EncodedSample(key, files)
            files = {}
        if kind in files:
            raise InvalidInputError(f"{path.name} holds '{name[:80]}' twice")
        key = new
        files[kind] = data
    if files:
        yield EncodedSample(key, files)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Give name and content of every file; sizes are looked at before anything is read."""
    try:
        with tarfile.open(path, 'r:') as tar:
            for member in tar:
                kind = member.name.partition('.')[2]
                if not member.isreg() or member.size > LIMITS.get(kind, 0):
                    raise InvalidInputError(
                        f"{path.name} holds '{member.name[:80]}' of {member.size} bytes; "
                        f'{LIMITS.get(kind, 0)} at most'
                    )
                content = tar.extractfile(member)
                data = b'' if content is None else content.read()
                if len(data) != member.size:
                    raise InvalidInputError(f"{path.name} ends within '{member.name[:80]}'")
                # Else the archive remembers every member it has seen.
                tar.members = []
                yield member.name, data
    except (OSError, tarfile.TarError) as error:
        raise InvalidInputError(f'{path.name}: {type(error).__name__}: {error}') from error


def _encoded_samples(
    folder: Path, shards: Sequence[int] | None, shuffle_buffer: int, seed: int
) -> Iterator[EncodedSample]:
    """Give the chosen shards' samples in the drawn order."""
    index = DatasetIndex.read(folder)
    chosen = range(len(index.shards)) if shards is None else shards
    if any(not 0 <= number < len(index.shards) for number in chosen):
        raise InvalidInputError(f'shards {list(chosen)[:8]} of {len(index.shards)}')
    entries = [index.shards[number] for number in chosen]
    rng = np.random.default_rng([seed, 0x7265])
    if shuffle_buffer:
        entries = [entries[i] for i in rng.permutation(len(entries))]

    def stream() -> Iterator[EncodedSample]:
        for entry in entries:
            path = folder / entry.file
            size = path.stat().st_size if path.is_file() else -1
            if size != entry.bytes:
                raise InvalidInputError(
                    f'{entry.file} has {size} bytes, the index says {entry.bytes}'
                    if size >= 0
                    else f'{entry.file} is missing'
                )
            yield from read_shard(path)

    if not shuffle_buffer:
        yield from stream()
        return
    buffer: list[EncodedSample] = []
    for sample in stream():
        if len(buffer) < shuffle_buffer:
            buffer.append(sample)
            continue
        number = int(rng.integers(len(buffer)))
        ready, buffer[number] = buffer[number], sample
        yield ready
    yield from (buffer[i] for i in rng.permutation(len(buffer)))
