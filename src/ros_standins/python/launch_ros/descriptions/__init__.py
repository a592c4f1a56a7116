# SPDX-License-Identifier: Apache-2.0
"""Descriptions of what actions use."""

from launch._stand_in import refusing_getattr

from ..parameter_descriptions import Parameter, ParameterFile, ParameterValue

__all__ = ['Parameter', 'ParameterFile', 'ParameterValue']

__getattr__ = refusing_getattr(
    'launch_ros', __name__, ('ComposableNode', 'ComposableLifecycleNode')
)
