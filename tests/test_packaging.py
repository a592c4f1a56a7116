# SPDX-License-Identifier: Apache-2.0
"""Package files that both ROS hosts rely on."""

import ast
from pathlib import Path
import xml.etree.ElementTree as ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(p.parent for p in (ROOT / 'src').glob('flow_manip*/package.xml'))

ROS = {
    'ament_index_python',
    'cv_bridge',
    'domain_coordinator',
    'launch',
    'launch_ros',
    'message_filters',
    'rclpy',
    'tf2_ros',
}
# Import name -> rosdep key or package, for what is not a ROS package of the same name.
KEYS = {
    'cv2': 'python3-opencv',
    'imageio_ffmpeg': 'python3-imageio',
    'matplotlib': 'python3-matplotlib',
    'msgpack': 'python3-msgpack',
    'numpy': 'python3-numpy',
    'PIL': 'python3-pil',
    'pinocchio': 'pinocchio',
    'scipy': 'python3-scipy',
    'yaml': 'python3-yaml',
}


def test_the_top_level_holds_only_what_a_newcomer_expects():
    files = {'README.md', 'LICENSE', 'CONTRIBUTING.md', 'Makefile', 'env.sh'}
    settings = {'pyproject.toml', 'colcon.meta'}
    folders = {'src', 'launch', 'config', 'docker', 'rviz', 'tests'}
    made = {'build', 'install', 'log', 'runs'}
    found = {p.name for p in ROOT.iterdir() if not p.name.startswith('.')}
    assert found - made == files | settings | folders


@pytest.mark.parametrize('package', PACKAGES, ids=lambda p: p.name)
def test_names_versions_and_licences_agree(package):
    xml = ElementTree.parse(package / 'package.xml').getroot()
    assert xml.findtext('name') == package.name
    assert xml.findtext('version') == '0.1.0'
    assert xml.findtext('license') == 'Apache-2.0'
    if (package / 'setup.py').is_file():
        text = (package / 'setup.py').read_text()
        assert "version='0.1.0'" in text
        assert (package / 'resource' / package.name).is_file()


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split('.')[0]


def is_declared_by_name(root):
    return root in ROS or root.startswith('flow_manip') or root.endswith(('_msgs', '_srvs'))


@pytest.mark.parametrize('package', PACKAGES, ids=lambda p: p.name)
def test_every_ros_package_that_is_imported_is_a_dependency(package):
    xml = ElementTree.parse(package / 'package.xml').getroot()
    declared = {e.text for tag in ('depend', 'exec_depend') for e in xml.findall(tag)}
    for path in (package / package.name).rglob('*.py'):
        for root in imports_of(path):
            if (is_declared_by_name(root) or root in KEYS) and root != package.name:
                assert KEYS.get(root, root) in declared, f'{path.relative_to(ROOT)}: {root}'


@pytest.mark.parametrize('package', PACKAGES, ids=lambda p: p.name)
def test_every_package_has_a_readme_or_is_the_entry_point(package):
    assert package.name == 'flow_manip' or (package / 'README.md').is_file()


def test_the_entry_point_links_to_the_top_level():
    for name in ('launch', 'config', 'rviz'):
        link = ROOT / 'src' / 'flow_manip' / name
        assert link.is_symlink()
        assert link.resolve() == ROOT / name
