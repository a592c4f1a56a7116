# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ROS 2's ``launch_ros``, for hosts without a ROS installation.

Names, signatures and behaviour follow the documentation of the real package; what is not here
is refused by an error that names the real package.
"""

from launch._stand_in import refusing_getattr

from . import (
    actions,
    descriptions,
    event_handlers,
    events,
    parameter_descriptions,
    substitutions,
    utilities,
)

__all__ = [
    'actions',
    'descriptions',
    'event_handlers',
    'events',
    'parameter_descriptions',
    'substitutions',
    'utilities',
]

__getattr__ = refusing_getattr('launch_ros', __name__, ('get_default_launch_description',))
