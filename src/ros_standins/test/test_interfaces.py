# SPDX-License-Identifier: Apache-2.0
"""The interface packages match the real ones on the wire."""

from array import array
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
index = pytest.importorskip('ament_index_python')
pytest.importorskip('control_msgs.msg')
pytest.importorskip('tf2_msgs.msg')

# As a machine with ROS 2 Jazzy prints them (ros2 topic info --verbose); a hash covers the names,
# order and types of all fields, down to the last nested one.
JAZZY = {
    'tf2_msgs/msg/TFMessage': 'e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087',
    'tf2_msgs/msg/TF2Error': 'db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a',
    'tf2_msgs/action/LookupTransform': (
        '0b8adf6bc0b5958879e3265b41a457e03558fe523890a81252c70eba97a82c5d'
    ),
    'control_msgs/msg/DynamicJointState': (
        '18024c98a62697680f581108eeed40b28fb4542fa0ac5a8e36f56c62b6813d26'
    ),
    'control_msgs/msg/JointTrajectoryControllerState': (
        '51d8dd89cc624cbe9daaeeb4d80d6de9b86168ffdc3be41fefc0953e3c26e480'
    ),
}


@pytest.mark.parametrize('name', JAZZY)
def test_type_hash_is_the_one_of_ros_2_jazzy(name):
    share = Path(index.get_package_share_directory(name.split('/')[0]))
    description = json.loads((share / Path(*name.split('/')[1:])).with_suffix('.json').read_text())
    hashes = {entry['type_name']: entry['hash_string'] for entry in description['type_hashes']}
    assert hashes[name] == f'RIHS01_{JAZZY[name]}'


def fields(message):
    return list(message.get_fields_and_field_types().items())


def test_trajectory_goal_has_the_fields_of_the_real_package():
    from control_msgs.action import FollowJointTrajectory
    from control_msgs.msg import JointComponentTolerance, JointTolerance

    assert fields(FollowJointTrajectory.Goal) == [
        ('trajectory', 'trajectory_msgs/JointTrajectory'),
        ('multi_dof_trajectory', 'trajectory_msgs/MultiDOFJointTrajectory'),
        ('path_tolerance', 'sequence<control_msgs/JointTolerance>'),
        ('component_path_tolerance', 'sequence<control_msgs/JointComponentTolerance>'),
        ('goal_tolerance', 'sequence<control_msgs/JointTolerance>'),
        ('component_goal_tolerance', 'sequence<control_msgs/JointComponentTolerance>'),
        ('goal_time_tolerance', 'builtin_interfaces/Duration'),
    ]
    numbers = [('position', 'double'), ('velocity', 'double'), ('acceleration', 'double')]
    assert fields(JointTolerance) == [('name', 'string'), *numbers]
    assert fields(JointComponentTolerance) == [
        ('joint_name', 'string'),
        ('component', 'uint16'),
        *numbers,
    ]


def test_trajectory_result_and_feedback_have_the_fields_of_the_real_package():
    from control_msgs.action import FollowJointTrajectory

    result = FollowJointTrajectory.Result
    assert fields(result) == [('error_code', 'int32'), ('error_string', 'string')]
    codes = [
        result.SUCCESSFUL,
        result.INVALID_GOAL,
        result.INVALID_JOINTS,
        result.OLD_HEADER_TIMESTAMP,
        result.PATH_TOLERANCE_VIOLATED,
        result.GOAL_TOLERANCE_VIOLATED,
    ]
    assert codes == [0, -1, -2, -3, -4, -5]
    point, multi = 'JointTrajectoryPoint', 'MultiDOFJointTrajectoryPoint'
    assert fields(FollowJointTrajectory.Feedback) == [
        ('header', 'std_msgs/Header'),
        ('joint_names', 'sequence<string>'),
        *((name, f'trajectory_msgs/{point}') for name in ('desired', 'actual', 'error')),
        ('multi_dof_joint_names', 'sequence<string>'),
        *((f'multi_dof_{n}', f'trajectory_msgs/{multi}') for n in ('desired', 'actual', 'error')),
    ]


def test_gripper_actions_have_the_fields_of_the_real_package():
    from control_msgs.action import GripperCommand, ParallelGripperCommand
    from control_msgs.msg import GripperCommand as Command

    state = [
        ('position', 'double'),
        ('effort', 'double'),
        ('stalled', 'boolean'),
        ('reached_goal', 'boolean'),
    ]
    assert fields(Command) == [('position', 'double'), ('max_effort', 'double')]
    assert fields(GripperCommand.Goal) == [('command', 'control_msgs/GripperCommand')]
    assert fields(GripperCommand.Result) == state
    assert fields(GripperCommand.Feedback) == state
    joints = ('state', 'sensor_msgs/JointState')
    assert fields(ParallelGripperCommand.Goal) == [('command', 'sensor_msgs/JointState')]
    assert fields(ParallelGripperCommand.Result) == [joints, *state[2:]]
    assert fields(ParallelGripperCommand.Feedback) == [joints]


def test_a_trajectory_goal_survives_the_wire():
    from control_msgs.action import FollowJointTrajectory
    from control_msgs.msg import JointTolerance
    from rclpy.serialization import deserialize_message, serialize_message
    from trajectory_msgs.msg import JointTrajectoryPoint

    goal = FollowJointTrajectory.Goal()
    goal.trajectory.joint_names = ['a', 'b']
    goal.trajectory.points = [JointTrajectoryPoint(positions=array('d', [0.5, -1.25]))]
    goal.goal_tolerance = [JointTolerance(name='a', position=0.01)]
    goal.goal_time_tolerance.sec = 3
    sent = serialize_message(goal)
    assert deserialize_message(sent, FollowJointTrajectory.Goal) == goal
