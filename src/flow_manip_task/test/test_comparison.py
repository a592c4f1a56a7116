# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import json

from evaluation_fakes import broken, Drawing, Dying, line
import pytest

from flow_manip_core.errors import (
    BackendError,
    ConfigurationError,
    InvalidInputError,
    RecordError,
    UnknownPipelineError,
)
from flow_manip_mujoco.disturbances import DISTURBANCES as SIMULATED
from flow_manip_task.evaluation import comparison
from flow_manip_task.evaluation.comparison import compare, trials_path
from flow_manip_task.evaluation.conditions import (
    check_names,
    Condition,
    conditions,
    DISTURBANCES,
    jobs_of,
    parse_seeds,
)
from flow_manip_task.evaluation.log import TrialLine, TrialLog
from flow_manip_task.evaluation.report import row_of, rows_of, table
from flow_manip_task.evaluation.workers import Lost, run_jobs

PUT = Condition('put')
NOISY = Condition('put', flow='noisy:0.01')


@pytest.fixture
def drawn(monkeypatch):
    """Trials that are drawn by their seed in the place of the simulated ones."""
    monkeypatch.setattr(comparison, 'TrialRunner', Drawing)


def test_conditions_are_every_combination_once_in_order():
    rows = conditions(['a', 'b'], ['default'], ['franka'], ['oracle', 'noisy:0.010'], ['open'])
    assert [(r.task, r.flow, r.loop) for r in rows] == [
        ('a', 'oracle', 'open'),
        ('a', 'noisy:0.01', 'open'),
        ('b', 'oracle', 'open'),
        ('b', 'noisy:0.01', 'open'),
    ]
    assert len(conditions(['a', 'a'], ['p'], ['r'], ['noisy:0.01', 'noisy:0.010'])) == 1


@pytest.mark.parametrize(
    'wrong', [{'loop': 'ajar'}, {'baseline': 'luck'}, {'disturbance': 'rain'}, {'flow': 'noise'}]
)
def test_a_condition_of_an_unknown_kind_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        Condition('put', **wrong)


def test_every_disturbance_that_is_known_exists():
    assert set(DISTURBANCES) - {''} == set(SIMULATED)


def test_jobs_go_seed_by_seed_so_that_all_rows_are_equally_far():
    jobs = jobs_of([PUT, NOISY], range(2))
    assert [(j.condition, j.seed) for j in jobs] == [(PUT, 0), (NOISY, 0), (PUT, 1), (NOISY, 1)]


def test_seeds_are_a_range_as_in_python():
    assert parse_seeds('3:5') == range(3, 5)
    assert parse_seeds('7') == range(7, 8)


@pytest.mark.parametrize('text', ['', ':', '5:5', '5:3', '-1:2', 'a:b', '0:4294967298', '1:2:3'])
def test_seeds_that_hold_nothing_are_refused(text):
    with pytest.raises(InvalidInputError, match='seeds'):
        parse_seeds(text)


