# SPDX-License-Identifier: Apache-2.0
from collections import Counter

import mujoco
import numpy as np
import pytest

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.instruction import parse_instruction
from flow_manip_mujoco.arm import CellArm, CellGripper
from flow_manip_mujoco.layout import are_told_apart, Scene
from flow_manip_mujoco.objects import CATALOGUE
from flow_manip_mujoco.objects.surfaces import signed_volume
from flow_manip_mujoco.tasks import (
    is_at_rest,
    is_in,
    is_lifted,
    is_next_to,
    is_on,
    is_upright,
    make_put_trial,
    TASKS,
)

ACTIONS = {
    'hang_mug': {'hang', 'put'},
    'hang_cup': {'hang', 'put'},
    'insert_block': {'insert', 'put'},
    'insert_pen': {'insert', 'put'},
    'water_plant': {'pour'},
    'pour_tea': {'pour'},
    'open_drawer': {'open'},
    'open_top_drawer': {'open'},
    'open_oven': {'open'},
    'close_cabinet': {'close'},
    'put_screwdriver_in_toolbox': {'open_and_put'},
}


def drop(cell, name, place, tilt=0.0):
    """Let an object fall from `place` and wait until it lies still."""
    joint = cell.data.joint(name)
    joint.qpos[:3] = place
    joint.qpos[3:] = [np.cos(tilt / 2), np.sin(tilt / 2), 0.0, 0.0]
    joint.qvel[:] = 0.0
    cell.step(1500)


@pytest.mark.parametrize('container', ['pink_bowl', 'brown_basket'])
@pytest.mark.parametrize('name', ['red_cube', 'orange_ball'])
def test_what_is_dropped_into_a_container_lies_in_it(cell, name, container):
    cell.reset(0, Scene((name, container), 0, {container: (0.5, 0.0, 0.3)}))
    assert not is_in(cell, name, container)
    drop(cell, name, (0.52, 0.01, 0.08))
    assert is_in(cell, name, container)
    assert not is_on(cell, name, 'table')


def test_what_stands_on_a_plate_is_on_it_and_not_on_the_table(cell):
    cell.reset(0, Scene(('red_can', 'white_plate'), 0, {'white_plate': (0.5, 0.0, 0.0)}))
    assert is_on(cell, 'red_can', 'table')
    drop(cell, 'red_can', (0.51, -0.02, 0.012))
    assert is_on(cell, 'red_can', 'white_plate')
    assert not is_on(cell, 'red_can', 'table')
    assert is_upright(cell, 'red_can')


def test_what_leans_on_a_plate_from_outside_is_not_on_it(cell):
    cell.reset(0, Scene(('red_cube', 'white_plate'), 0, {'white_plate': (0.5, 0.0, 0.0)}))
    drop(cell, 'red_cube', (0.5, 0.106, 0.02), tilt=0.3)
    assert not is_on(cell, 'red_cube', 'white_plate')


def test_what_still_falls_or_rolls_is_nowhere_yet(cell):
    cell.reset(0, Scene(('red_cube', 'pink_bowl'), 0, {'pink_bowl': (0.5, 0.0, 0.0)}))
    drop(cell, 'red_cube', (0.5, 0.0, 0.03))
    assert is_in(cell, 'red_cube', 'pink_bowl')
    cell.data.joint('red_cube').qvel[:3] = [0.0, 0.0, 0.5]
    assert not is_at_rest(cell, 'red_cube')
    assert not is_in(cell, 'red_cube', 'pink_bowl')


def test_a_stack_in_a_container_counts_as_in_it(cell):
    names = ('red_cube', 'blue_cube', 'brown_basket')
    cell.reset(0, Scene(names, 0, {'brown_basket': (0.5, 0.0, 0.0)}))
    drop(cell, 'red_cube', (0.5, 0.0, 0.01))
    drop(cell, 'blue_cube', (0.5, 0.0, 0.056))
    assert is_on(cell, 'blue_cube', 'red_cube')
    # Its bottom is below the rim, yet not deep inside: 52 of 55 mm.
    assert not is_in(cell, 'blue_cube', 'brown_basket')
    assert is_in(cell, 'red_cube', 'brown_basket')


def test_a_container_upside_down_contains_nothing(cell):
    cell.reset(0, Scene(('red_cube', 'pink_bowl'), 0, {'red_cube': (0.5, 0.0, 0.0)}))
    drop(cell, 'pink_bowl', (0.5, 0.0, 0.06), tilt=np.pi)
    assert not is_in(cell, 'red_cube', 'pink_bowl')
    assert not is_upright(cell, 'pink_bowl')


def test_only_containers_contain(cell):
    cell.reset(0, 'red_cube,white_plate')
    with pytest.raises(InvalidInputError, match="'white_plate' is not a container"):
        is_in(cell, 'red_cube', 'white_plate')


