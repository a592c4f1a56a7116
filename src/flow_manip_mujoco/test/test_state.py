# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest

from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.cell_config import CellConfig, RandomisationConfig
from flow_manip_mujoco.fixtures.holders import pen_holder
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.state import MAX_LENGTH
from flow_manip_mujoco.tasks import task_named

WRONG = {
    'no mapping': lambda s: [s],
    'another version': lambda s: s | {'version': 2},
    'a key too many': lambda s: s | {'exec': 'import os'},
    'a key too few': lambda s: {k: v for k, v in s.items() if k != 'seed'},
    'another robot': lambda s: s | {'robot': 'ur5'},
    'another camera': lambda s: s | {'camera': '../../etc/passwd'},
    'a negative seed': lambda s: s | {'seed': -1},
    'a seed that is true': lambda s: s | {'seed': True},
    'an unknown task': lambda s: s | {'task': 'os.system'},
    'an unknown object': lambda s: s | {'objects': ['golden_calf']},
    'too many objects': lambda s: s | {'objects': ['red_cube'] * 200},
    'a footing of two numbers': lambda s: s | {'footings': {'red_cube': [0.5, 0.1]}},
    'an unknown randomisation': lambda s: s | {'randomisation': {'gravity': 0.0}},
    'a randomisation too large': lambda s: s | {'randomisation': {'light': 1e6}},
    'a joint too many': lambda s: s | {'joints': s['joints'] | {'elbow': [[0.0], [0.0]]}},
    'a joint too few': lambda s: (
        s | {'joints': {k: v for k, v in s['joints'].items() if k != 'panda_joint1'}}
    ),
    'a joint of three numbers': lambda s: (
        s | {'joints': s['joints'] | {'panda_joint1': [[0.0, 1.0, 2.0], [0.0]]}}
    ),
    'a joint that is no number': lambda s: (
        s | {'joints': s['joints'] | {'panda_joint1': [['0.1'], [0.0]]}}
    ),
    'a joint at infinity': lambda s: (
        s | {'joints': s['joints'] | {'panda_joint1': [[float('inf')], [0.0]]}}
    ),
    'a quaternion of no length': lambda s: (
        s
        | {'joints': s['joints'] | {'red_cube': [[0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0] * 6]}}
    ),
    'a time that is no number': lambda s: s | {'time': None},
}


@pytest.fixture(scope='module')
def copy():
    cell = SimulatedCell()
    yield cell
    cell.close()


@pytest.mark.parametrize('name', ['put', 'open_oven', 'put_screwdriver_in_toolbox', 'hang_mug'])
def test_a_copy_of_a_task_is_the_cell_to_the_last_bit(cell, copy, name):
    task_named(name).make_trial(4).reset(cell)
    cell.step(150)
    text = cell.state()
    copy.restore(text)
    np.testing.assert_array_equal(copy.data.qpos, cell.data.qpos)
    np.testing.assert_array_equal(copy.data.qvel, cell.data.qvel)
    np.testing.assert_array_equal(copy.picture(), cell.picture())
    assert (copy.task, copy.seed, copy.time) == (name, 4, cell.time)
    assert copy.state() == text
    for body, pose in cell.start_poses.items():
        np.testing.assert_array_equal(copy.start_poses[body], pose)


@pytest.mark.parametrize('scene', ['random:5', 'red_cube,white_plate+2', 'empty'])
def test_a_copy_of_a_free_scene_looks_the_same(cell, copy, scene):
    cell.reset(9, scene)
    copy.restore(cell.state())
    assert copy.objects == cell.objects
    np.testing.assert_array_equal(copy.picture(), cell.picture())


def test_a_place_that_was_given_stays_given(cell, copy):
    cell.reset(1, Scene(('red_cube',), 0, {'red_cube': (0.5, 0.1, 0.3)}))
    copy.restore(cell.state())
    np.testing.assert_array_equal(copy.object_pose('red_cube'), cell.object_pose('red_cube'))


def test_light_and_camera_are_drawn_from_the_ranges_of_the_state(copy):
    config = CellConfig(randomisation=RandomisationConfig(0.4, 0.5, 0.02, 0.02))
    cell = SimulatedCell(config=config)
    cell.reset(3, 'red_cube')
    copy.restore(cell.state())
    np.testing.assert_array_equal(copy.T_world_camera, cell.T_world_camera)
    np.testing.assert_array_equal(copy.picture(), cell.picture())
    cell.close()


def test_an_arm_that_was_copied_on_its_way_holds_still_there(cell, copy):
    cell.reset(2, 'red_cube')
    cell.data.qpos[:7] += 0.2
    cell.data.qvel[:] = 0.0
    copy.restore(cell.state())
    copy.step(200)
    np.testing.assert_allclose(copy.data.qpos[:7], cell.data.qpos[:7], atol=2e-3)


def test_a_new_cell_can_be_made_from_a_state(cell):
    cell.reset(7, 'tabletop')
    made = SimulatedCell.from_state(cell.state(), cell.context)
    np.testing.assert_array_equal(made.data.qpos, cell.data.qpos)
    made.close()


def test_the_task_is_forgotten_at_the_next_reset(cell):
    task_named('insert_pen').make_trial(0).reset(cell)
    assert cell.task == 'insert_pen'
    cell.reset(0, 'red_cube')
    assert cell.task == ''
    assert json.loads(cell.state())['objects'] == ['red_cube']


def test_a_scene_that_no_name_leads_to_has_no_state(cell):
    cell.reset(0, Scene(('red_cube',), 0, {}, (pen_holder(),)))
    with pytest.raises(InvalidInputError, match='no name leads to them'):
        cell.state()


@pytest.mark.parametrize('wrong', WRONG)
def test_a_state_that_is_wrong_is_refused(cell, copy, wrong):
    cell.reset(1, 'red_cube')
    text = json.dumps(WRONG[wrong](json.loads(cell.state())))
    with pytest.raises((InvalidInputError, ConfigurationError)):
        copy.restore(text)


@pytest.mark.parametrize('text', ['', '{', '[' * 50_000, 'x' * (MAX_LENGTH + 1), 'null', '1e999'])
def test_what_is_no_state_is_refused(copy, text):
    with pytest.raises(InvalidInputError):
        copy.restore(text)


def test_nothing_in_it_is_a_path_or_a_program(cell):
    cell.reset(0, 'tabletop')
    assert str(Path.home()) not in cell.state()
    assert len(cell.state()) < 4000
