# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import math

import numpy as np
import pytest
import task_scene as scene

from flow_manip_core.errors import (
    GoalNotReachedError,
    ObjectAbsentError,
    ObjectAmbiguousError,
    PeerLostError,
)
from flow_manip_core.instruction import parse_instruction
from flow_manip_core.transforms import make_transform, rotation_about, transform_points
from flow_manip_task.alignment import align_clouds
from flow_manip_task.checking import CheckConfig, GoalChecker, head_noun_phrase

PUT_ON = parse_instruction('put the red cube on the plate')
PUT_IN = parse_instruction('put the red cube in the bowl')
LIFT = parse_instruction('lift the red cube')
BEFORE = scene.observe()
MASK = scene.mask_of('red cube')
GOAL = scene.put_motion()[-1]


def measure(motion, *, instruction=PUT_ON, boxes=scene.SCENE[1:], segment=None, noise=0.0):
    """Look again at a scene in which the red cube was moved by `motion`."""
    after_boxes = (scene.RED_CUBE.moved(motion), *boxes) if motion is not None else boxes
    after = scene.observe(after_boxes, noise)

    def by_words(phrase):
        assert phrase == 'red cube'
        return scene.mask_of('red cube', after_boxes)

    checker = GoalChecker()
    check = checker.measure(
        instruction, BEFORE, MASK, scene.put_flow(), after, segment or by_words
    )
    checker.judge(instruction, check)
    return check


def absent(phrase):
    raise ObjectAbsentError('no red cube; seen: white plate')


def ambiguous(phrase):
    raise ObjectAmbiguousError('two red cubes')


@pytest.mark.parametrize('noise', [0.0, 0.002])
def test_an_object_at_the_end_of_its_flow_is_found_there(noise):
    check = measure(GOAL, noise=noise)
    assert check.error_metres < 0.006
    assert check.error_degrees < 8


def test_the_error_is_how_far_and_how_much_it_is_off():
    turn = rotation_about((0, 0, 1), 0.2)
    place = scene.RED_CUBE.moved(GOAL).pose[:3, 3]
    off = make_transform(place - turn @ place + [0.015, 0.01, 0], turn)
    check = measure(off @ GOAL)
    assert check.error_metres == pytest.approx(math.hypot(0.015, 0.01), abs=0.005)
    assert check.error_degrees == pytest.approx(np.degrees(0.2), abs=4)
    assert '18 mm' in check.sentence or 'mm from where its flow ends' in check.sentence


def test_too_far_is_not_reached_and_says_how_far():
    with pytest.raises(GoalNotReachedError, match=r'\d+ mm from .*limit is 30 mm'):
        measure(make_transform((0.05, 0.0, 0.0)) @ GOAL)


def test_an_object_that_never_moved_is_not_reached():
    with pytest.raises(GoalNotReachedError, match=r'2\d\d mm from'):
        measure(np.eye(4))


def test_turned_too_far_is_not_reached():
    place = scene.RED_CUBE.moved(GOAL).pose[:3, 3]
    turn = rotation_about((0, 0, 1), 0.6)
    with pytest.raises(GoalNotReachedError, match='degrees; the limit is 20 degrees'):
        measure(make_transform(place - turn @ place, turn) @ GOAL)


def test_in_something_it_may_roll_and_only_the_horizontal_counts():
    place = scene.RED_CUBE.moved(GOAL).pose[:3, 3]
    turn = rotation_about((0, 0, 1), 0.6)
    rolled = make_transform(place - turn @ place + [0.03, 0.02, 0.0], turn)
    check = measure(rolled @ GOAL, instruction=PUT_IN)
    assert 0.02 < check.error_metres < 0.06
    assert math.isnan(check.error_degrees)
    with pytest.raises(GoalNotReachedError, match='60 mm horizontally'):
        measure(make_transform((0.09, 0.0, 0.0)) @ GOAL, instruction=PUT_IN)


@pytest.mark.parametrize('segment', [absent, ambiguous])
def test_what_the_words_do_not_single_out_is_found_by_colour_where_it_should_be(segment):
    check = measure(GOAL, segment=segment)
    assert check.error_metres < 0.006


