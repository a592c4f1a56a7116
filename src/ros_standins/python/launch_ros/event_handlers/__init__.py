# SPDX-License-Identifier: Apache-2.0
"""Handlers for the events of ROS."""

from launch._stand_in import refusing_getattr

from .on_state_transition import OnStateTransition

__all__ = ['OnStateTransition']

__getattr__ = refusing_getattr('launch_ros', __name__, ())
