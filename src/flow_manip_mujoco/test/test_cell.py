# SPDX-License-Identifier: Apache-2.0
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_core.transforms import make_transform
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.objects import CATALOGUE


def state_of(cell):
    return np.concatenate([cell.data.qpos, cell.data.qvel])


def test_the_same_seed_gives_the_same_state_and_picture_bit_for_bit(cell):
    cell.reset(7, 'random:5')
    cell.step(50)
    state, picture = state_of(cell), cell.observe(noise=True)
    cell.reset(8, 'random:5')
    cell.step(50)
    other = SimulatedCell()
    for again in (cell, other):
        again.reset(7, 'random:5')
        again.step(50)
        assert np.array_equal(state_of(again), state)
        seen = again.observe(noise=True)
        assert np.array_equal(seen.color, picture.color)
        assert np.array_equal(seen.depth, picture.depth, equal_nan=True)
    other.close()


def test_looking_does_not_disturb_the_simulation(cell):
    cell.reset(1, 'tabletop')
    cell.step(100)
    undisturbed = state_of(cell)
    cell.reset(1, 'tabletop')
    for _ in range(10):
        cell.step(10)
        cell.link_poses()
        cell.forward()
    assert np.array_equal(state_of(cell), undisturbed)


def test_another_seed_gives_another_scene(cell):
    cell.reset(1, 'tabletop')
    first = cell.object_poses()
    cell.reset(2, 'tabletop')
    second = cell.object_poses()
    assert all(np.linalg.norm(first[n][:2, 3] - second[n][:2, 3]) > 1e-3 for n in first)


@pytest.mark.parametrize('names', [sorted(CATALOGUE)[i::5] for i in range(5)])
def test_objects_rest_on_the_table_without_drift(cell, names):
    cell.reset(0, Scene(tuple(names)))
    before = cell.object_poses()
    cell.step(1000)
    after = cell.object_poses()
    for name in names:
        moved = np.linalg.norm(after[name][:3, 3] - before[name][:3, 3])
        assert moved < 3e-4, f'{name} moved {moved * 1e3:.2f} mm in 2 s'
        assert after[name][2, 2] > 0.9999, f'{name} leans'
        assert abs(after[name][2, 3]) < 1e-3, f'{name} stands at {after[name][2, 3]:.4f} m'


def test_objects_stand_apart_and_inside_the_area(cell):
    for seed in range(10):
        cell.reset(seed, 'random:7')
        clearance = cell.config.layout.clearance
        poses = cell.object_poses()
        for i, a in enumerate(cell.objects):
            for b in cell.objects[:i]:
                distance = np.linalg.norm(poses[a.name][:2, 3] - poses[b.name][:2, 3])
                gap = distance - a.footprint_radius - b.footprint_radius
                assert gap > clearance - 1e-3


def test_no_object_is_hidden_from_the_camera(cell):
    for seed in range(6):
        cell.reset(seed, 'random:7')
        for spec in cell.objects:
            assert cell.object_mask(spec.name).pixels.sum() > 150, f'{spec.name}, seed {seed}'


def test_the_arm_waits_at_home_with_the_hand_open_and_out_of_the_picture(cell):
    cell.reset(3, 'tabletop')
    joints = cell.joint_positions()
    np.testing.assert_allclose(list(joints.values())[:7], cell.home, atol=1e-4)
    assert joints['panda_finger_joint1'] == pytest.approx(0.04, abs=5e-4)
    tip = cell.link_poses()['panda_hand_tcp'][:3, 3]
    np.testing.assert_allclose(tip, [0.30702, 0.0, 0.48687], atol=1e-3)
    assert cell.context.rig.workspace.contains(tip)


def test_an_object_dropped_over_the_edge_falls_to_the_floor(cell):
    cell.reset(0, Scene(('red_cube',), 0, {'red_cube': (1.2, 0.0, 0.0)}))
    cell.step(500)
    assert cell.object_pose('red_cube')[2, 3] == pytest.approx(-0.74, abs=0.01)


