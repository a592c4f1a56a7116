# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from task_fakes import FakeWorld, Heard

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ControllerRejectedError,
    DegenerateFlowError,
    FailureStage,
    GraspMissedError,
    InCollisionError,
    LimitsError,
    NoFreePlaceError,
    NoGraspError,
    NoPathError,
    ObjectAbsentError,
    ObjectAmbiguousError,
    ObjectLostError,
    PeerLostError,
    Stage,
    StageTimeoutError,
    StaleInputError,
    ToleranceViolatedError,
    UnreachableError,
)
from flow_manip_core.transforms import make_transform
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.policy import ManipulationConfig
from flow_manip_task.stages import ManipulateRequest

PUT = ManipulateRequest('put the red cube on the plate', seed=7)
ONCE = [
    'OBSERVING', 'SEGMENTING', 'IMAGINING', 'SELECTING', 'PLANNING', 'GRASPING', 'FOLLOWING',
    'CHECKING',
]  # fmt: skip


def run(world, request=PUT, cancelled=lambda: False, **config):
    heard = Heard()
    result = Manipulation(world.stages, ManipulationConfig(**config)).run(
        request, cancelled=cancelled, listener=heard
    )
    assert not heard.open, 'every stage that began has ended'
    return result, heard


def test_a_goal_that_works_goes_once_through_every_stage():
    result, heard = run(FakeWorld())
    assert result.succeeded
    assert result.stage is Stage.DONE
    assert heard.names == [*ONCE, 'DONE']
    assert list(result.seconds) == ONCE
    assert result.final_error_metres < 0.005
    assert result.final_error_degrees < 5
    assert result.sentence == 'succeeded'
    assert 0 <= result.plan_ready_seconds <= result.total_seconds


def test_listeners_receive_every_value_that_a_stage_made():
    _, heard = run(FakeWorld())
    assert heard.values == [
        'instruction', 'observation', 'mask', 'references', 'dropped', 'candidates', 'ranking',
        'flow', 'plan', 'outcome', 'observation_after', 'check',
    ]  # fmt: skip


def test_a_dry_run_ends_after_planning_and_moves_nothing():
    world = FakeWorld()
    result, heard = run(world, ManipulateRequest(PUT.instruction, dry_run=True))
    assert result.succeeded
    assert heard.names == [*ONCE[:5], 'DONE']
    assert not [c for c in world.calls if c.startswith(('execute', 'recover'))]
    assert math.isnan(result.final_error_metres)


@pytest.mark.parametrize(
    ('text', 'code'),
    [('', 401), ('  \n ', 401), ('put ' * 25_000, 402), ('colourless green ideas', 403)],
)
def test_words_that_mean_nothing_are_refused_before_anything_is_looked_at(text, code):
    world = FakeWorld()
    result, heard = run(world, ManipulateRequest(text))
    assert (result.code, result.attempts, result.stage) == (code, 0, None)
    assert world.calls == []
    assert heard.stages == []
    assert result.message


def test_an_unknown_verb_goes_on_where_the_object_is_named():
    world = FakeWorld()
    result, _ = run(world, ManipulateRequest('jiggle it gracefully', object='red cube'))
    assert result.succeeded, result.message
    assert world.phrases[0] == 'red cube'


def test_the_named_object_wins_over_the_words():
    world = FakeWorld()
    run(world, ManipulateRequest('put the toy on the plate', object='red cube'))
    assert world.phrases[0] == 'red cube'


def test_another_pipeline_than_the_one_that_runs_is_refused():
    result, _ = run(
        FakeWorld(), ManipulateRequest(PUT.instruction, pipeline='lamp'), pipeline='default'
    )
    assert (result.code, result.name) == (405, 'UNKNOWN_PIPELINE')
    assert "'default'" in result.message


