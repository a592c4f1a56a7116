# SPDX-License-Identifier: Apache-2.0
"""Executing plans on the robot's controllers."""

from flow_manip.launch_common import arguments, node, rig_parameters
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    parameters = rig_parameters()
    return LaunchDescription([*arguments(), node('flow_manip_control', 'control_node', parameters)])
