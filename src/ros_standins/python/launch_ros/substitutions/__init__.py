# SPDX-License-Identifier: Apache-2.0
"""Texts that ROS knows."""

from launch._stand_in import refusing_getattr

from .executable_in_package import ExecutableInPackage
from .find_package import FindPackage, FindPackagePrefix, FindPackageShare
from .parameter import Parameter

__all__ = [
    'ExecutableInPackage',
    'FindPackage',
    'FindPackagePrefix',
    'FindPackageShare',
    'Parameter',
]

__getattr__ = refusing_getattr('launch_ros', __name__, ())
