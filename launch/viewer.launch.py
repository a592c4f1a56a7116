# SPDX-License-Identifier: Apache-2.0
"""The browser view."""

from launch import LaunchDescription

from flow_manip.launch_common import arguments, camera_remappings, node, rig_parameters


def generate_launch_description() -> LaunchDescription:
    parameters = rig_parameters()
    viewer = node('flow_manip_task', 'viewer_node', parameters, remappings=camera_remappings())
    return LaunchDescription([*arguments(), viewer])
