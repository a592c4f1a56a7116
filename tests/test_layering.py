# SPDX-License-Identifier: Apache-2.0
"""The direction of imports, read from the code."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / 'src'
PACKAGES = sorted(
    p.name for p in SRC.glob('flow_manip*') if (p / p.name / '__init__.py').is_file()
)

# What each package may import of the others. Packages of one layer meet in messages, not in
# imports.
SIDE_BY_SIDE = {'flow_manip_core', 'flow_manip_ros'}
ALLOWED = {
    'flow_manip_core': set(),
    'flow_manip_ros': {'flow_manip_core'},
    'flow_manip_cameras': SIDE_BY_SIDE,
    'flow_manip_perception': SIDE_BY_SIDE,
    'flow_manip_world_model': SIDE_BY_SIDE,
    'flow_manip_planning': SIDE_BY_SIDE,
    'flow_manip_control': SIDE_BY_SIDE,
    'flow_manip_mujoco': SIDE_BY_SIDE,
    'flow_manip_learning': set(PACKAGES)
    - {'flow_manip', 'flow_manip_learning', 'flow_manip_task'},
    'flow_manip_task': {p for p in PACKAGES if p not in ('flow_manip', 'flow_manip_task')},
    'flow_manip': set(PACKAGES) - {'flow_manip'},
}
# The task uses the others' ROS-free code; their nodes it reaches through messages.
ROS_NAMES = (
    'rclpy',
    'launch',
    'launch_ros',
    'tf2_ros',
    'message_filters',
    'cv_bridge',
    'ament_index_python',
    'moveit',
)


def modules(package):
    return sorted((SRC / package / package).rglob('*.py'))


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def is_ros(name):
    root = name.split('.')[0]
    return root in ROS_NAMES or root.endswith(('_msgs', '_interfaces', '_srvs'))


def test_every_package_has_its_place():
    assert set(PACKAGES) == set(ALLOWED)


@pytest.mark.parametrize('package', PACKAGES)
def test_a_package_imports_only_what_lies_below_it(package):
    for path in modules(package):
        for name in imports_of(path):
            root = name.split('.')[0]
            if root.startswith('flow_manip') and root not in (package, 'flow_manip_msgs'):
                assert root in ALLOWED[package], f'{path.relative_to(SRC)} imports {name}'


@pytest.mark.parametrize(
    'package', [p for p in PACKAGES if p not in ('flow_manip', 'flow_manip_ros')]
)
def test_ros_stays_at_the_edge(package):
    for path in modules(package):
        if 'ros' in path.relative_to(SRC / package / package).parts[:-1]:
            continue
        for name in imports_of(path):
            assert not is_ros(name), (
                f'{path.relative_to(SRC)} imports {name} outside a ros/ folder'
            )
            assert name.split('.')[0] != 'flow_manip_ros', (
                f'{path.relative_to(SRC)} imports {name}'
            )


@pytest.mark.parametrize('package', PACKAGES)
def test_nobody_asks_which_ros_host_it_runs_on(package):
    for path in modules(package):
        assert 'ros_standins' not in path.read_text(encoding='utf-8'), path


@pytest.mark.parametrize('package', PACKAGES)
def test_nothing_runs_data_as_code(package):
    forbidden = {'eval', 'exec'}
    for path in modules(package):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden, f'{path}:{node.lineno}'
        assert 'pickle' not in set(imports_of(path)), path
