# SPDX-License-Identifier: Apache-2.0
"""Trials of pipelines in the simulated cell; success is read from its state.

`trials` runs the seeded put task (`flow_manip trials`); the other modules run any task with flow
of known quality against baselines (`flow_manip evaluate`).
"""

from flow_manip_task.evaluation.trials import (
    as_json,
    failure_class,
    run_trial,
    run_trials,
    summarize,
    table,
    TrialOutcome,
    TrialsSummary,
    wilson_interval,
)

__all__ = [
    'TrialOutcome',
    'TrialsSummary',
    'as_json',
    'failure_class',
    'run_trial',
    'run_trials',
    'summarize',
    'table',
    'wilson_interval',
]
