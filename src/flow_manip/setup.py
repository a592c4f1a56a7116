# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

from setuptools import find_packages, setup

package_name = 'flow_manip'
share = f'share/{package_name}'


def files_below(folder: str) -> list[tuple[str, list[str]]]:
    """List every file below `folder`, a link to the top level, for installation into share/."""
    found = []
    for path, _, names in os.walk(folder, followlinks=True):
        files = sorted(str(Path(path) / name) for name in names if not name.endswith('.pyc'))
        if files and '__pycache__' not in path:
            found.append((f'{share}/{path}', files))
    return found


setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(include=[package_name, f'{package_name}.*']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (share, ['package.xml']),
        *files_below('launch'),
        *files_below('config'),
        *files_below('rviz'),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='flow_manip maintainers',
    maintainer_email='flow-manip@example.org',
    description='Robots told in words, moved by 3D object flow: launch files and configuration',
    license='Apache-2.0',
    extras_require={'test': ['pytest']},
)
