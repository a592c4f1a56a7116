# SPDX-License-Identifier: Apache-2.0
"""The `manipulate` action."""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from flow_manip.launch_common import (
    arguments,
    camera_remappings,
    node,
    rig_parameters,
    SILENCE,
)


def generate_launch_description() -> LaunchDescription:
    parameters = {
        **rig_parameters(),
        'pipeline': LaunchConfiguration('pipeline'),
        'timeouts.control_silence': SILENCE,
    }
    task = node('flow_manip_task', 'task_node', parameters, remappings=camera_remappings())
    return LaunchDescription([*arguments(), task])
