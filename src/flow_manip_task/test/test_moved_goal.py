# SPDX-License-Identifier: Apache-2.0
"""Targets that move between two looks, and objects that are found again by their track."""

from dataclasses import replace

import numpy as np
import pytest
from task_fakes import FakeWorld
import task_scene as scene

from flow_manip_core.errors import (
    GoalNotReachedError,
    ObjectAbsentError,
    ObjectAmbiguousError,
    SlipError,
)
from flow_manip_core.instruction import parse_instruction
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_task.checking import GoalChecker
from flow_manip_task.finding import find_tracked
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.moved_goal import MovedConfig, reference_motion
from flow_manip_task.policy import ManipulationConfig
from flow_manip_task.stages import ManipulateRequest

PUT = parse_instruction('put the red cube on the plate')
BEFORE = scene.observe()
CUBE, PLATE = scene.mask_of('red cube'), scene.mask_of('white plate')
GOAL = scene.put_motion()[-1]
ASIDE = make_transform((0.0, 0.1, 0.0))


def placed(cube, plate):
    """The scene with the cube and the plate moved."""
    return (scene.RED_CUBE.moved(cube), scene.PLATE.moved(plate), scene.BLUE_BOX)


def segment_in(boxes):
    return lambda phrase: scene.mask_of({'plate': 'white plate'}.get(phrase, phrase), boxes)


def plate_motion(boxes, segment=None, noise=0.0):
    after = scene.observe(boxes, noise)
    return reference_motion(
        MovedConfig(), BEFORE, [('plate', PLATE)], after, segment or segment_in(boxes)
    )


def measure(boxes):
    checker, after = GoalChecker(), scene.observe(boxes)
    check = checker.measure(PUT, BEFORE, CUBE, scene.put_flow(), after, segment_in(boxes), [PLATE])
    checker.judge(PUT, check)
    return check


def nowhere(phrase):
    raise ObjectAbsentError(f'no {phrase}')


@pytest.mark.parametrize('noise', [0.0, 0.002])
def test_a_target_that_stays_has_not_moved_whatever_lies_on_it(noise):
    for cube in (np.eye(4), GOAL):
        moved = plate_motion(placed(cube, np.eye(4)), noise=noise)
        assert (moved.sentence, moved.gone) == ('', False)
        assert not moved.shift.any()


@pytest.mark.parametrize('noise', [0.0, 0.002])
@pytest.mark.parametrize('way', [(0.0, 0.1, 0.0), (-0.06, -0.05, 0.0)])
def test_how_far_a_target_moved_is_measured(way, noise):
    moved = plate_motion(placed(np.eye(4), make_transform(way)), noise=noise)
    np.testing.assert_allclose(moved.shift, way, atol=0.008)
    assert 'plate moved by' in moved.sentence


def test_a_centimetre_is_no_move():
    moved = plate_motion(placed(np.eye(4), make_transform((0.0, 0.01, 0.0))))
    assert not moved.shift.any()


def test_a_target_that_is_seen_nowhere_has_gone():
    moved = plate_motion((scene.RED_CUBE, scene.BLUE_BOX), segment=nowhere)
    assert moved.gone
    assert 'plate is no longer where it was' in moved.sentence


def test_a_target_that_is_hidden_counts_as_where_it_was():
    wall = scene.Box('wall', scene.BLUE, (0.02, 0.4, 0.4), scene.standing(0.75, -0.1, 0.4))
    moved = plate_motion((*scene.SCENE, wall), segment=nowhere)
    assert (moved.sentence, moved.gone) == ('', False)


def test_words_that_find_something_else_move_no_target():
    moved = plate_motion(scene.SCENE, segment=lambda _: scene.mask_of('blue box'))
    assert not moved.shift.any()


def test_an_object_at_the_end_of_its_flow_is_not_on_a_target_that_was_taken_away():
    with pytest.raises(GoalNotReachedError, match=r'plate moved by \d+ mm since it was first'):
        measure(placed(GOAL, ASIDE))