def test_a_mask_that_runs_into_a_neighbour_does_not_move_the_object():
    after = (scene.RED_CUBE.moved(GOAL), *scene.SCENE[1:])

    def merged(phrase):
        cube, plate = (scene.mask_of(name, after) for name in ('red cube', 'white plate'))
        return replace(cube, pixels=cube.pixels | plate.pixels)

    assert measure(GOAL, segment=merged).error_metres < 0.01


def test_what_hangs_may_swing_but_not_fall():
    hang = parse_instruction('hang the red cube on the plate')
    place = scene.RED_CUBE.moved(GOAL).pose[:3, 3]
    turn = rotation_about((0, 0, 1), 0.6)
    swung = make_transform(place - turn @ place, turn) @ GOAL
    check = measure(swung, instruction=hang)
    assert check.error_metres < 0.015
    assert math.isnan(check.error_degrees)
    with pytest.raises(GoalNotReachedError, match='limit is 20 degrees'):
        measure(swung)
    with pytest.raises(GoalNotReachedError, match='limit is 30 mm'):
        measure(make_transform((0.05, 0.0, 0.0)) @ GOAL, instruction=hang)


def test_an_object_that_is_nowhere_in_plain_view_is_not_reached():
    with pytest.raises(GoalNotReachedError, match=r'not found again.*in view.*no red cube'):
        measure(None, segment=absent)


def test_a_hidden_place_is_said_not_skipped():
    # A wall between the camera and the plate.
    wall = scene.Box('wall', scene.BLUE, (0.02, 0.4, 0.4), scene.standing(0.75, -0.1, 0.4))
    check = measure(GOAL, boxes=(*scene.SCENE[1:], wall), segment=absent)
    assert check.hidden
    assert math.isnan(check.error_metres)
    assert 'is hidden' in check.sentence


def test_a_lifted_object_may_be_unseen_in_the_hand():
    check = measure(None, segment=absent, instruction=LIFT)
    assert math.isnan(check.error_metres)
    assert 'not found again' in check.sentence


def test_other_errors_of_the_segmenter_pass():
    def lost(phrase):
        raise PeerLostError('gone')

    with pytest.raises(PeerLostError):
        measure(GOAL, segment=lost)


@pytest.mark.parametrize(
    ('phrase', 'head'),
    [
        ('red cube left of the bowl', 'red cube'),
        ('the mug that is in the box', 'the mug'),
        ('cube on the left', 'cube'),
        ('green bottle in front of the plate', 'green bottle'),
        ('small box', 'small box'),
        ('on', 'on'),
    ],
)
def test_the_old_place_is_dropped_from_the_words(phrase, head):
    assert head_noun_phrase(phrase) == head


def test_a_ball_shows_no_rotation():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(600, 3))
    directions[:, 2] = np.abs(directions[:, 2])
    ball = 0.03 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    alignment = align_clouds(ball, ball + np.array([0.01, 0.0, 0.0]))
    assert alignment.metres == pytest.approx(0.01, abs=0.001)
    assert math.isnan(alignment.degrees)


def test_tolerances_that_nothing_meets_are_refused():
    with pytest.raises(Exception, match='positive'):
        CheckConfig(tolerance=0.0)


def test_what_is_inserted_must_not_lean_though_it_may_in_a_bowl():
    middle = transform_points(GOAL, scene.RED_CUBE.pose[:3, 3])
    turn = rotation_about((0, 0, 1), 0.6) @ rotation_about((1, 0, 0), 0.6)
    leaning = make_transform(middle - turn @ scene.RED_CUBE.pose[:3, 3], turn)
    assert measure(leaning, instruction=PUT_IN).error_metres < 0.03
    inserting = parse_instruction('insert the red cube into the hole')
    with pytest.raises(GoalNotReachedError, match='degrees; the limit is 20'):
        measure(leaning, instruction=inserting)
    measure(GOAL, instruction=inserting)


def test_what_was_poured_from_must_stand_where_its_flow_ends():
    pouring = parse_instruction('pour water from the red cube into the bowl')
    assert (pouring.object, pouring.relation) == ('red cube', 'in')
    beside = make_transform([0.045, 0.0, 0.0]) @ GOAL
    measure(beside, instruction=PUT_IN)
    with pytest.raises(GoalNotReachedError, match='the limit is 30 mm'):
        measure(beside, instruction=pouring)
