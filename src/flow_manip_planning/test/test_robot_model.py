# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from flow_manip_core.errors import ConfigurationError
from flow_manip_core.transforms import make_transform, rotation_about, transform_distance
from flow_manip_planning.robot_model import RobotModel


def random_configurations(robot, count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(robot.chain.lower, robot.chain.upper, (count, robot.chain.num_joints))


def test_forward_kinematics_agree_with_the_meshes_own_model(robot):
    mujoco = pytest.importorskip('mujoco')
    found = find_spec('robosuite')
    if found is None:
        pytest.skip('robosuite carries the model')
    assets = Path(next(iter(found.submodule_search_locations))) / 'models' / 'assets'
    model = mujoco.MjModel.from_xml_path(str(assets / 'robots' / 'panda' / 'robot.xml'))
    data = mujoco.MjData(model)
    for q in random_configurations(robot, 50):
        data.qpos[:7] = q
        mujoco.mj_kinematics(model, data)
        poses = robot.chain.forward(q)
        for j in range(7):
            body = data.body(f'link{j + 1}')
            expected = make_transform(body.xpos, body.xmat.reshape(3, 3))
            metres, radians = transform_distance(poses.joints[j], expected)
            assert metres < 1e-4
            assert radians < 1e-4


def test_the_tool_centre_point_is_where_the_data_sheet_puts_it(robot):
    # Link 7's axis passes through flange (0.107 m) and tool (0.1034 m beyond); the hand is turned
    # by -45 degrees.
    poses = robot.chain.forward(robot.home)
    expected = poses.joints[-1] @ make_transform(
        [0, 0, 0.107 + 0.1034], rotation_about([0, 0, 1], -np.pi / 4)
    )
    np.testing.assert_allclose(poses.tip, expected, atol=1e-9)


def test_a_turned_base_turns_everything(context):
    T_world_base = make_transform([0.3, -0.2, 0.1], rotation_about([0.1, 0.2, 1.0], 0.7))
    upright, turned = (
        RobotModel(context.robot, np.eye(4)),
        RobotModel(context.robot, T_world_base),
    )
    q = random_configurations(upright, 5)
    np.testing.assert_allclose(turned.chain.tip(q), T_world_base @ upright.chain.tip(q))
    points = np.random.default_rng(0).normal(size=(4, 3))
    world = points @ T_world_base[:3, :3].T + T_world_base[:3, 3]
    np.testing.assert_allclose(turned.to_base(world), points, atol=1e-12)


def test_the_jacobian_is_the_derivative_of_the_pose(robot):
    q = random_configurations(robot, 1)[0]
    jacobian = robot.chain.jacobian(robot.chain.forward(q))
    for j in range(7):
        step = 1e-6 * np.eye(7)[j]
        after, before = robot.chain.tip(q + step), robot.chain.tip(q - step)
        spin = (after - before)[:3, :3] @ robot.chain.tip(q)[:3, :3].T / 2e-6
        angular = [spin[2, 1], spin[0, 2], spin[1, 0]]
        np.testing.assert_allclose(
            jacobian[:, j], [*((after - before)[:3, 3] / 2e-6), *angular], atol=1e-7
        )


def test_manipulability_vanishes_at_a_singularity(robot):
    assert robot.chain.manipulability(robot.home) > 0.02
    assert robot.chain.manipulability(np.zeros(7)) < 1e-6


def test_spheres_lie_within_the_links_and_move_with_them(robot):
    centers = robot.sphere_centers(robot.chain.forward(robot.home).joints)
    assert centers.shape == (len(robot.spheres.radii), 3)
    hand = centers[robot.spheres.joints == 6]
    tip = robot.chain.tip(robot.home)[:3, 3]
    assert np.linalg.norm(hand - tip, axis=1).min() < 0.03
    assert np.linalg.norm(hand - tip, axis=1).max() < 0.25


def test_joint_positions_come_by_name_and_must_be_complete(robot):
    names = robot.config.joint_names
    some = {name: float(i) for i, name in enumerate(names)}
    np.testing.assert_array_equal(robot.arm_positions({**some, 'other': 9.0}), range(7))
    np.testing.assert_array_equal(robot.arm_positions({}), robot.home)
    del some[names[3]]
    with pytest.raises(ConfigurationError, match=names[3]):
        robot.arm_positions(some)


def test_a_missing_or_wrong_description_is_refused(context):
    with pytest.raises(ConfigurationError, match=r'absent\.urdf'):
        RobotModel(replace(context.robot, urdf='absent.urdf'), np.eye(4))
    with pytest.raises(ConfigurationError, match='no_such_frame'):
        RobotModel(replace(context.robot, tcp_frame='no_such_frame'), np.eye(4))


def test_urdf_and_srdf_fit_together(context):
    yourdfpy = pytest.importorskip('yourdfpy')
    folder = context.robot.folder
    urdf = yourdfpy.URDF.load(str(folder / context.robot.urdf), load_meshes=False)
    assert urdf.validate()
    srdf = ElementTree.parse(folder / context.robot.srdf).getroot()
    for pair in srdf.iter('disable_collisions'):
        assert {pair.get('link1'), pair.get('link2')} <= set(urdf.link_map)
    home = {
        joint.get('name'): float(joint.get('value'))
        for state in srdf.iter('group_state')
        if state.get('name') == 'home'
        for joint in state
    }
    assert home == dict(zip(context.robot.joint_names, context.robot.home))
    for name, speed in zip(context.robot.joint_names, context.robot.max_velocity):
        assert speed <= urdf.joint_map[name].limit.velocity