def test_an_object_that_moved_on_with_its_target_is_still_on_it():
    check = measure(placed(ASIDE @ GOAL, ASIDE))
    assert check.error_metres < 0.01
    assert 'plate moved by' in check.sentence


def test_a_pot_is_set_down_where_it_was_though_the_cup_was_moved():
    checker, boxes = GoalChecker(), placed(GOAL, ASIDE)
    pouring = parse_instruction('pour tea from the red cube into the plate')
    after = scene.observe(boxes)
    check = checker.measure(
        pouring, BEFORE, CUBE, scene.put_flow(), after, segment_in(boxes), [PLATE]
    )
    checker.judge(pouring, check)
    assert check.error_metres < 0.01


def test_an_object_whose_target_is_gone_has_not_arrived():
    after = scene.observe((scene.RED_CUBE.moved(GOAL), scene.BLUE_BOX))
    checker = GoalChecker()
    check = checker.measure(PUT, BEFORE, CUBE, scene.put_flow(), after, nowhere, [PLATE])
    assert check.reference_gone
    with pytest.raises(GoalNotReachedError, match='no longer where it was'):
        checker.judge(PUT, check)


def test_a_target_that_moves_during_the_motion_is_tried_again_from_a_new_look():
    world = FakeWorld()

    def drag(name):
        if name == 'execute follow' and world.calls.count('execute follow') == 1:
            world.boxes = placed(np.eye(4), ASIDE)

    world.on_call = drag
    result = Manipulation(world.stages, ManipulationConfig(max_attempts=2)).run(
        ManipulateRequest('put the red cube on the plate')
    )
    assert result.attempts == 2
    assert world.calls.count('observe') == 4


# ---------------------------------------------------------------- found again

FALLEN = make_transform((0.1, 0.03, 0.0)) @ make_transform(
    scene.RED_CUBE.pose[:3, 3] - rotation_about((1, 0, 0), 0.7) @ scene.RED_CUBE.pose[:3, 3],
    rotation_about((1, 0, 0), 0.7),
)


def found_again(by_words, motion=FALLEN, boxes=None):
    boxes = placed(FALLEN, np.eye(4)) if boxes is None else boxes
    after = scene.observe(boxes)
    mask = find_tracked((BEFORE, CUBE), motion, after, by_words, 0.08, 25.0)
    return mask, scene.mask_of('red cube', boxes)


def overlap(a, b):
    return (a.pixels & b.pixels).sum() / (a.pixels | b.pixels).sum()


def ambiguous(phrase='red cube'):
    raise ObjectAmbiguousError('two things fit')


def absent():
    return nowhere('red cube')


@pytest.mark.parametrize('by_words', [ambiguous, absent, lambda: scene.mask_of('blue box')])
def test_what_its_words_do_not_find_is_found_where_it_was_tracked_to(by_words):
    mask, truth = found_again(by_words)
    assert overlap(mask, truth) > 0.75


def test_words_that_find_it_at_the_tracked_place_are_preferred():
    truth = scene.mask_of('red cube', placed(FALLEN, np.eye(4)))
    named = replace(truth, label='by words')
    assert found_again(lambda: named)[0].label == 'by words'


def test_what_is_neither_named_nor_at_the_tracked_place_is_absent():
    with pytest.raises(ObjectAbsentError):
        found_again(absent, boxes=scene.SCENE[1:])


def test_another_attempt_asks_the_track_and_the_first_does_not():
    asked = []
    world = FakeWorld().fail('execute follow', SlipError('off its flow'))

    def track():
        asked.append(len(world.calls))
        return np.eye(4)

    result = Manipulation(replace(world.stages, track=track)).run(
        ManipulateRequest('put the red cube on the plate')
    )
    assert (result.succeeded, result.attempts) == (True, 2)
    assert len(asked) == 1
    assert world.calls[asked[0] - 1] == 'observe'
