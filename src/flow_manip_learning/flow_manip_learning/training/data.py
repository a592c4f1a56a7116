# SPDX-License-Identifier: Apache-2.0
"""What a run trains with and is measured by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
import os
from pathlib import Path

import numpy as np

from flow_manip_core.errors import InvalidInputError
from flow_manip_learning.dataset import FlowSample, read_samples
from flow_manip_learning.dataset.index import DatasetIndex
from flow_manip_learning.training.config import TrainingConfig
from flow_manip_learning.training.prepared import prepare, prepared_name, PreparedSet
from flow_manip_learning.training.validation import Example, make_examples


@dataclass(frozen=True)
class TrainingData:
    """Prepared samples and examples.

    Attributes:
        training: to train with.
        examples: to measure by.
        notes: for the weights: where they come from.
    """

    training: PreparedSet
    examples: list[Example]
    notes: dict[str, str] = field(default_factory=dict)

    def rows(self, number: int, batch: int, seed: int) -> list[int]:
        """Return the rows of batch `number`: epochs of all samples, each in an order of its own.

        What is drawn depends on `number` and `seed` alone; epochs follow without a gap.
        """
        count = len(self.training)
        places = np.arange(number * batch, (number + 1) * batch)
        rows = []
        for epoch in np.unique(places // count):
            order = np.random.default_rng([seed, 0x65, int(epoch)]).permutation(count)
            rows += order[places[places // count == epoch] % count].tolist()
        return rows

    @classmethod
    def of(cls, config: TrainingConfig) -> TrainingData:
        """Read and prepare the data that a run names.

        Raises:
            InvalidInputError: a data set cannot be used, or is too small.
        """
        folder, network = Path(config.dataset), config.network()
        index = DatasetIndex.read(folder)
        total = index.num_samples
        own = not config.validation.dataset
        held = config.validation.samples if own else 0
        count = min(config.samples or total, total - held)
        if count < 1:
            raise InvalidInputError(
                f'{folder}: {total} samples, {held} of them are kept for validation'
            )
        hashes = {shard.file: shard.sha256 for shard in index.shards}
        place = Path(config.prepared) if config.prepared else Path(config.output) / 'prepared'
        name = prepared_name(network, {'shards': hashes, 'count': count})
        training = prepare(_read(folder), count, network, place / name)
        if own:
            samples = islice(_read(folder), total - held, None)
        else:
            samples = _read(Path(config.validation.dataset))
        examples = make_examples(samples, network, config.validation.samples)
        notes = {'dataset': folder.name, 'samples': str(len(training))}
        return cls(training, examples, notes)


def _read(folder: Path) -> Iterator[FlowSample]:
    """Give the samples of a data set in the order they were written."""
    return read_samples(folder, workers=os.cpu_count() or 1)
