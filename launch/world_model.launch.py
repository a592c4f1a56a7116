# SPDX-License-Identifier: Apache-2.0
"""Imagining and choosing object flows."""

from launch import LaunchDescription

from flow_manip.launch_common import arguments, lifecycle_parameters, node, rig_parameters


def generate_launch_description() -> LaunchDescription:
    parameters = {**rig_parameters(), **lifecycle_parameters()}
    return LaunchDescription(
        [*arguments(), node('flow_manip_world_model', 'world_model_node', parameters)]
    )