def test_a_scene_is_read_from_words():
    assert Scene.parse('random:3') == Scene(distractors=3)
    assert Scene.parse('red_cube, white_plate+2') == Scene(('red_cube', 'white_plate'), 2)
    assert len(Scene.parse('tabletop').objects) == 8
    assert Scene.parse('empty') == Scene()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('red_cubes', "did you mean 'red_cube'"),
        ('red_cube,red_cube', 'twice'),
        ('random:40', 'at most 12'),
        ('red_cube+x', 'neither one of'),
        ('red_cube,blue', 'no object'),
    ],
)
def test_a_scene_that_makes_no_sense_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        Scene.parse(text)


def test_objects_that_do_not_fit_are_refused_with_how_many_did(cell):
    wide = ('white_plate', 'red_plate', 'black_plate', 'pink_bowl', 'blue_bowl', 'white_bowl')
    with pytest.raises(ConfigurationError, match=r'at most \d did'):
        cell.reset(0, (*wide, 'brown_basket', 'green_basket'))


def test_an_object_that_is_not_there_is_named(cell):
    cell.reset(0, 'red_cube')
    with pytest.raises(InvalidInputError, match="no object 'blue_cube'"):
        cell.object_pose('blue_cube')


def urdf_transforms(path):
    """Return the fixed part of every joint of a URDF: child -> (parent, (4, 4))."""
    fixed = {}
    for joint in ElementTree.parse(path).getroot().iter('joint'):
        if joint.find('parent') is None:
            continue
        origin = joint.find('origin')
        values = {} if origin is None else origin.attrib
        xyz = [float(v) for v in values.get('xyz', '0 0 0').split()]
        rpy = [float(v) for v in values.get('rpy', '0 0 0').split()]
        transform = make_transform(xyz, Rotation.from_euler('xyz', rpy).as_matrix())
        parent, child = joint.find('parent').get('link'), joint.find('child').get('link')
        axis = joint.find('axis')
        axis = None if axis is None else [float(v) for v in axis.get('xyz').split()]
        fixed[child] = (parent, transform, joint.get('name'), joint.get('type'), axis)
    return fixed


def test_the_planner_s_urdf_and_the_cell_agree_on_every_link(cell):
    robot = cell.context.robot
    chain = urdf_transforms(robot.folder / robot.urdf)
    rng = np.random.default_rng(5)
    for _ in range(3):
        values = {}
        for name in (*robot.joint_names, *robot.gripper.joint_names):
            lower, upper = cell.model.joint(name).range
            values[name] = rng.uniform(lower, upper)
            cell.data.joint(name).qpos[0] = values[name]
        poses = cell.link_poses()

        def pose_of(link, values=values):
            if link == robot.base_frame:
                return np.eye(4)
            parent, fixed, joint, kind, axis = chain[link]
            moved = np.eye(4)
            if kind == 'revolute':
                moved[:3, :3] = Rotation.from_rotvec(np.array(axis) * values[joint]).as_matrix()
            elif kind == 'prismatic':
                moved[:3, 3] = np.array(axis) * values[joint]
            return pose_of(parent) @ fixed @ moved

        for link in (*(f'panda_link{i}' for i in range(1, 9)), 'panda_hand', 'panda_hand_tcp'):
            np.testing.assert_allclose(pose_of(link), poses[link], atol=1e-5, err_msg=link)
        for finger in ('panda_leftfinger', 'panda_rightfinger'):
            expected = pose_of(finger)[:3, 3]
            np.testing.assert_allclose(expected, poses[finger][:3, 3], atol=1e-5)


def test_frames_come_at_the_rate_asked_for(cell):
    times = []
    cell.record_frames(lambda color, time: times.append(time), rate=20.0)
    cell.step(250)
    assert len(times) == 11
    assert np.diff(times) == pytest.approx(0.05, abs=0.0021)
