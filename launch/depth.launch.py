# SPDX-License-Identifier: Apache-2.0
"""Estimating depth from colour, calibrated to a sensor; beside `bringup`, where it is wanted."""

from launch import LaunchDescription

from flow_manip.launch_common import arguments, compute_parameters, lifecycle_parameters, node


def generate_launch_description() -> LaunchDescription:
    parameters = {**compute_parameters(), **lifecycle_parameters()}
    return LaunchDescription(
        [*arguments(), node('flow_manip_perception', 'depth_node', parameters)]
    )
