# SPDX-License-Identifier: Apache-2.0
"""Finding objects by words."""

from launch import LaunchDescription

from flow_manip.launch_common import arguments, compute_parameters, lifecycle_parameters, node


def generate_launch_description() -> LaunchDescription:
    parameters = {**compute_parameters(), **lifecycle_parameters()}
    return LaunchDescription(
        [*arguments(), node('flow_manip_perception', 'segmentation_node', parameters)]
    )