@pytest.mark.parametrize(
    ('stage', 'error', 'where'),
    [
        ('observe', StaleInputError('image is 0.4 s old'), 'OBSERVING'),
        ('execute grasp', GraspMissedError('closed on nothing'), 'GRASPING'),
        ('execute approach', ToleranceViolatedError('joint 3 is 0.2 rad off'), 'GRASPING'),
        ('execute follow', ObjectLostError('width fell to 0'), 'FOLLOWING'),
        ('plan', NoGraspError('none'), 'PLANNING'),
        ('plan', UnreachableError('none'), 'PLANNING'),
        ('plan', InCollisionError('none'), 'PLANNING'),
        ('plan', NoPathError('none'), 'PLANNING'),
        ('plan', LimitsError('none'), 'PLANNING'),
        ('plan', DegenerateFlowError('one line'), 'PLANNING'),
    ],
)
def test_what_another_look_may_mend_is_tried_again(stage, error, where):
    world = FakeWorld(candidates=1).fail(stage, error)
    result, heard = run(world)
    assert result.succeeded
    assert result.attempts == 2
    first = [name for name, attempt in heard.stages if attempt == 1]
    assert first[-2:] == [where, 'REPLANNING']
    assert [name for name, attempt in heard.stages if attempt == 2] == [*ONCE, 'DONE']
    assert 'REPLANNING' in result.seconds


@pytest.mark.parametrize(
    ('stage', 'error'),
    [
        ('segment', ObjectAbsentError('no red cube; seen: blue box')),
        ('segment', ObjectAmbiguousError('two red cubes')),
        ('imagine', NoFreePlaceError('no place on the plate')),
        ('select', BackendError('no such backend')),
        ('plan', PeerLostError('plan_from_flow vanished')),
        ('plan', StageTimeoutError('planning took longer than 30 s')),
        ('execute approach', ControllerRejectedError('refused')),
        ('execute follow', PeerLostError('controller fell silent')),
        ('observe', PeerLostError('no camera')),
    ],
)
def test_what_another_look_does_not_mend_ends_the_goal(stage, error):
    world = FakeWorld().fail(stage, error)
    result, heard = run(world)
    assert (result.code, result.message) == (error.code, str(error))
    assert result.failure is error.failure
    assert result.attempts == 1
    assert 'REPLANNING' not in heard.names
    assert 'DONE' not in heard.names


def test_the_arm_is_brought_home_before_a_second_attempt_that_follows_a_motion():
    world = FakeWorld().fail('execute grasp', GraspMissedError('closed on nothing'))
    run(world)
    again = world.calls.index('recover')
    assert world.calls[again - 1] == 'execute grasp'
    assert world.calls[again + 1] == 'observe'


def test_the_next_goal_first_takes_the_arm_out_of_what_a_cancelled_one_left():
    asked = []
    world = FakeWorld(on_call=lambda name: name == 'execute follow' and asked.append(name))
    manipulation = Manipulation(world.stages)
    assert manipulation.run(PUT, cancelled=lambda: bool(asked)).code == 1
    world.on_call = lambda name: None
    world.calls.clear()
    assert manipulation.run(ManipulateRequest(PUT.instruction, dry_run=True)).succeeded
    assert 'recover' not in world.calls, 'a dry run moves nothing'
    assert manipulation.run(PUT).succeeded
    assert world.recovered == [2]
    assert manipulation.run(PUT).code != 1
    assert world.recovered == [2], 'once is enough'


def test_an_arm_that_somebody_moved_meanwhile_is_left_alone():
    world = FakeWorld().fail('execute follow', PeerLostError('controller fell silent'))
    manipulation = Manipulation(world.stages)
    assert manipulation.run(PUT).code == 8
    world.fail('recover', StaleInputError('the arm is 0.8 rad off the motion'))
    assert manipulation.run(PUT).succeeded


def test_the_arm_is_not_moved_between_attempts_that_only_looked_and_planned():
    world = FakeWorld(candidates=1).fail('plan', UnreachableError('none'))
    result, _ = run(world)
    assert result.succeeded
    assert 'recover' not in world.calls


def test_attempts_are_bounded_and_the_last_error_is_reported():
    errors = [GraspMissedError(f'miss {i}') for i in range(5)]
    world = FakeWorld().fail('execute grasp', *errors)
    result, _ = run(world, max_attempts=3)
    assert result.attempts == 3
    assert (result.code, result.message) == (304, 'miss 2')
    assert result.failure is FailureStage.GRASP
    assert result.stage is Stage.GRASPING
    assert world.calls[-1] == 'recover', 'the arm is out of the way for the next goal'


def test_planning_is_given_one_fresh_observation_not_many():
    world = FakeWorld(candidates=1).fail('plan', *(UnreachableError('none') for _ in range(5)))
    result, _ = run(world, max_attempts=4)
    assert (result.code, result.attempts) == (202, 2)


def test_planning_goes_on_to_the_next_best_flow():
    world = FakeWorld(candidates=3).fail('plan', UnreachableError('none'))
    result, heard = run(world)
    assert (result.succeeded, result.attempts) == (True, 1)
    assert heard.values.count('flow') == 2
    assert any('trying the next flow' in text for _, _, text in heard.progress)


