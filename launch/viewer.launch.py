# SPDX-License-Identifier: Apache-2.0
"""The browser view."""

from flow_manip.launch_common import arguments, node, rig_parameters
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    parameters = rig_parameters()
    return LaunchDescription([*arguments(), node('flow_manip_task', 'viewer_node', parameters)])
