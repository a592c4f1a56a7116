# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = 'flow_manip_perception'

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
    description='Finding objects in images by words',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'depth_node = flow_manip_perception.ros.depth_node:main',
            'segmentation_node = flow_manip_perception.ros.segmentation_node:main',
            'tracking_node = flow_manip_perception.ros.tracking_node:main',
        ]
    },
    extras_require={'test': ['pytest']},
)
