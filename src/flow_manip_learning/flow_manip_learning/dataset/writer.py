# SPDX-License-Identifier: Apache-2.0
"""Writes samples to shards: tar files in webdataset's layout, resumable after any interruption."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
import hashlib
import io
from pathlib import Path
import tarfile
from types import TracebackType
from typing import Any

from flow_manip_core.errors import InvalidInputError, RecordError
from flow_manip_learning.dataset.card import render_card
from flow_manip_learning.dataset.encoding import describe, encode_sample, EncodedSample
from flow_manip_learning.dataset.index import DatasetCard, DatasetIndex, ShardEntry, write_whole
from flow_manip_learning.dataset.index import FILE as INDEX
from flow_manip_learning.dataset.reader import read_shard
from flow_manip_learning.dataset.sample import FlowSample

_MOST_VALUES = 64  # of a tag whose values are counted


class ShardWriter:
    """Appends samples to a dataset.

    A shard exists under its name only when it is whole and on the disc; `dataset.json` is
    replaced after it. An interrupted run loses the samples of its last shard only: open the folder
    again with the same card and go on with what `keys` lacks.

    Attributes:
        keys: of all samples in whole shards and in the present one.
    """

    def __init__(
        self, folder: Path, card: DatasetCard, max_shard_bytes: int = 256 * 2**20
    ) -> None:
        """Open a folder; it is made if there is none.

        Args:
            folder: of the dataset.
            card: how it is made.
            max_shard_bytes: a shard is closed when it has reached this size.

        Raises:
            InvalidInputError: the folder holds something else, or a dataset of another card.
            RecordError: it cannot be written.
        """
        if max_shard_bytes < 1:
            raise InvalidInputError(f'max_shard_bytes is {max_shard_bytes}')
        self.folder, self._limit = Path(folder), max_shard_bytes
        self._index = self._open(card)
        self.keys: set[str] = set()
        self._sources: Counter[str] = Counter()
        self._licences: Counter[str] = Counter()
        self._tags: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._take_up()
        self._tar: tarfile.TarFile | None = None
        self._fresh: list[str] = []

    def __enter__(self) -> ShardWriter:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; the dataset counts as complete if nothing went wrong."""
        self.close(complete=error is None)

    @property
    def index(self) -> DatasetIndex:
        """What whole shards hold."""
        return self._index

    def write(self, sample: FlowSample | EncodedSample) -> None:
        """Append one sample.

        Args:
            sample: itself, or as `encode_sample` made it in another process.

        Raises:
            InvalidInputError: its key is in the dataset already, or it is damaged.
            RecordError: it cannot be written.
        """
        encoded = sample if isinstance(sample, EncodedSample) else encode_sample(sample)
        about = describe(encoded)
        if encoded.key in self.keys:
            raise InvalidInputError(f"the dataset has a sample '{encoded.key}' already")
        try:
            tar = self._tar or self._begin()
            for kind, data in encoded.files.items():
                info = tarfile.TarInfo(f'{encoded.key}.{kind}')
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
        except OSError as error:
            raise RecordError(f'{self.folder}: {error}') from error
        self._fresh.append(encoded.key)
        self._count(encoded.key, about)
        if tar.offset >= self._limit:
            self._finish()

    def close(self, *, complete: bool = True) -> None:
        """Finish the shard and write index and card; without effect when closed already.

        Args:
            complete: nothing more will come.
        """
        if self._tar is not None:
            self._finish()
        if complete and not self._index.complete:
            self._index = replace(self._index, complete=True)
            self._write_index()

    # ---------------------------------------------------------------- inside

    def _open(self, card: DatasetCard) -> DatasetIndex:
        """Return the index of a dataset to go on with, or a new one."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            found = sorted(path.name for path in self.folder.iterdir())
        except OSError as error:
            raise RecordError(f'{self.folder}: {error}') from error
        if INDEX not in found:
            strange = [name for name in found if not name.endswith('.part')]
            if strange:
                raise InvalidInputError(f'{self.folder} holds {strange[:5]} and no {INDEX}')
            return DatasetIndex(card)
        index = DatasetIndex.read(self.folder)
        if index.card != card:
            differing = [k for k, v in vars(card).items() if vars(index.card)[k] != v]
            raise InvalidInputError(
                f'{self.folder} is a dataset of another card (other {differing})'
            )
        return replace(index, complete=False)

    def _take_up(self) -> None:
        """Read the keys of what is there; what was never finished is thrown away."""
        for part in self.folder.glob('*.part'):
            part.unlink()
        known = {shard.file for shard in self._index.shards}
        for path in self.folder.glob('shard-*.tar'):
            # Whole, but the index does not know: the run ended between the two.
            if path.name not in known:
                path.unlink()
        for shard in self._index.shards:
            for encoded in read_shard(self.folder / shard.file):
                self._count(encoded.key, describe(encoded))

    def _begin(self) -> tarfile.TarFile:
        self._path = self.folder / f'shard-{len(self._index.shards):06d}.tar'
        part = self._path.with_name(f'{self._path.name}.part')
        self._tar = tarfile.open(part, 'w', format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        return self._tar

    def _finish(self) -> None:
        """Give the shard its name, then tell the index."""
        part = self._path.with_name(f'{self._path.name}.part')
        try:
            self._tar.close()
            self._tar = None
            size, digest = part.stat().st_size, file_sha256(part)
            part.replace(self._path)
        except OSError as error:
            raise RecordError(f'{self._path}: {error}') from error
        entry = ShardEntry(self._path.name, len(self._fresh), size, digest, self._fresh[-1])
        self._fresh = []
        self._index = replace(
            self._index,
            shards=(*self._index.shards, entry),
            sources=dict(self._sources),
            licences=dict(self._licences),
            # A tag with a value for every sample says nothing when counted.
            tags={
                name: dict(sorted(counts.items()))
                for name, counts in sorted(self._tags.items())
                if len(counts) <= _MOST_VALUES
            },
        )
        self._write_index()

    def _write_index(self) -> None:
        self._index.write(self.folder)
        write_whole(self.folder / 'README.md', render_card(self._index).encode())

    def _count(self, key: str, about: Mapping[str, Any]) -> None:
        self.keys.add(key)
        self._sources[about['source']] += 1
        self._licences[about['licence']] += 1
        for name, value in about['tags'].items():
            self._tags[name][value] += 1


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
