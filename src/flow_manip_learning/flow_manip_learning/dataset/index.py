# SPDX-License-Identifier: Apache-2.0
"""`dataset.json`: what a folder of shards holds, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import re
from typing import Any

from flow_manip_core.errors import InvalidInputError, RecordError

FORMAT, VERSION = 'flow_manip_dataset', 1
FILE = 'dataset.json'
MAX_INDEX = 2**24  # bytes
_SHARD = re.compile(r'shard-\d{6}\.tar')
_SHA256 = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True)
class DatasetCard:
    """How a dataset was made; what its `README.md` says.

    Attributes:
        name: of the dataset.
        summary: one or two sentences on what it shows.
        command: that makes it again.
        recipe: every parameter and seed of that, as JSON values.
        notes: further lines: limits, sources, thanks.
    """

    name: str
    summary: str
    command: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardEntry:
    """One shard.

    Attributes:
        file: its name in the folder.
        samples: how many are in it.
        bytes: its size.
        sha256: of its bytes, hexadecimal.
        last_key: of its last sample.
    """

    file: str
    samples: int
    bytes: int
    sha256: str
    last_key: str


@dataclass(frozen=True)
class DatasetIndex:
    """What is in a folder.

    Attributes:
        card: how it was made.
        shards: in order.
        sources: number of samples by source.
        licences: number of samples by licence.
        tags: number of samples by value, by tag; only tags with few values.
        complete: the writer was closed after its last sample.
    """

    card: DatasetCard
    shards: tuple[ShardEntry, ...] = ()
    sources: Mapping[str, int] = field(default_factory=dict)
    licences: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    complete: bool = False

    @property
    def num_samples(self) -> int:
        """In all shards."""
        return sum(shard.samples for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """Of all shards."""
        return sum(shard.bytes for shard in self.shards)

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            RecordError: it cannot be written.
        """
        values = {
            'format': FORMAT,
            'version': VERSION,
            'samples': self.num_samples,
            'bytes': self.num_bytes,
            'complete': self.complete,
            'sources': dict(self.sources),
            'licences': dict(self.licences),
            'tags': {name: dict(counts) for name, counts in self.tags.items()},
            'card': vars(self.card),
            'shards': [vars(shard) for shard in self.shards],
        }
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(folder / FILE, text.encode())

    @classmethod
    def read(cls, folder: Path) -> DatasetIndex:
        """Read it; everything is checked before it is used.

        Raises:
            InvalidInputError: there is none, it is of another format or version, or damaged.
        """
        path = folder / FILE
        try:
            size = path.stat().st_size
            if size > MAX_INDEX:
                raise InvalidInputError(f'{path} has {size} bytes, at most {MAX_INDEX} are read')
            values = json.loads(path.read_bytes())
        except OSError as error:
            raise InvalidInputError(f'{folder} is no dataset: {error}') from error
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f'{path}: {error}') from error
        if not isinstance(values, dict) or values.get('format') != FORMAT:
            raise InvalidInputError(f'{path} is not of format {FORMAT}')
        if values.get('version') != VERSION:
            raise InvalidInputError(f'{path}: version {values.get("version")}, read is {VERSION}')
        try:
            index = cls(
                card=_card(values['card']),
                shards=tuple(_shard(entry) for entry in values['shards']),
                sources=_counts(values['sources']),
                licences=_counts(values['licences']),
                tags={str(name): _counts(counts) for name, counts in values['tags'].items()},
                complete=values['complete'] is True,
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidInputError(f'{path}: {type(error).__name__}: {error}') from error
        if (values.get('samples'), values.get('bytes')) != (index.num_samples, index.num_bytes):
            raise InvalidInputError(f'{path}: its sums are not those of its shards')
        return index


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at any moment there is the old one or the new one.

    Raises:
        RecordError: it cannot be written.
    """
    part = path.with_name(f'{path.name}.part')
    try:
        with part.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise RecordError(f'{path} cannot be written: {error}') from error


def _card(values: Mapping[str, Any]) -> DatasetCard:
    texts = {name: values[name] for name in ('name', 'summary', 'command')}
    notes, recipe = values['notes'], values['recipe']
    if any(not isinstance(v, str) for v in (*texts.values(), *notes)):
        raise ValueError('the card holds something other than texts')
    if not isinstance(recipe, dict):
        raise ValueError('the recipe is no mapping')
    return DatasetCard(**texts, recipe=recipe, notes=tuple(notes))


def _shard(values: Mapping[str, Any]) -> ShardEntry:
    entry = ShardEntry(**values)
    # A name from a file that anybody may have written must not lead out of the folder.
    if not _SHARD.fullmatch(entry.file) or not _SHA256.fullmatch(entry.sha256):
        raise ValueError(f'a shard called {entry.file!r} with hash {entry.sha256!r}')
    if type(entry.samples) is not int or type(entry.bytes) is not int:
        raise ValueError(f'{entry.file}: {entry.samples!r} samples, {entry.bytes!r} bytes')
    if entry.samples <= 0 or entry.bytes <= 0 or not isinstance(entry.last_key, str):
        raise ValueError(f'{entry.file}: {entry.samples} samples, {entry.bytes} bytes')
    return entry


def _counts(values: Mapping[str, Any]) -> dict[str, int]:
    if any(type(count) is not int or count < 0 for count in values.values()):
        raise ValueError(f'counts {dict(list(values.items())[:4])}')
    return {str(name): count for name, count in values.items()}