@pytest.mark.parametrize(
    ('wrong', 'error', 'sentence'),
    [
        ({'task': 'opn_drawer'}, InvalidInputError, "did you mean 'open_drawer'"),
        ({'task': 'xxx'}, InvalidInputError, 'known: '),
        ({'pipeline': 'defalt'}, UnknownPipelineError, "did you mean 'default'"),
        ({'robot': 'frnka'}, ConfigurationError, "did you mean 'franka'"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(wrong, error, sentence):
    with pytest.raises(error, match=sentence):
        check_names([replace(PUT, **wrong)], ['put', 'open_drawer'])


def test_a_line_comes_back_from_json_as_it_was():
    trial = line(4, False, condition=NOISY, error_metres=0.01)
    assert TrialLine.from_json(json.loads(json.dumps(trial.as_json()))) == trial


@pytest.mark.parametrize(
    'change', [{'version': 0}, {'seed': 'x'}, {'loop': 'ajar'}, {'luck': 1}, {'success': 1}]
)
def test_a_line_that_is_not_a_trial_is_refused(change):
    with pytest.raises(RecordError):
        TrialLine.from_json(line().as_json() | change)


def test_a_log_gives_back_what_was_added_and_forgets_a_broken_last_line(tmp_path):
    log = TrialLog(tmp_path / 'a' / 'trials.jsonl')
    assert log.read() == {}
    log.prepare()
    log.append([line(0), line(1, False)])
    whole = log.path.read_bytes()
    with log.path.open('ab') as file:
        file.write(whole[:50])
    assert list(log.read().values()) == [line(0), line(1, False)]
    log.prepare()
    assert log.path.read_bytes() == whole


def test_a_log_that_is_broken_in_the_middle_names_the_line(tmp_path):
    path = tmp_path / 'trials.jsonl'
    path.write_text('{"version": 1}\n', encoding='utf-8')
    with pytest.raises(RecordError, match='line 1'):
        TrialLog(path).read()


def test_rows_count_classes_stages_and_medians():
    lines = [
        line(3, False, failure='execution', code=0, name='NONE'),
        line(1),
        line(2, False, failure='other', code=499, name='UNKNOWN', progress={}, seconds={}),
    ]
    row = row_of(lines)
    assert (row.n, row.successes, row.seeds) == (3, 1, [1, 3])
    assert row.failures == {'video': 0, 'tracking': 0, 'grasp': 0, 'execution': 1, 'other': 1}
    assert row.codes == {'UNKNOWN': 1, 'NONE': 1}
    assert row.stages == {'over': 2, 'down': 1}
    assert row.progress == pytest.approx((1.0 + 0.0 + 0.5) / 3)
    assert row.seconds == {'PLANNING': 3.0}
    assert row.disagreements == 1
    assert (row.wilson_low, row.wilson_high) == pytest.approx((0.0615, 0.7923), abs=1e-3)


def test_the_json_of_a_row_has_the_agreed_names():
    facts = json.loads(json.dumps(row_of([line()]).as_json()))
    wanted = (
        'task pipeline robot flow n successes wilson_low wilson_high progress failures seconds'
    )
    assert {*wanted.split(), 'seeds', 'loop', 'baseline'} <= set(facts)


def test_the_table_shows_what_differs_and_nothing_else():
    rows = rows_of([line(0), line(0, False, condition=replace(PUT, baseline='rigid_replay'))])
    text = table(rows)
    assert len(text.splitlines()) == 4
    assert len({len(text_line) for text_line in text.splitlines()}) == 1
    assert 'rigid_replay' in text
    assert 'pipeline' not in text
    assert '1/1 (100%)' in text
    assert 'loop' not in text
    assert 'other' not in text


def test_one_and_two_processes_give_the_same_lines_with_one_thread_each(drawn, tmp_path):
    conditions = [PUT, NOISY]
    alone = compare(conditions, range(4), tmp_path / 'one.json')
    together = compare(conditions, range(4), tmp_path / 'two.json', processes=2)
    assert alone == together
    one, two = (TrialLog(trials_path(tmp_path / f'{n}.json')).read() for n in ('one', 'two'))
    assert one == two
    assert {trial.message for trial in one.values()} == {'1'}
    assert json.loads((tmp_path / 'one.json').read_text()) == [row.as_json() for row in alone]


def test_what_is_finished_is_not_run_again_and_counts(drawn, tmp_path):
    out = tmp_path / 'r.json'
    log = TrialLog(trials_path(out))
    log.prepare()
    kept = line(0, True, message='kept')
    stranger = line(9, True, condition=Condition('other'))
    log.append([kept, stranger])
    resumed, ran = [], []
    rows = compare(
        [PUT],
        range(3),
        out,
        on_resume=lambda lines, total: resumed.append((lines, total)),
        on_trial=ran.append,
    )
    assert resumed == [([kept], 3)]
    assert [trial.seed for trial in ran] == [1, 2]
    # Seed 0 alone would fail: it was kept.
    assert (rows[0].n, rows[0].successes) == (3, 3)
    assert len(log.read()) == 4


def test_an_interrupted_comparison_leaves_a_file_that_it_goes_on_from(drawn, tmp_path):
    out = tmp_path / 'r.json'

    def stop(trial):
        if trial.seed == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare([PUT], range(4), out, on_trial=stop)
    assert not out.exists()
    assert [job.seed for job in TrialLog(trials_path(out)).read()] == [0, 1]
    rows = compare([PUT], range(4), out)
    assert (rows[0].n, rows[0].successes, rows[0].seeds) == (4, 2, [0, 3])
    assert len(TrialLog(trials_path(out)).read()) == 4


def test_a_process_that_dies_costs_its_own_trial_only():
    jobs = jobs_of([PUT], range(2)) + jobs_of([PUT], range(3, 4))
    results = {job.seed: result for job, result in run_jobs(jobs, Dying)}
    assert sorted(results) == [0, 1, 3]
    assert results[1] == Lost(jobs[1], 'its process died with exit code 7')
    assert results[0].success
    assert results[3].success


@pytest.mark.slow
def test_a_process_that_hangs_costs_its_own_trial_only():
    jobs = jobs_of([PUT], range(2, 4))
    results = {job.seed: result for job, result in run_jobs(jobs, Dying, timeout=8.0)}
    assert results[2] == Lost(jobs[0], 'ended after 8 s')
    assert results[3].success


def test_what_cannot_be_built_ends_everything_with_its_error():
    with pytest.raises(BackendError, match='no such thing'):
        list(run_jobs(jobs_of([PUT], range(2)), broken))
