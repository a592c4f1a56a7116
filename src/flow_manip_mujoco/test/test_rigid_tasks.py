# SPDX-License-Identifier: Apache-2.0
"""Rigid tasks by their state alone: objects are put along the reference by hand, no robot."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import (
    interpolate_transforms,
    make_transform,
    rotation_about,
    transform_distance,
)
from flow_manip_mujoco.fixtures.racks import RACK_HOOKS, TREE_PEGS
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.objects.surfaces import signed_volume
from flow_manip_mujoco.objects.task_objects import (
    bread,
    corn,
    CUP_HANDLE,
    hanging_mug,
    MUG_HANDLE,
    pen,
    saucer,
    square_block,
    teacup,
    teapot,
    watering_can,
)
from flow_manip_mujoco.tasks import TASKS
from flow_manip_mujoco.tasks.goal_image import goal_image
from flow_manip_mujoco.tasks.rigid import RIGID_TASKS

NAMES = [task.name for task in RIGID_TASKS]
RED = (0.8, 0.1, 0.1)
OBJECTS = [
    *(make('red', RED) for make in (hanging_mug, teacup, saucer, teapot, watering_can, pen)),
    square_block('red', RED),
    corn(),
    bread(),
]


def put(cell, body, pose):
    """Put an object somewhere, at rest."""
    joint = cell.data.joint(body)
    joint.qpos[:3] = pose[:3, 3]
    joint.qpos[3:] = Rotation.from_matrix(pose[:3, :3]).as_quat()[[3, 0, 1, 2]]
    joint.qvel[:] = 0.0


def deepest(cell, body):
    """Return how far an object is inside anything else [m]."""
    state, number = cell.forward(), cell.model.body(body).id
    bodies = cell.model.geom_bodyid[state.contact.geom]
    mine = (bodies == number).any(axis=1)
    return float(-state.contact.dist[mine].min(initial=0.0))


def move_along(cell, step, rate=50.0):
    """Carry an object along its reference in time; return the deepest contact on the way."""
    motion = step.reference_motion(cell)
    times = np.arange(0.0, motion.times[-1], 1.0 / rate)
    steps, worst = round(1.0 / rate / cell.timestep), 0.0
    for number, pose in enumerate(interpolate_transforms(motion.times, motion.poses, times)):
        put(cell, step.body, pose)
        if number % 5 == 0:
            worst = max(worst, deepest(cell, step.body))
        cell.step(steps)
    put(cell, step.body, motion.poses[-1])
    return max(worst, deepest(cell, step.body))


def check_trial(cell, name, seed):
    """Check a trial's start, its reference and its end."""
    trial = TASKS[name].make_trial(seed)
    trial.reset(cell)
    (step,) = trial.steps
    before = cell.object_poses()
    assert cell.object_mask(step.body).pixels.sum() > 300
    assert not trial.success(cell)
    assert not any(trial.progress(cell).values())
    for body, pose in cell.object_poses().items():
        assert transform_distance(pose, before[body])[0] < 0.001, body
    trial.reset(cell)
    motion = step.reference_motion(cell)
    assert np.allclose(motion.poses[0], cell.body_pose(step.body), atol=1e-9)
    assert 3.999 < motion.times[-1] < 8.001
    speed = np.linalg.norm(np.diff(motion.poses[:, :3, 3], axis=0), axis=1) / np.diff(motion.times)
    assert speed.max() < 0.6
    assert speed[[0, -1]].max() < 0.05
    assert move_along(cell, step) < 0.001
    assert trial.success(cell)
    assert all(trial.progress(cell).values())


@pytest.mark.parametrize('name', NAMES)
def test_a_trial_is_lost_at_its_start_and_won_at_the_end_of_its_reference(cell, name):
    check_trial(cell, name, 0)


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(1, 20))
@pytest.mark.parametrize('name', NAMES)
def test_every_seed_is_lost_at_its_start_and_won_at_its_end(cell, name, seed):
    check_trial(cell, name, seed)


@pytest.mark.parametrize('name', NAMES)
def test_seeds_differ_and_repeat(name):
    task = TASKS[name]
    trials = [task.make_trial(seed) for seed in range(12)]
    assert len(task.phrasings) >= 4
    assert len({trial.instruction for trial in trials}) >= 4
    assert not any('{' in trial.instruction for trial in trials)
    places = [sorted(trial.scene.footings.items()) for trial in trials]
    assert all(a != b for a, b in pairwise(places))
    assert sorted(task.make_trial(3).scene.footings.items()) == places[3]


