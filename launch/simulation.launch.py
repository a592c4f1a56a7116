# SPDX-License-Identifier: Apache-2.0
"""The simulated cell: arm, gripper, table, objects and their camera."""

from launch import LaunchDescription
from launch.substitutions import EqualsSubstitution, LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

from flow_manip.launch_common import arguments, lifecycle_parameters, node, rig_parameters


def generate_launch_description() -> LaunchDescription:
    seed = ParameterValue(LaunchConfiguration('seed'), value_type=int)
    # The simulator is the clock, so it does not follow one.
    drawn = EqualsSubstitution(LaunchConfiguration('camera'), 'mujoco')
    own = {
        'scene': LaunchConfiguration('scene'),
        'seed': seed,
        'publish_camera': ParameterValue(drawn, value_type=bool),
        'use_sim_time': False,
    }
    return LaunchDescription(
        [
            *arguments(),
            node(
                'flow_manip_mujoco',
                'simulation_node',
                {**rig_parameters(), **lifecycle_parameters(), **own},
            ),
        ]
    )
