# SPDX-License-Identifier: Apache-2.0
"""RViz with the workspace's displays."""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node

from flow_manip.launch_common import arguments, SHARE, SIMULATED


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *arguments(),
            Node(
                package='rviz2',
                executable='rviz2',
                namespace=LaunchConfiguration('namespace'),
                arguments=['-d', PathJoinSubstitution([SHARE, 'rviz', 'flow_manip.rviz'])],
                parameters=[{'use_sim_time': SIMULATED}],
                output='screen',
            ),
        ]
    )
