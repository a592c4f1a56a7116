# SPDX-License-Identifier: Apache-2.0
"""Cameras other than the simulated one: a recording, or a RealSense."""

from launch import LaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import EqualsSubstitution, LaunchConfiguration

from flow_manip.launch_common import arguments, lifecycle_parameters, node, rig_parameters


def chosen(name: str) -> IfCondition:
    return IfCondition(EqualsSubstitution(LaunchConfiguration('camera'), name))


def generate_launch_description() -> LaunchDescription:
    common = {**rig_parameters(), **lifecycle_parameters()}
    return LaunchDescription(
        [
            *arguments(),
            node(
                'flow_manip_cameras',
                'recording_node',
                {**common, 'path': LaunchConfiguration('recording')},
                condition=chosen('recording'),
            ),
            node('flow_manip_cameras', 'realsense_node', common, condition=chosen('realsense')),
        ]
    )
