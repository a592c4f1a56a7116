# SPDX-License-Identifier: Apache-2.0
"""From object flow to robot motion."""

from launch import LaunchDescription

from flow_manip.launch_common import arguments, compute_parameters, node


def generate_launch_description() -> LaunchDescription:
    parameters = compute_parameters()
    return LaunchDescription(
        [*arguments(), node('flow_manip_planning', 'planning_node', parameters)]
    )
