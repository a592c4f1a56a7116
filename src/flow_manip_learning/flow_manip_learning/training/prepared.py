# SPDX-License-Identifier: Apache-2.0
"""Samples as the network is shown them, worked out once and kept on disk.

Decoding pictures and cutting views takes longer than a training step of the compact model, and
comes out the same in every epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
import hashlib
import json
from pathlib import Path
import shutil

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import ConfigurationError, InvalidInputError, TooFewPointsError
from flow_manip_core.observation import Mask
from flow_manip_learning.dataset import FlowSample
from flow_manip_world_model.flow.diffusion.codec import EncodedFlow, FlowCodec
from flow_manip_world_model.flow.diffusion.config import FlowDiffusionConfig
from flow_manip_world_model.flow.diffusion.views import make_views, Views

VERSION = 1  # of the files; raised when what they mean changes
FIELDS = {
    **{'scene': 'float16', 'crop': 'float16', 'places': 'float32', 'points': 'float32'},
    **{'valid': 'float32', 'facts': 'float32', 'values': 'float32', 'known': 'bool'},
}


@dataclass(frozen=True)
class Batch:
    """Rows of a prepared set.

    Attributes:
        views: arrays of `Views`, each with a first axis B.
        values: (B, T, G, G, 4) F.
        known: (B, T, G, G) where F says where a point is.
        texts: B instructions.
    """

    views: Views
    values: NDArray[np.float32]
    known: NDArray[np.bool_]
    texts: tuple[str, ...]


class PreparedSet:
    """Prepared samples in memory-mapped files."""

    def __init__(self, folder: Path) -> None:
        """Open what `prepare` wrote.

        Raises:
            InvalidInputError: the folder holds nothing of the kind.
        """
        try:
            about = json.loads((folder / 'prepared.json').read_text(encoding='utf-8'))
            if about['version'] != VERSION:
                raise InvalidInputError(f'{folder}: version {about["version"]}')
            self.texts: list[str] = about['texts']
            self.keys: list[str] = about['keys']
            self.refused: dict[str, str] = about['refused']
            self._arrays = {
                name: _load(folder / f'{name}.npy')[: len(self.texts)] for name in FIELDS
            }
        except (OSError, ValueError, KeyError) as error:
            raise InvalidInputError(f'{folder}: no prepared samples: {error}') from error

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self.texts)

    def rows(self, numbers: Sequence[int]) -> Batch:
        """Return some samples."""
        rows = np.asarray(numbers, dtype=np.int64)
        taken = {name: np.asarray(values[rows]) for name, values in self._arrays.items()}
        values, known = taken.pop('values'), taken.pop('known')
        views = Views(**{name: value.astype(np.float32) for name, value in taken.items()})
        return Batch(views, values, known, tuple(self.texts[i] for i in numbers))


def prepare(
    samples: Iterable[FlowSample], count: int, config: FlowDiffusionConfig, folder: Path
) -> PreparedSet:
    """Write samples as the network is shown them, or open what was written before.

    Samples whose points are too few for the codec are left out; why is kept in `refused`.

    Args:
        samples: of a data set.
        count: at most this many come.
        config: of the network.
        folder: to write to; only a whole set is ever there.

    Raises:
        InvalidInputError: not a single sample can be used.
    """
    if (folder / 'prepared.json').is_file():
        return PreparedSet(folder)
    unfinished = folder.with_name(f'{folder.name}.unfinished')
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    arrays: dict[str, NDArray] = {}
    texts: list[str] = []
    keys: list[str] = []
    refused: dict[str, str] = {}
    for sample in samples:
        try:
            encoded, views = prepare_sample(sample, config)
        except TooFewPointsError as error:
            refused[sample.key] = str(error)
            continue
        row = {**vars(views), 'values': encoded.values, 'known': encoded.known}
        if not arrays:
            arrays = _open_arrays(unfinished, row, count)
        for name, value in row.items():
            arrays[name][len(texts)] = value
        texts.append(sample.instruction)
        keys.append(sample.key)
        if len(texts) + len(refused) >= count:
            break
    if not texts:
        raise InvalidInputError(f'none of {len(refused)} samples can be used: {refused}')
    for array in arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    about = {'version': VERSION, 'texts': texts, 'keys': keys, 'refused': refused}
    (unfinished / 'prepared.json').write_text(json.dumps(about), encoding='utf-8')
    unfinished.rename(folder)
    return PreparedSet(folder)


def prepare_sample(sample: FlowSample, config: FlowDiffusionConfig) -> tuple[EncodedFlow, Views]:
    """Turn one sample into F and views.

    Raises:
        TooFewPointsError: its flow has too few points for the codec.
        ConfigurationError: the network wants references, and samples carry none.
    """
    encoded = FlowCodec(config.codec).encode(sample.flow, sample.observation)
    references: Sequence[Mask] | None = getattr(sample, 'references', None)
    if references is None and config.image.references:
        raise ConfigurationError(
            f'{sample.key}: the network is to be shown references, the sample has none'
        )
    views = make_views(
        sample.observation, sample.object_mask, encoded.anchors, config.image, references or ()
    )
    return encoded, views


def prepared_name(config: FlowDiffusionConfig, dataset: Mapping[str, object]) -> str:
    """Return a folder's name that changes with whatever changes the prepared samples."""
    shown = {'codec': asdict(config.codec), 'image': asdict(config.image), 'data': dict(dataset)}
    text = json.dumps([VERSION, shown], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load(path: Path) -> NDArray:
    """Open an array without reading it."""
    with path.open('rb') as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return np.load(path, mmap_mode='r' if 0 not in shape else None, allow_pickle=False)


def _open_arrays(folder: Path, row: Mapping[str, NDArray], count: int) -> dict[str, NDArray]:
    """Make the files; those of a set with fewer samples than `count` stay sparse at the end."""
    arrays: dict[str, NDArray] = {}
    for name, kind in FIELDS.items():
        path, shape = folder / f'{name}.npy', (count, *row[name].shape)
        if row[name].size:
            arrays[name] = np.lib.format.open_memmap(path, mode='w+', dtype=kind, shape=shape)
        else:  # nothing to map
            arrays[name] = np.zeros(shape, dtype=kind)
            np.save(path, arrays[name])
    return arrays
