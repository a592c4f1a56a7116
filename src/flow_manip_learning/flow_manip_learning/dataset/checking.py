# SPDX-License-Identifier: Apache-2.0
"""Says what is wrong with a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from flow_manip_core.errors import InvalidInputError
from flow_manip_learning.dataset.encoding import decode_sample
from flow_manip_learning.dataset.index import DatasetIndex, ShardEntry
from flow_manip_learning.dataset.reader import read_shard
from flow_manip_learning.dataset.writer import file_sha256

_NO_PROGRESS: Callable[[str, float], None] = lambda text, share: None  # noqa: E731


def check_dataset(
    folder: Path, *, on_progress: Callable[[str, float], None] = _NO_PROGRESS
) -> list[str]:
    """Read everything in a dataset and return what is wrong, one sentence each.

    Args:
        folder: of the dataset.
        on_progress: told the shard and the share that is done.
    """
    folder = Path(folder)
    try:
        index = DatasetIndex.read(folder)
    except InvalidInputError as error:
        return [str(error)]
    problems = [] if index.complete else ['the dataset is not complete']
    if not (folder / 'README.md').is_file():
        problems.append('there is no README.md')
    known = {shard.file for shard in index.shards}
    strays = sorted(path.name for path in folder.glob('*.tar*') if path.name not in known)
    problems += [f'{name} is not in the index' for name in strays]
    keys: set[str] = set()
    counts: Counter[str] = Counter()
    for number, shard in enumerate(index.shards):
        on_progress(shard.file, number / len(index.shards))
        problems += _check_shard(folder, shard, keys, counts)
    if not problems:
        problems += [
            f'{counts[source]} samples of source {source}, the index says {number}'
            for source, number in index.sources.items()
            if counts[source] != number
        ]
    return problems


def _check_shard(
    folder: Path, shard: ShardEntry, keys: set[str], counts: Counter[str]
) -> list[str]:
    """Return what is wrong with one shard; its keys and sources are added."""
    path = folder / shard.file
    if not path.is_file():
        return [f'{shard.file} is missing']
    if (size := path.stat().st_size) != shard.bytes:
        return [f'{shard.file} has {size} bytes, the index says {shard.bytes}']
    problems = []
    if file_sha256(path) != shard.sha256:
        problems.append(f'{shard.file}: its SHA-256 is not that of the index')
    found = 0
    try:
        for encoded in read_shard(path):
            found += 1
            if encoded.key in keys:
                problems.append(f'{shard.file}: {encoded.key} is in the dataset twice')
            keys.add(encoded.key)
            try:
                counts[decode_sample(encoded).source] += 1
            except InvalidInputError as error:
                problems.append(f'{shard.file}: {error}')
    except InvalidInputError as error:
        return [*problems, str(error)]
    if found != shard.samples:
        problems.append(f'{shard.file} has {found} samples, the index says {shard.samples}')
    return problems
