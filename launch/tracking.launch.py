# SPDX-License-Identifier: Apache-2.0
"""Following an object live; beside `bringup`, for `task_node` with `track: true`."""

from launch import LaunchDescription

from flow_manip.launch_common import (
    arguments,
    camera_remappings,
    lifecycle_parameters,
    node,
    rig_parameters,
)


def generate_launch_description() -> LaunchDescription:
    # Stamps come with the images; a simulated clock would only take time.
    parameters = {**rig_parameters(), **lifecycle_parameters(), 'use_sim_time': False}
    tracking = node(
        'flow_manip_perception', 'tracking_node', parameters, remappings=camera_remappings()
    )
    return LaunchDescription([*arguments(), tracking])
