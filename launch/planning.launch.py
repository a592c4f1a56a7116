# SPDX-License-Identifier: Apache-2.0
"""From object flow to robot motion."""

from launch import LaunchDescription

from flow_manip.launch_common import arguments, node, rig_parameters


def generate_launch_description() -> LaunchDescription:
    parameters = rig_parameters()
    return LaunchDescription(
        [*arguments(), node('flow_manip_planning', 'planning_node', parameters)]
    )
