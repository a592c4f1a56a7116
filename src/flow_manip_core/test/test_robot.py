# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from flow_manip_core.config import from_mapping, load_yaml
from flow_manip_core.errors import ConfigurationError
from flow_manip_core.robot import GripperConfig, load_gripper, load_robot

CONFIG = Path(__file__).resolve().parents[3] / 'config'
GRIPPERS = sorted(p.stem for p in CONFIG.glob('grippers/*.yaml'))


@pytest.fixture(autouse=True)
def use_this_checkout(monkeypatch):
    monkeypatch.setenv('FLOW_MANIP_CONFIG', str(CONFIG))


@pytest.fixture
def hand() -> GripperConfig:
    return load_gripper('franka_hand')


@pytest.mark.parametrize('name', GRIPPERS)
def test_every_gripper_file_is_complete(name):
    gripper = load_gripper(name)
    rotation = gripper.T_tcp_grasp[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_another_gripper_is_another_file(tmp_path, monkeypatch):
    robot = load_yaml(CONFIG / 'robots/franka/robot.yaml')
    wide = load_yaml(CONFIG / 'grippers/franka_hand.yaml') | {
        'max_width': 0.14,
        'joint_names': ['knuckle'],
        'approach_axis': [1, 0, 0],
        'closing_axis': [0, 0, 1],
    }
    for path, values in (
        ('robots/wide/robot.yaml', robot | {'name': 'wide', 'gripper': 'wide_hand'}),
        ('grippers/wide_hand.yaml', wide),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(yaml.safe_dump(values))
    monkeypatch.setenv('FLOW_MANIP_CONFIG', str(tmp_path))
    gripper = load_robot('wide').gripper
    assert gripper.max_width == 0.14
    np.testing.assert_allclose(gripper.T_tcp_grasp[:3, 2], [1, 0, 0])
    np.testing.assert_allclose(gripper.T_tcp_grasp[:3, 1], [0, 0, 1])


def test_a_gripper_may_stand_in_the_robots_file(tmp_path, monkeypatch, hand):
    robot = load_yaml(CONFIG / 'robots/franka/robot.yaml')
    robot['gripper'] = load_yaml(CONFIG / 'grippers/franka_hand.yaml')
    (tmp_path / 'robots/one').mkdir(parents=True)
    (tmp_path / 'robots/one/robot.yaml').write_text(yaml.safe_dump(robot))
    monkeypatch.setenv('FLOW_MANIP_CONFIG', str(tmp_path))
    assert load_robot('one').gripper == hand


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'max_width': 0.0}, 'max_width is 0.0'),
        ({'pad_length': -0.01}, 'pad_length is -0.01'),
        ({'speed': float('nan')}, 'speed is nan'),
        ({'tip_offset': 0.05}, 'tip_offset is 0.05'),
        ({'joint_names': ()}, 'at least one joint'),
        ({'palm_size': (0.1, 0.0, 0.1)}, 'palm'),
        ({'approach_axis': (0.0, 0.0, 2.0)}, 'unit vectors'),
        ({'closing_axis': (0.0, 0.0, 1.0)}, 'right angles'),
    ],
)
def test_a_gripper_that_cannot_be_is_refused(hand, change, message):
    with pytest.raises(ConfigurationError, match=message):
        replace(hand, **change)


def test_a_misspelt_key_of_a_gripper_is_named():
    values = load_yaml(CONFIG / 'grippers/franka_hand.yaml') | {'aproach_axis': [0, 0, 1]}
    with pytest.raises(ConfigurationError, match="did you mean 'approach_axis'"):
        from_mapping(GripperConfig, values)
