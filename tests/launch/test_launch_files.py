# SPDX-License-Identifier: Apache-2.0
"""Every launch file can be loaded, and what it would start exists."""

from pathlib import Path

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.launch_description_sources import get_launch_description_from_any_launch_file
from launch.substitutions import LaunchConfiguration
import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
EXPECTED = {
    'robot',
    'hardware',
    'camera',
    'recording',
    'rig',
    'pipeline',
    'scene',
    'seed',
    'namespace',
    'params_file',
    'autostart',
    'log_level',
    'use_rviz',
    'use_viewer',
}


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.name)
def test_a_launch_file_runs_alone_with_the_common_arguments(path):
    description = get_launch_description_from_any_launch_file(str(path))
    declared = {a.name for a in description.entities if isinstance(a, DeclareLaunchArgument)}
    assert declared >= EXPECTED


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.name)
def test_every_argument_says_what_it_is_for(path):
    description = get_launch_description_from_any_launch_file(str(path))
    for argument in description.get_launch_arguments():
        assert argument.description
        assert 'No description' not in argument.description


@pytest.mark.parametrize('name', ['camera', 'pipeline'])
def test_bringup_refuses_a_choice_that_does_not_exist(name):
    path = ROOT / 'launch' / 'bringup.launch.py'
    description = get_launch_description_from_any_launch_file(str(path))
    argument = next(a for a in description.get_launch_arguments() if a.name == name)
    context = LaunchContext()
    context.launch_configurations[name] = 'telescope'
    with pytest.raises(RuntimeError, match='telescope'):
        argument.visit(context)


def test_defaults_can_be_overridden():
    path = ROOT / 'launch' / 'bringup.launch.py'
    description = get_launch_description_from_any_launch_file(str(path))
    context = LaunchContext()
    context.launch_configurations['seed'] = '7'
    for argument in description.get_launch_arguments():
        argument.visit(context)
    assert LaunchConfiguration('seed').perform(context) == '7'
    assert LaunchConfiguration('robot').perform(context) == 'franka'
