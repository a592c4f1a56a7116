# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.errors import (
    NoFreePlaceError,
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
    TaskNotSupportedError,
)
from flow_manip_core.transforms import quaternion_from_transform, rotation_about
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.tasks import task_named, TASKS
from flow_manip_mujoco.tasks.meaning import meant_step
from flow_manip_mujoco.tasks.words import find_body

PLACES = {
    'red_cube': (0.38, -0.20, 0.0),
    'blue_cube': (0.52, 0.0, 0.0),
    'white_plate': (0.40, 0.22, 0.0),
    'pink_bowl': (0.68, -0.25, 0.0),
}


@pytest.fixture
def four(cell):
    cell.reset(0, Scene(tuple(PLACES), 0, PLACES))
    return cell


def moved_by(cell, instruction):
    """Return what moves and how far, from start to end."""
    step = meant_step(cell, instruction)
    poses = step.reference_motion(cell).poses
    np.testing.assert_allclose(poses[0], cell.body_pose(step.body), atol=1e-9)
    return step.body, poses[-1][:3, 3] - poses[0][:3, 3]


@pytest.mark.parametrize('name', ['put', *TASKS])
def test_a_trial_s_own_words_mean_its_step(cell, name):
    for seed in range(3):
        trial = task_named(name).make_trial(seed)
        trial.reset(cell)
        assert meant_step(cell, trial.instruction).body == trial.steps[0].body
        for step in trial.steps:
            assert meant_step(cell, step.instruction).instruction == step.instruction


@pytest.mark.parametrize('name', ['open_oven', 'water_plant', 'corn_in_bowl', 'close_cabinet'])
def test_every_phrasing_of_a_task_means_its_step(cell, name):
    trial = TASKS[name].make_trial(1)
    trial.reset(cell)
    for phrasing in TASKS[name].phrasings:
        if '{' not in phrasing:
            assert meant_step(cell, f'please {phrasing}') == trial.steps[0], phrasing


def test_of_a_whole_with_two_steps_the_one_that_is_not_done_is_meant(cell):
    trial = TASKS['put_screwdriver_in_toolbox'].make_trial(2)
    trial.reset(cell)
    assert meant_step(cell, trial.instruction).body == 'toolbox_lid'
    cell.data.joint('toolbox_lid').qpos[0] = np.radians(100.0)
    assert meant_step(cell, trial.instruction).body == trial.steps[1].body


def test_in_a_task_s_scene_another_wish_is_not_taken_for_the_task(cell):
    trial = TASKS['cup_on_saucer'].make_trial(1)
    trial.reset(cell)
    cup = trial.steps[0].body
    body, way = moved_by(cell, f'lift the {cup.replace("_", " ")}')
    assert body == cup
    np.testing.assert_allclose(way, [0.0, 0.0, 0.15], atol=1e-6)
    body, _ = moved_by(cell, 'push the green cube aside')
    assert body == 'green_cube'


def test_put_ends_over_its_target(four):
    body, way = moved_by(four, 'put the red cube on the plate')
    assert body == 'red_cube'
    end = four.object_pose('red_cube')[:3, 3] + way
    np.testing.assert_allclose(end[:2], four.object_pose('white_plate')[:2, 3], atol=1e-6)
    assert 0.0 < end[2] < 0.03
    assert moved_by(four, 'put the blue cube in the bowl')[1][2] > 0.0


def test_sides_are_those_that_the_camera_sees(four):
    seen = four.observe()
    for words, axis, sign in (
        ('left of', 0, -1),
        ('right of', 0, 1),
        ('in front of', 1, 1),
        ('behind', 1, -1),
    ):
        body, way = moved_by(four, f'put the red cube {words} the blue cube')
        end = four.object_pose(body)[:3, 3] + way
        other = four.object_pose('blue_cube')[:3, 3]
        back = np.linalg.inv(seen.T_world_camera)
        pixels = [seen.camera.project((back @ [*p, 1.0])[:3]) for p in (end, other)]
        assert sign * (pixels[0] - pixels[1])[axis] > 20.0, words


def test_a_push_stays_on_the_table(four):
    body, way = moved_by(four, 'push the red cube to the left')
    assert body == 'red_cube'
    assert abs(way[2]) < 1e-6
    assert 0.04 < np.linalg.norm(way[:2]) < 0.2
    assert way[:2] @ four.T_world_camera[:2, 0] < 0


def test_what_has_fallen_over_is_turned_upright(four):
    joint = four.data.joint('red_cube')
    lying = np.eye(4)
    lying[:3, :3] = rotation_about([0, 1, 0], 1.2)
    joint.qpos[3:] = quaternion_from_transform(lying)[[3, 0, 1, 2]]
    step = meant_step(four, 'stand the red cube up')
    goal = step.reference_motion(four).poses[-1]
    np.testing.assert_allclose(goal[:3, 2], [0, 0, 1], atol=1e-6)


def test_doors_open_and_shut_without_a_task_that_asks_for_it(cell):
    trial = TASKS['open_top_drawer'].make_trial(2)
    trial.reset(cell)
    with pytest.raises(TaskNotSupportedError, match='parts that open'):
        meant_step(cell, 'open the chest')
    trial = TASKS['close_cabinet'].make_trial(2)
    trial.reset(cell)
    step = meant_step(cell, 'open the cabinet door')
    assert step.body == 'cabinet_door'
    now = cell.fixture_joints()['cabinet_door']
    poses = step.reference_motion(cell).poses
    turned = np.arccos((np.trace(poses[0][:3, :3].T @ poses[-1][:3, :3]) - 1) / 2)
    assert turned == pytest.approx(0.8 * 1.75 - now, abs=1e-3)


def test_what_cannot_be_done_is_refused_by_its_reason(four):
    for words, error in (
        ('dance', TaskNotSupportedError),
        ('put the red cube in the plate', TaskNotSupportedError),
        ('pour tea into the bowl', ObjectAbsentError),
        ('put the banana on the plate', ObjectAbsentError),
        ('put the cube on the plate', ObjectAmbiguousError),
    ):
        with pytest.raises(error):
            meant_step(four, words)


def test_no_room_is_no_place(cell):
    row = {
        'white_plate': (0.45, 0.0, 0.0),
        'black_plate': (0.45, 0.19, 0.0),
        'red_plate': (0.45, -0.19, 0.0),
    }
    cell.reset(0, Scene(tuple(row), 0, row))
    with pytest.raises(NoFreePlaceError, match='places'):
        meant_step(cell, 'put the red plate right of the black plate')


def test_bodies_are_found_by_what_they_are_called(cell):
    trial = TASKS['insert_block'].make_trial(1)
    trial.reset(cell)
    assert find_body(cell, 'square hole of the board') == 'board'
    assert find_body(cell, 'the table') == 'table'
    with pytest.raises(PhraseNotUnderstoodError):
        find_body(cell, 'the')
    trial = TASKS['hang_mug'].make_trial(1)
    trial.reset(cell)
    assert find_body(cell, 'mug') == trial.steps[0].body
    assert find_body(cell, 'mug tree') == 'mug_tree'
    assert find_body(cell, 'peg of the mug tree') == 'mug_tree'
