# SPDX-License-Identifier: Apache-2.0
"""What every launch file of the workspace shares: arguments, parameter files, nodes, includes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    EnvironmentVariable,
    EqualsSubstitution,
    IfElseSubstitution,
    LaunchConfiguration,
    PathJoinSubstitution,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare('flow_manip')
CONFIG = PathJoinSubstitution([SHARE, 'config'])
SIMULATED = EqualsSubstitution(LaunchConfiguration('hardware'), 'mujoco')

# How long a silent node that moves the arm still counts as alive, after its lease [s]: a simulated
# arm hurts nobody, and a laptop that simulates is busy.
SILENCE = ParameterValue(
    IfElseSubstitution(SIMULATED, if_value='1.5', else_value='0.05'), value_type=float
)

# Several processes that each use every core only wait for each other.
ONE_THREAD = EnvironmentVariable('OMP_NUM_THREADS', default_value='1')

# Later files win.
PARAMETER_FILES = [
    PathJoinSubstitution([CONFIG, 'nodes.yaml']),
    PathJoinSubstitution([CONFIG, 'robots', LaunchConfiguration('robot'), 'nodes.yaml']),
    PathJoinSubstitution([CONFIG, 'pipelines', [LaunchConfiguration('pipeline'), '.yaml']]),
    LaunchConfiguration('params_file'),
]

# What the nodes that look through the rig's camera subscribe to, by launch argument.
CAMERA_TOPICS = {
    'color': ('cameras/scene/color/image_raw', 'colour image'),
    'info': ('cameras/scene/color/camera_info', 'camera info of colour'),
    'depth': ('cameras/scene/depth/image_rect', 'depth registered to colour'),
}


def pipelines() -> list[str]:
    """Name the files in config/pipelines: launch only warns where a parameter file is missing."""
    folder = Path(get_package_share_directory('flow_manip')) / 'config' / 'pipelines'
    return sorted(path.stem for path in folder.glob('*.yaml'))


def arguments() -> list[DeclareLaunchArgument]:
    """Declare the arguments that every launch file takes."""
    empty = PathJoinSubstitution([CONFIG, 'empty.yaml'])
    boolean = {'choices': ['true', 'false']}
    return [
        DeclareLaunchArgument(
            'robot',
            default_value='franka',
            choices=['franka'],
            description='Folder in config/robots',
        ),
        DeclareLaunchArgument(
            'hardware',
            default_value='mujoco',
            choices=['mujoco', 'real', 'none'],
            description='Who serves the arm: the simulator, running controllers, or nobody',
        ),
        DeclareLaunchArgument(
            'camera',
            default_value='mujoco',
            choices=['mujoco', 'recording', 'realsense', 'none'],
            description='Who publishes the images; none: a node that already runs',
        ),
        DeclareLaunchArgument(
            'recording', default_value='', description='Folder or MCAP to play (camera:=recording)'
        ),
        *(
            DeclareLaunchArgument(
                f'{stream}_topic',
                default_value=topic,
                description=f"The camera's {what}, e.g. of a driver that already runs",
            )
            for stream, (topic, what) in CAMERA_TOPICS.items()
        ),
        DeclareLaunchArgument(
            'rig',
            default_value='tabletop',
            description='File in config/rigs, or a path to a yaml file',
        ),
        DeclareLaunchArgument(
            'pipeline',
            default_value='default',
            choices=pipelines(),
            description='File in config/pipelines; what is your own goes into params_file',
        ),
        DeclareLaunchArgument(
            'scene',
            default_value='tabletop',
            description='What stands on the simulated table: tabletop, random, or object names',
        ),
        DeclareLaunchArgument('seed', default_value='0', description='Of the simulated scene'),
        DeclareLaunchArgument('namespace', default_value='', description='Of every node'),
        DeclareLaunchArgument(
            'params_file', default_value=empty, description='Parameters that win over all others'
        ),
        DeclareLaunchArgument(
            'autostart', default_value='true', description='Activate lifecycle nodes', **boolean
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            choices=['debug', 'info', 'warn', 'error'],
            description='Of every node',
        ),
        DeclareLaunchArgument(
            'use_rviz', default_value='false', description='Start RViz', **boolean
        ),
        DeclareLaunchArgument(
            'use_viewer', default_value='false', description='Serve the browser view', **boolean
        ),
    ]


def node(
    package: str, executable: str, parameters: dict[str, Any] | None = None, **kwargs: Any
) -> Node:
    """Describe a node of the workspace: it reads the parameter files and reports its output.

    Args:
        package: of the executable.
        executable: also the node's name.
        parameters: further ones; they win over the files.
        **kwargs: of `launch_ros.actions.Node`.
    """
    return Node(
        package=package,
        executable=executable,
        name=executable,
        namespace=LaunchConfiguration('namespace'),
        output='screen',
        parameters=[*PARAMETER_FILES, {'use_sim_time': SIMULATED, **(parameters or {})}],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        additional_env={'OMP_NUM_THREADS': ONE_THREAD},
        **kwargs,
    )


def rig_parameters() -> dict[str, Any]:
    """Return the parameters of a node that needs to know robot and rig."""
    return {'robot': LaunchConfiguration('robot'), 'rig': LaunchConfiguration('rig')}


def compute_parameters() -> dict[str, Any]:
    """Return the parameters of a node that computes answers from stamped requests.

    It needs no clock, and in Python listening to a simulated one, 100 times a second, would take
    much of the time that it has for computing.
    """
    return {**rig_parameters(), 'use_sim_time': False}


def camera_remappings() -> list[tuple[str, LaunchConfiguration]]:
    """Return the remappings of a node that subscribes to the rig's camera."""
    return [
        (topic, LaunchConfiguration(f'{stream}_topic'))
        for stream, (topic, _) in CAMERA_TOPICS.items()
    ]


def lifecycle_parameters() -> dict[str, Any]:
    """Return the parameters of a lifecycle node."""
    return {'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool)}


def include(name: str, condition: IfCondition | None = None) -> LaunchDescriptionEntity:
    """Include another launch file of this workspace with the same arguments."""
    source = PythonLaunchDescriptionSource(
        PathJoinSubstitution([SHARE, 'launch', f'{name}.launch.py'])
    )
    return IncludeLaunchDescription(source, condition=condition)
