# SPDX-License-Identifier: Apache-2.0
"""Samples of 3D flow: how fast the simulated source makes them and the reader gives them.

Rates are per second of CPU time of this process, and of the clock. Peer of the reader: the same
files' bytes taken out of the shards by tarfile alone, which decodes nothing.
"""

from __future__ import annotations

from pathlib import Path
import resource
import tempfile
import time
from typing import Any

from rows import row

from flow_manip_learning.dataset import DatasetIndex, read_samples
from flow_manip_learning.dataset.reader import read_shard
from flow_manip_learning.simulated import make_simulated_dataset, SimulatedRecipe

COUNT, SEED = 64, 0


def run(count: int = COUNT, seed: int = SEED) -> list[dict[str, Any]]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        return _rows(Path(folder) / 'flows', count, seed)


def _rows(folder: Path, count: int, seed: int) -> list[dict[str, Any]]:
    begun = time.process_time()
    report = make_simulated_dataset(folder, SimulatedRecipe(count, seed))
    cpu = time.process_time() - begun
    common: dict[str, Any] = {'n': count, 'seed': seed}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [
        row('made per CPU second', report.made / cpu, '1/s', **common),
        row('made per second', report.rate, '1/s', **common),
        row('size of a sample', report.bytes / report.samples / 1000, 'kB', **common),
        row('memory of the maker', memory, 'MiB', **common),
    ]
    shards = [folder / shard.file for shard in DatasetIndex.read(folder).shards]
    plain = _rate(lambda: sum(1 for shard in shards for _ in read_shard(shard)))[1]
    for workers in (0, 2):
        cpu_rate, rate = _rate(lambda w=workers: sum(1 for _ in read_samples(folder, workers=w)))
        name = f'read, {workers} workers'
        rows.append(row(name, rate, '1/s', peer='undecoded', peer_value=plain, **common))
        rows.append(row(f'{name}, per CPU second', cpu_rate, '1/s', **common))
    return rows


def _rate(read: Any) -> tuple[float, float]:
    """Return samples per second of CPU time and of the clock, the best of three passes."""
    best = (0.0, 0.0)
    for _ in range(3):
        cpu, clock = time.process_time(), time.perf_counter()
        count = read()
        cpu_rate = count / (time.process_time() - cpu)
        best = max(best[0], cpu_rate), max(best[1], count / (time.perf_counter() - clock))
    return best


if __name__ == '__main__':
    for measured in run():
        print(measured)
