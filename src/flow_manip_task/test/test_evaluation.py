# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import json

import pytest

from flow_manip_core.errors import FailureStage, InvalidInputError
from flow_manip_task.evaluation import (
    as_json,
    failure_class,
    run_trials,
    summarize,
    table,
    TrialOutcome,
    wilson_interval,
)
from flow_manip_task.stages import ManipulationResult

GOOD = TrialOutcome(
    seed=0,
    instruction='put the red cube on the plate',
    success=True,
    failure='none',
    code=0,
    name='NONE',
    message='',
    attempts=1,
    seconds={'PLANNING': 1.0},
    plan_ready_seconds=2.0,
    total_seconds=4.0,
    simulated_seconds=12.0,
    error_metres=0.004,
)
BAD = replace(
    GOOD, seed=1, success=False, failure='grasp', code=304, name='GRASP_MISSED',
    seconds={'PLANNING': 3.0}, plan_ready_seconds=None,
)  # fmt: skip


def test_the_interval_is_wilson_s():
    # Published example: 8 of 10 gives 0.49 to 0.94.
    low, high = wilson_interval(8, 10)
    assert low == pytest.approx(0.4902, abs=1e-3)
    assert high == pytest.approx(0.9433, abs=1e-3)
    assert wilson_interval(50, 50)[1] == pytest.approx(1.0)
    assert wilson_interval(0, 50)[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(('successes', 'n'), [(1, 0), (3, 2), (-1, 2)])
def test_an_interval_of_nothing_is_refused(successes, n):
    with pytest.raises(InvalidInputError):
        wilson_interval(successes, n)


def test_the_summary_counts_classes_and_takes_medians():
    summary = summarize([GOOD, BAD, BAD], task='put', pipeline='default', robot='franka')
    assert (summary.n, summary.successes) == (3, 1)
    assert summary.failures == {'grasp': 2}
    assert summary.codes == {'GRASP_MISSED': 2}
    assert summary.seconds == {'PLANNING': 3.0}
    assert summary.plan_ready_seconds == 2.0
    assert summary.simulated_over_real == pytest.approx(3.0)
    assert '1 of 3 (33%)' in table(summary)
    rows = json.loads(json.dumps(as_json(summary, [GOOD, BAD, BAD])))
    assert rows[0]['successes'] == 1
    assert len(rows[0]['trials']) == 3


def test_a_success_that_only_the_pipeline_saw_failed_in_execution():
    assert failure_class(ManipulationResult()) == 'execution'
    missed = ManipulationResult(code=304, failure=FailureStage.GRASP)
    assert failure_class(missed) == 'grasp'
    assert failure_class(ManipulationResult(code=499)) == 'other'
    outcome = replace(GOOD, success=False, failure='execution')
    assert summarize([outcome], task='', pipeline='', robot='').disagreements == 1


@pytest.mark.slow
def test_a_seeded_trial_succeeds_and_repeats_in_the_simulated_cell():
    first, again = (run_trials(1, seed=0)[0] for _ in range(2))
    assert first.success, first.message
    json.dumps(as_json(summarize([first], task='', pipeline='', robot=''), [first]))
    assert (first.simulated_seconds, first.error_metres) == (
        again.simulated_seconds,
        again.error_metres,
    )
