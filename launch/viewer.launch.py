# SPDX-License-Identifier: Apache-2.0
"""The browser view."""

from launch import LaunchDescription

from flow_manip.launch_common import arguments, node, rig_parameters


def generate_launch_description() -> LaunchDescription:
    parameters = rig_parameters()
    return LaunchDescription([*arguments(), node('flow_manip_task', 'viewer_node', parameters)])