def test_each_attempt_has_its_own_seed_and_the_first_the_one_of_the_request():
    world = FakeWorld().fail('execute grasp', GraspMissedError('nothing'))
    run(world)
    assert world.seeds == [7, 8]


def test_when_every_flow_is_vetoed_the_vetoes_are_told():
    result, _ = run(FakeWorld(order=()))
    assert (result.code, result.failure) == (601, FailureStage.VIDEO)
    assert 'leaves the table' in result.message


def test_a_goal_missed_by_the_object_is_tried_again_and_then_reported_with_numbers():
    world = FakeWorld(ends_at=make_transform((0.06, 0.0, 0.0)))
    result, heard = run(world, max_attempts=1)
    assert (result.code, result.name) == (404, 'GOAL_NOT_REACHED')
    assert result.final_error_metres > 0.1
    assert 'mm from where its flow ends' in result.message
    assert result.stage is Stage.CHECKING
    assert heard.names[-1] == 'CHECKING', 'the plan itself had withdrawn the arm'


def test_a_bug_is_reported_as_unknown_with_its_traceback():
    world = FakeWorld().fail('select', ZeroDivisionError('a bug'))
    result, _ = run(world)
    assert (result.code, result.name) == (499, 'UNKNOWN')
    assert 'ZeroDivisionError' in result.traceback
    assert "ZeroDivisionError('a bug')" in result.message


def test_a_recovery_that_fails_does_not_hide_what_went_wrong_first():
    world = FakeWorld().fail('execute grasp', GraspMissedError('closed on nothing'))
    world.fail('recover', PeerLostError('controller vanished'))
    result, _ = run(world)
    assert result.code == 304
    assert 'closed on nothing' in result.message
    assert 'controller vanished' in result.message


CALLS = [
    'observe', 'segment', 'imagine', 'select', 'plan', 'execute approach', 'execute follow',
    'execute retreat',
]  # fmt: skip


@pytest.mark.parametrize('where', CALLS)
@pytest.mark.parametrize('notices', [True, False], ids=['stage notices', 'stage finishes'])
def test_cancel_at_any_stage_ends_once_as_cancelled_and_moves_nothing_more(where, notices):
    asked = []
    world = FakeWorld()
    world.on_call = lambda name: asked.append(name) if name == where else None
    stage_sees = (lambda: bool(asked)) if notices else None
    heard = Heard()
    manipulation = Manipulation(world.stages if notices else deaf(world).stages)
    result = manipulation.run(PUT, cancelled=lambda: bool(asked), listener=heard)
    assert stage_sees is None or stage_sees()
    assert (result.code, result.name) == (1, 'CANCELLED')
    assert 'recover' not in world.calls
    assert 'DONE' not in heard.names
    assert not heard.open
    if notices or not where.startswith('execute'):
        assert world.calls[-1] == where


def deaf(world):
    """The world with stages that never look at `cancelled`."""
    original = world._called
    world._called = lambda name, cancelled: original(name, lambda: False)
    return world


def test_cancel_while_looking_again_and_while_recovering_ends_as_cancelled():
    for where in ('second observe', 'recover'):
        count = {'observe': 0}
        asked = []

        def on_call(name, where=where, count=count, asked=asked):
            count['observe'] += name == 'observe'
            if name == where or (where == 'second observe' and count['observe'] == 2):
                asked.append(name)

        world = FakeWorld(on_call=on_call)
        if where == 'recover':
            world.fail('execute grasp', GraspMissedError('nothing'))
        result, _ = run(world, cancelled=lambda asked=asked: bool(asked))
        assert result.code == CancelledError.code
        assert world.calls[-1] == ('observe' if where == 'second observe' else 'recover')


def test_a_goal_cancelled_before_it_began_touches_nothing():
    world = FakeWorld()
    result, _ = run(world, cancelled=lambda: True)
    assert result.code == 1
    assert world.calls == []


def test_progress_stays_within_zero_and_one():
    world = FakeWorld()
    plan = world.plan

    def wild(*args, on_stage, **kwargs):
        on_stage('too far', 3.0)
        on_stage('too little', -1.0)
        return plan(*args, on_stage=on_stage, **kwargs)

    world.plan = wild
    _, heard = run(world)
    assert all(0 <= progress <= 1 for _, progress, _ in heard.progress)
