# SPDX-License-Identifier: Apache-2.0
"""Events of ROS."""

from launch._stand_in import refusing_getattr

from . import lifecycle
from .matchers import matches_node_name

__all__ = ['lifecycle', 'matches_node_name']

__getattr__ = refusing_getattr('launch_ros', __name__, ())
