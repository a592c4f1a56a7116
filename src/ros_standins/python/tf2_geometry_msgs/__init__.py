# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the Python side of the ROS 2 package ``tf2_geometry_msgs``."""

from .tf2_geometry_msgs import (
    do_transform_point,
    do_transform_polygon_stamped,
    do_transform_pose,
    do_transform_pose_stamped,
    do_transform_pose_with_covariance_stamped,
    do_transform_vector3,
    do_transform_wrench,
    from_msg_msg,
    to_msg_msg,
    transform_covariance,
)

__all__ = [
    'do_transform_point',
    'do_transform_polygon_stamped',
    'do_transform_pose',
    'do_transform_pose_stamped',
    'do_transform_pose_with_covariance_stamped',
    'do_transform_vector3',
    'do_transform_wrench',
    'from_msg_msg',
    'to_msg_msg',
    'transform_covariance',
]


def __getattr__(name: str) -> object:
    """Name the real package for what is not here."""
    raise AttributeError(
        f'tf2_geometry_msgs.{name}: this is a stand-in; if the ROS 2 package tf2_geometry_msgs '
        'has it, install that one'
    )
