# SPDX-License-Identifier: Apache-2.0
"""Messages to and from YAML, and interfaces by name (rosidl_runtime_py)."""

from collections import OrderedDict
import os
import sys

import pytest

pytest.importorskip('rosidl_parser')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PoseArray, PoseWithCovariance
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Byte, ByteMultiArray, Header, MultiArrayDimension, String
import yaml

import rosidl_runtime_py as runtime
from rosidl_runtime_py.convert import _convert_value
from rosidl_runtime_py.utilities import (
    get_action,
    get_interface,
    get_message,
    get_service,
)


@pytest.fixture(autouse=True)
def index(monkeypatch):
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.environ.get('AMENT_PREFIX_PATH', sys.prefix))


def filled(message, **values):
    runtime.set_message_fields(message, values)
    return message


def test_yaml_keeps_the_order_of_fields_and_comes_back_the_same():
    message = filled(
        JointState(),
        header={'stamp': {'sec': 3, 'nanosec': 4}, 'frame_id': 'ö: "x"'},
        name=['b', 'a'],
        position=[1, 2.5],
    )
    text = runtime.message_to_yaml(message)
    assert list(yaml.safe_load(text)) == ['header', 'name', 'position', 'velocity', 'effort']
    assert filled(JointState(), **yaml.safe_load(text)) == message
    flow = runtime.message_to_yaml(message, flow_style=True)
    assert flow.count('\n') == 1
    assert filled(JointState(), **yaml.safe_load(flow)) == message


def test_nested_arrays_and_fixed_arrays_come_back_the_same():
    poses = filled(PoseArray(), poses=[{'position': {'x': 1}}, {'orientation': {'w': 0.5}}])
    assert poses.poses[0].orientation.w == 1.0
    assert filled(PoseArray(), **runtime.message_to_ordereddict(poses)) == poses
    pose = filled(PoseWithCovariance(), covariance=list(range(36)))
    again = filled(PoseWithCovariance(), **yaml.safe_load(runtime.message_to_yaml(pose)))
    assert list(again.covariance) == list(range(36))


def test_long_values_are_shortened_and_named():
    image = Image(data=bytes(1000), encoding='x' * 200)
    fields = runtime.message_to_ordereddict(image, truncate_length=3)
    assert fields['data'] == [0, 0, 0, '...']
    assert fields['encoding'] == 'xxx...'
    fields = runtime.message_to_ordereddict(image, no_arr=True, no_str=True)
    assert fields['data'] == '<sequence type: uint8, length: 1000>'
    assert fields['encoding'] == '<string length: <200>>'
    fields = runtime.message_to_ordereddict(PoseWithCovariance(), no_arr=True)
    assert fields['covariance'] == '<array type: double[36]>'
    fields = runtime.message_to_ordereddict(PoseArray(), no_arr=True)
    assert fields['poses'] == '<sequence type: geometry_msgs/msg/Pose, length: 0>'


@pytest.mark.parametrize(
    ('value', 'length', 'expected'),
    [
        ((1, 2, 3), 0, ('...',)),
        (('123', '456', '789'), 2, ('12...', '45...', '...')),
        ([1, 2, 3], 3, [1, 2, 3]),
        (b'hello world', 5, 'hello...'),
        (OrderedDict([('234', 'bcd')]), 1, OrderedDict([('234', 'b...')])),
        (True, 0, True),
        (42.0, 0, 42.0),
    ],
)
def test_values_are_shortened_by_kind(value, length, expected):
    converted = _convert_value(value, truncate_length=length)
    assert converted == expected
    assert type(converted) is type(expected)


def test_csv_has_every_value_once():
    message = filled(JointState(), header={'frame_id': 'a'}, name=['x', 'y'], position=[1, 2])
    assert runtime.message_to_csv(message) == '0,0,a,x,y,1.0,2.0,,'
    assert runtime.message_to_csv(Image(data=bytes(9)), truncate_length=2).endswith('0,0,...')


def test_serialized_messages_are_shown_as_they_are():
    assert runtime.message_to_ordereddict(b'\xce\xbb')['bytes'] == b'\xce\xbb'
    assert 'zrs=' in runtime.message_to_yaml(b'\xce\xbb')
    assert runtime.message_to_csv(b'\xce\xbb') == "b'\\xce\\xbb'"


def test_stamps_are_set_by_the_returned_setters():
    for values in ({'header': 'auto'}, {'header': {'stamp': 'now'}}):
        message = JointState()
        setters = runtime.set_message_fields(
            message, values, expand_header_auto=True, expand_time_now=True
        )
        for setter in setters:
            setter(Time(sec=1, nanosec=2))
        assert message.header.stamp == Time(sec=1, nanosec=2)
    with pytest.raises(TypeError, match=r"^Value 'auto' is expected to be a dictionary"):
        runtime.set_message_fields(JointState(), {'header': 'auto'})


def test_bytes_are_numbers_or_binary():
    assert filled(Byte(), data=5).data == b'\x05'
    assert filled(Byte(), **yaml.safe_load('data: !!binary BQ==')).data == b'\x05'
    assert filled(ByteMultiArray(), data=[1, 2]).data == [b'\x01', b'\x02']


def test_values_are_converted_to_the_type_of_the_field_and_not_changed():
    values = {'layout': {'dim': [{'label': 3, 'size': '4'}]}}
    message = filled(ByteMultiArray(), **values)
    assert message.layout.dim == [MultiArrayDimension(label='3', size=4)]
    assert values == {'layout': {'dim': [{'label': 3, 'size': '4'}]}}
    assert filled(Point(), x=1).x == 1.0
    header = Header(frame_id='map')
    assert filled(JointState(), header=header).header is header


@pytest.mark.parametrize(
    ('message', 'values', 'error'),
    [
        (String(), {'dat': 1}, AttributeError),
        (Point(), {'x': 'east'}, ValueError),
        (JointState(), {'header': 3}, TypeError),
        (JointState(), 'text', TypeError),
    ],
)
def test_what_does_not_fit_is_refused(message, values, error):
    with pytest.raises(error):
        runtime.set_message_fields(message, values)


def test_interfaces_are_found_by_name():
    assert get_message('std_msgs/msg/String') is String
    assert get_message('std_msgs/String') is String
    assert get_interface('std_msgs/msg/String') is String
    assert get_service('std_srvs/srv/Trigger').__name__ == 'Trigger'
    with pytest.raises(ValueError):
        get_service('std_msgs/msg/String')
    with pytest.raises(AttributeError):
        get_message('std_msgs/msg/Absent')
    with pytest.raises(ModuleNotFoundError):
        get_action('absent/action/Absent')


def test_interfaces_are_listed_by_package_and_kind():
    assert 'std_srvs' in runtime.get_interface_packages()
    assert 'std_srvs' not in runtime.get_message_interfaces()
    assert runtime.get_service_interfaces(['std_srvs', 'rclpy']) == {
        'std_srvs': ['srv/Empty', 'srv/SetBool', 'srv/Trigger']
    }
    with pytest.raises(LookupError):
        runtime.get_interfaces(['absent_package'])
    assert runtime.get_interface_path('std_srvs/srv/Trigger').endswith('srv/Trigger.srv')
    assert runtime.get_interface_path('std_srvs/srv/Trigger.idl').endswith('srv/Trigger.idl')