@pytest.mark.parametrize('spec', OBJECTS, ids=lambda spec: spec.name)
def test_a_task_s_object_stands_still_and_looks_as_it_collides(cell, spec):
    for mesh in spec.meshes:
        edges = Counter()
        for face in mesh.faces:
            edges.update((int(a), int(b)) for a, b in zip(face, np.roll(face, -1)))
        assert all(edges[(b, a)] == count == 1 for (a, b), count in edges.items())
        assert signed_volume(mesh.vertices, mesh.faces) > 0
    cell.reset(0, Scene((spec,), 0, {spec.name: (0.5, 0.0, 0.7)}))
    cell.step(250)
    assert np.linalg.norm(cell.object_pose(spec.name)[:3, 3] - [0.5, 0.0, 0.0]) < 0.001
    points = cell.object_mask(spec.name).points(cell.observe())
    assert points[:, 2].max() == pytest.approx(spec.size[2], abs=0.004)


def test_pegs_and_hooks_pass_through_their_handles_with_a_centimetre_to_spare():
    for handle, pegs in ((MUG_HANDLE, TREE_PEGS), (CUP_HANDLE, RACK_HOOKS)):
        for peg in pegs:
            assert min(handle.hole_size) / 2 - peg.radius > 0.01
            assert handle.hole_size[1] > peg.lip + 2 * peg.radius + 0.015


@pytest.mark.parametrize('name', ['hang_mug', 'hang_cup'])
def test_what_lies_under_its_peg_or_leans_on_it_does_not_hang(cell, name):
    trial = TASKS[name].make_trial(0)
    trial.reset(cell)
    (step,) = trial.steps
    goal = step.reference_motion(cell).poses[-1].copy()
    goal[2, 3] += 0.10  # over the peg, not around it
    put(cell, step.body, goal)
    cell.step(400)
    assert not trial.success(cell)


@pytest.mark.parametrize(('shift', 'degrees'), [(0.006, 0.0), (0.0, 12.0)])
def test_a_block_off_by_millimetres_or_degrees_does_not_go_into_the_hole(cell, shift, degrees):
    trial = TASKS['insert_block'].make_trial(1)
    trial.reset(cell)
    (step,) = trial.steps
    goal = step.reference_motion(cell).poses[-1]
    offset = make_transform([shift, 0.0, 0.0], rotation_about([0, 0, 1], np.radians(degrees)))
    above = goal @ offset
    above[2, 3] += 0.032
    put(cell, step.body, above)
    assert not trial.success(cell)


@pytest.mark.parametrize(
    ('name', 'tilt', 'hold'), [('water_plant', 25.0, 1.0), ('pour_tea', 50.0, 0.2)]
)
def test_pouring_takes_tilt_and_time(cell, name, tilt, hold):
    trial = TASKS[name].make_trial(2)
    trial.reset(cell)
    (step,) = trial.steps
    motion = step.reference_motion(cell)
    dip = -np.arcsin(motion.poses[:, 2, 0])
    pouring = motion.poses[int(np.argmin(np.abs(dip - np.radians(tilt))))]
    for _ in range(round(hold / 0.02)):
        put(cell, step.body, pouring)
        cell.step(10)
    put(cell, step.body, motion.poses[0])
    assert not trial.success(cell)
    assert not list(trial.progress(cell).values())[2]


def test_tea_that_was_tilted_on_the_way_is_spilt(cell):
    trial = TASKS['pour_tea'].make_trial(0)
    trial.reset(cell)
    (step,) = trial.steps
    slanted = step.reference_motion(cell).poses[0] @ make_transform(
        [0.0, 0.0, 0.2], rotation_about([0, 1, 0], np.radians(45.0))
    )
    for _ in range(20):
        put(cell, step.body, slanted)
        cell.step(10)
    put(cell, step.body, cell.start_poses[step.body])
    assert move_along(cell, step) < 0.001
    assert not trial.success(cell)
    assert list(trial.progress(cell).values()) == [True, True, True, False]


def test_a_goal_image_shows_the_end_and_leaves_the_state_alone(cell):
    trial = TASKS['insert_block'].make_trial(0)
    trial.reset(cell)
    (step,) = trial.steps
    state, now = cell.data.qpos.copy(), cell.picture()
    image = goal_image(cell, step)
    assert np.array_equal(cell.data.qpos, state)
    assert np.array_equal(cell.picture(), now)
    put(cell, step.body, step.reference_motion(cell).poses[-1])
    assert np.array_equal(cell.picture(), image)
    assert not np.array_equal(image, now)
    with pytest.raises(InvalidInputError, match="no object 'board'"):
        cell.picture_of({'board': np.eye(4)})
