# SPDX-License-Identifier: Apache-2.0
"""The `manipulate` action."""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from flow_manip.launch_common import arguments, node, rig_parameters


def generate_launch_description() -> LaunchDescription:
    parameters = {**rig_parameters(), 'pipeline': LaunchConfiguration('pipeline')}
    return LaunchDescription([*arguments(), node('flow_manip_task', 'task_node', parameters)])
