# SPDX-License-Identifier: Apache-2.0
"""The whole stack, from camera and robot to the `manipulate` action."""

from launch import LaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration

from flow_manip.launch_common import arguments, include, SIMULATED


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *arguments(),
            include('simulation', condition=IfCondition(SIMULATED)),
            include('cameras'),
            include('perception'),
            include('world_model'),
            include('planning'),
            include('control'),
            include('task'),
            include('viewer', condition=IfCondition(LaunchConfiguration('use_viewer'))),
            include('rviz', condition=IfCondition(LaunchConfiguration('use_rviz'))),
        ]
    )
