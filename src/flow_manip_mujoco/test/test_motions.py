# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import make_transform, transform_distance
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.tasks import ReferenceMotion
from flow_manip_mujoco.tasks.motions import carry_motion, joint_motion, minimum_jerk
from flow_manip_mujoco.tasks.placement import lowest_point

PLACES = {
    'red_cube': (0.45, -0.2, 0.3),
    'green_bottle': (0.45, 0.0, 0.0),
    'blue_can': (0.6, -0.2, 0.0),
}


@pytest.fixture
def cube_and_bottle(cell):
    names = ('red_cube', 'green_bottle')
    cell.reset(0, Scene(names, 0, {name: PLACES[name] for name in names}))
    return cell


def goal_pose(yaw=1.0, height=0.01):
    return make_transform([0.45, 0.2, height], Rotation.from_euler('z', yaw).as_matrix())


def test_a_carried_thing_starts_and_ends_exactly_and_at_rest(cube_and_bottle):
    motion = carry_motion(cube_and_bottle, 'red_cube', goal_pose())
    np.testing.assert_allclose(motion.poses[0], cube_and_bottle.object_pose('red_cube'), atol=1e-9)
    np.testing.assert_allclose(motion.poses[-1], goal_pose(), atol=1e-9)
    speed = np.linalg.norm(np.diff(motion.poses[:, :3, 3], axis=0), axis=1) / np.diff(motion.times)
    assert max(speed[0], speed[-1]) < 0.1 * speed.max()
    assert speed.max() < 0.35
    change = np.abs(np.diff(speed)) / np.diff(motion.times)[0]
    assert change.max() < 0.6


def test_it_passes_over_what_stands_between_without_touching(cube_and_bottle):
    cell = cube_and_bottle
    motion = carry_motion(cell, 'red_cube', goal_pose(), clearance=0.03)
    bottle = cell.object_pose('green_bottle')[:2, 3]
    joint = cell.data.joint('red_cube')
    for pose in motion.poses:
        if np.linalg.norm(pose[:2, 3] - bottle) < 0.03 + 0.035:
            joint.qpos[:3] = pose[:3, 3]
            assert lowest_point(cell, 'red_cube') > 0.17


def test_it_goes_no_higher_than_needed_where_nothing_stands_between(cell):
    cell.reset(0, Scene(('red_cube',), 0, {'red_cube': PLACES['red_cube']}))
    motion = carry_motion(cell, 'red_cube', goal_pose(), clearance=0.03)
    assert motion.poses[:, 2, 3].max() == pytest.approx(0.04, abs=0.015)


def test_the_last_way_of_what_is_threaded_is_straight(cube_and_bottle):
    goal = goal_pose(yaw=0.3, height=0.15)
    motion = carry_motion(cube_and_bottle, 'red_cube', goal, approach=(-0.08, 0.0, 0.02))
    last = motion.poses[-6:, :3, 3] - goal[:3, 3]
    way = np.array([-0.08, 0.0, 0.02]) / np.hypot(0.08, 0.02)
    across = last - np.outer(last @ way, way)
    assert np.linalg.norm(across, axis=1).max() < 2e-3
    assert np.linalg.norm(last[0]) > 0.004


def test_it_turns_only_while_it_is_lifted(cube_and_bottle):
    motion = carry_motion(cube_and_bottle, 'red_cube', goal_pose(yaw=2.5))
    start = motion.poses[0]
    for pose in motion.poses:
        if np.linalg.norm(pose[:2, 3] - start[:2, 3]) < 1e-3:
            assert transform_distance(pose, start)[1] < 0.05


def test_a_joint_s_reference_needs_a_joint(cube_and_bottle):
    with pytest.raises(InvalidInputError, match='no joint'):
        joint_motion(cube_and_bottle, 'red_cube', 0.1)


def test_minimum_jerk_runs_from_rest_to_rest():
    share = minimum_jerk(np.linspace(0.0, 1.0, 101))
    assert share[0] == 0.0
    assert share[-1] == pytest.approx(1.0)
    assert (np.diff(share) >= 0.0).all()
    assert share[1] < 1e-4


def test_a_reference_whose_parts_do_not_fit_is_refused():
    poses = np.tile(np.eye(4), (3, 1, 1))
    with pytest.raises(InvalidInputError, match='poses'):
        ReferenceMotion(np.array([0.0, 1.0]), poses)
    with pytest.raises(InvalidInputError, match='increase'):
        ReferenceMotion(np.array([0.0, 1.0, 1.0]), poses)
    with pytest.raises(InvalidInputError, match='contact'):
        ReferenceMotion(np.array([0.0, 1.0, 2.0]), poses, np.zeros(2))
