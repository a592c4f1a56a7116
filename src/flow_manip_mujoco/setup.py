# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = 'flow_manip_mujoco'

setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(exclude=['test']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='flow_manip maintainers',
    maintainer_email='flow-manip@example.org',
    description='A simulated cell behind the same topics and actions as hardware',
    license='Apache-2.0',
    entry_points={
        'console_scripts': ['simulation_node = flow_manip_mujoco.ros.simulation_node:main']
    },
    extras_require={'test': ['pytest']},
)