def test_next_to_means_on_the_table_and_near(cell):
    places = {'red_cube': (0.4, 0.0, 0.0), 'blue_cube': (0.4, 0.1, 0.0), 'red_can': (0.6, 0.2, 0)}
    cell.reset(0, Scene(tuple(places), 0, places))
    assert is_next_to(cell, 'red_cube', 'blue_cube')
    assert not is_next_to(cell, 'red_cube', 'red_can')
    # Not edge upon edge: exactly aligned boxes are a degenerate contact.
    drop(cell, 'red_cube', (0.403, 0.102, 0.048))
    assert not is_next_to(cell, 'red_cube', 'blue_cube')


def test_what_the_hand_still_touches_is_not_put_down(cell):
    cell.reset(0, Scene(('red_cube',), 0, {'red_cube': (0.5, 0.0, 0.0)}))
    tip = cell.link_poses()['panda_hand_tcp'][:3, 3]
    gripper = CellGripper(cell)
    # Put the cube between the fingers and close them before it falls.
    gripper.move(0.047, 20.0)
    joint = cell.data.joint('red_cube')
    joint.qpos[:3] = tip - [0.0, 0.0, 0.0175]
    joint.qpos[3:] = [1.0, 0.0, 0.0, 0.0]
    joint.qvel[:] = 0.0
    assert gripper.move(0.0, 20.0).stalled
    cell.step(250)
    assert is_lifted(cell, 'red_cube')
    assert not is_on(cell, 'red_cube', 'table')
    gripper.move(0.08, 0.0)
    CellArm(cell).stop()
    cell.step(500)
    assert not is_lifted(cell, 'red_cube')
    assert is_on(cell, 'red_cube', 'table')


def test_trials_are_the_same_for_the_same_seed_and_set_the_table_they_speak_of(cell):
    for seed in range(8):
        trial = make_put_trial(seed)
        assert trial == make_put_trial(seed)
        trial.reset(cell)
        names = {spec.name for spec in cell.objects}
        assert {trial.object, trial.target} <= names
        assert not trial.success(cell)


def test_trials_vary_and_their_words_name_one_object_only():
    trials = [make_put_trial(seed) for seed in range(100)]
    assert len({t.instruction for t in trials}) > 50
    assert Counter(t.relation for t in trials).keys() == {'on', 'in'}
    rivals = 0
    for trial in trials:
        specs = [CATALOGUE[name] for name in trial.scene.objects]
        assert 5 <= len(specs) <= 7
        for i, a in enumerate(specs):
            assert all(are_told_apart(a, b) for b in specs[:i])
        item = CATALOGUE[trial.object]
        others = [s for s in specs if s is not item]
        rivals += any(s.colour == item.colour or s.category == item.category for s in others)
    assert rivals > 50


def test_a_trial_succeeds_when_the_object_is_where_it_was_to_go(cell):
    for seed in range(6):
        trial = make_put_trial(seed)
        trial.reset(cell)
        target = cell.object_pose(trial.target)[:3, 3]
        floor = CATALOGUE[trial.target].floor
        drop(cell, trial.object, target + np.array([0.0, 0.0, floor + 0.004]))
        assert trial.success(cell), trial.instruction


@pytest.mark.parametrize('spec', CATALOGUE.values(), ids=CATALOGUE)
def test_an_object_s_drawn_surface_is_closed_and_agrees_with_what_collides(cell, spec):
    for mesh in spec.meshes:
        edges = Counter()
        for face in mesh.faces:
            for a, b in zip(face, np.roll(face, -1)):
                edges[(int(a), int(b))] += 1
        assert all(edges[(b, a)] == count == 1 for (a, b), count in edges.items())
        assert signed_volume(mesh.vertices, mesh.faces) > 0
    cell.reset(0, Scene((spec.name,), 0, {spec.name: (0.5, 0.0, 0.0)}))
    mujoco.mj_forward(cell.model, cell.data)
    points = (
        cell.object_mask(spec.name).points(cell.observe()) - cell.object_pose(spec.name)[:3, 3]
    )
    half = np.array(spec.size[:2]) / 2 + 2e-3
    assert points[:, 2].max() == pytest.approx(spec.size[2], abs=2.5e-3)
    reach = max(half) + (0.03 if spec.category == 'mug' else 0.0)
    assert np.hypot(points[:, 0], points[:, 1]).max() < np.hypot(reach, min(half)) + 1e-3


def test_everything_called_graspable_fits_into_the_hand():
    for spec in CATALOGUE.values():
        if spec.graspable and not spec.container:
            assert min(spec.size[:2]) < 0.078, spec.name


def test_ten_colours_and_eight_kinds_are_there():
    assert len({spec.colour for spec in CATALOGUE.values()}) == 10
    assert len({spec.category for spec in CATALOGUE.values()}) == 8


@pytest.mark.parametrize('name', TASKS)
def test_every_way_to_ask_for_a_task_is_understood(name):
    trials = [TASKS[name].make_trial(seed) for seed in range(25)]
    read = [parse_instruction(trial.instruction) for trial in trials]
    assert {instruction.action for instruction in read} == ACTIONS.get(name, {'put'})
    for trial in trials:
        for step in trial.steps:
            assert parse_instruction(step.instruction).object
    assert not any(' into ' in r.object or r.object.endswith((' down', ' up')) for r in read)
