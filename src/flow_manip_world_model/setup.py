# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = 'flow_manip_world_model'

setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(exclude=['test']),
    package_data={package_name: ['prompts/*.yaml', 'weights/*.safetensors']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='flow_manip maintainers',
    maintainer_email='flow-manip@example.org',
    description='Object flow from words: generators and selection',
    license='Apache-2.0',
    extras_require={'test': ['pytest']},
    entry_points={
        'console_scripts': [
            'world_model_node = flow_manip_world_model.ros.world_model_node:main',
        ]
    },
)
