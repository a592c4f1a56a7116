# SPDX-License-Identifier: Apache-2.0
"""Executing plans on the robot's controllers."""

from launch import LaunchDescription
from launch.substitutions import IfElseSubstitution
from launch_ros.parameter_descriptions import ParameterValue

from flow_manip.launch_common import arguments, node, rig_parameters, SILENCE, SIMULATED


def generate_launch_description() -> LaunchDescription:
    # The simulator holds the controllers: when it dies, whatever moves must be given up.
    driver = IfElseSubstitution(SIMULATED, if_value='simulation_node', else_value='')
    parameters = {
        **rig_parameters(),
        'driver': ParameterValue(driver, value_type=str),
        'driver_silence': SILENCE,
    }
    return LaunchDescription(
        [*arguments(), node('flow_manip_control', 'control_node', parameters)]
    )
