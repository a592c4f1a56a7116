# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = 'flow_manip_task'

setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(exclude=['test', 'test.*']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
        # Entry points of an ament_python package are not on PATH; this is.
        ('bin', ['bin/flow_manip']),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='flow_manip maintainers',
    maintainer_email='flow-manip@example.org',
    description='The manipulate action as a state machine, its record, client and command line',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'task_node = flow_manip_task.ros.task_node:main',
            'viewer_node = flow_manip_task.ros.viewer_node:main',
        ]
    },
    extras_require={'test': ['pytest']},
)
