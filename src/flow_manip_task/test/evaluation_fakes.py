# SPDX-License-Identifier: Apache-2.0
"""Trials that cost nothing, for tests of what runs and counts them; importable by processes."""

from __future__ import annotations

import os
import time

import numpy as np

from flow_manip_core.errors import BackendError
from flow_manip_task.evaluation.conditions import Condition, Job
from flow_manip_task.evaluation.log import TrialLine


def line(seed: int = 0, success: bool = True, **fields: object) -> TrialLine:
    """One trial's line."""
    values = {
        'condition': Condition('put'),
        'instruction': 'put the red cube on the plate',
        'failure': 'none' if success else 'grasp',
        'code': 0 if success else 304,
        'name': 'NONE' if success else 'GRASP_MISSED',
        'message': '',
        'progress': {'over': True, 'down': success},
        'attempts': 1,
        'seconds': {'PLANNING': 1.0 + seed},
    } | fields
    return TrialLine(seed=seed, success=success, **values)


class Drawing:
    """Ends a trial by the seed: what linear algebra gives in this process, and its threads."""

    def __call__(self, job: Job) -> TrialLine:
        rng = np.random.default_rng(job.seed)
        matrix = rng.normal(size=(120, 120))
        value = float(np.linalg.svd(matrix @ matrix)[1].sum())
        return line(
            job.seed,
            success=job.seed % 3 != 0,
            condition=job.condition,
            error_metres=value,
            message=os.environ['OMP_NUM_THREADS'],
        )


class Dying:
    """Dies at seed 1, hangs at seed 2."""

    def __call__(self, job: Job) -> TrialLine:
        if job.seed == 1:
            os._exit(7)
        while job.seed == 2:
            time.sleep(0.01)
        return line(job.seed, condition=job.condition)


def broken() -> None:
    """Cannot be built."""
    raise BackendError('no such thing')
