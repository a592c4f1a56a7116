# SPDX-License-Identifier: Apache-2.0
"""Imagining and choosing object flows."""

from launch import LaunchDescription

from flow_manip.launch_common import arguments, compute_parameters, lifecycle_parameters, node


def generate_launch_description() -> LaunchDescription:
    parameters = {**compute_parameters(), **lifecycle_parameters()}
    return LaunchDescription(
        [*arguments(), node('flow_manip_world_model', 'world_model_node', parameters)]
    )
