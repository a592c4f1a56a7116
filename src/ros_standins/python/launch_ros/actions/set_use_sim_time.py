# SPDX-License-Identifier: Apache-2.0
"""Simulated time for the launch's own node."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING, Union

from launch.action import Action
from launch.frontend import expose_action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.utilities.type_utils import normalize_typed_substitution, perform_typed_substitution

from ..ros_adapters import get_ros_node

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('set_use_sim_time')
class SetUseSimTime(Action):
    """Sets 'use_sim_time' of the launch's own node, whose clock the RosTimers use.

    The nodes that are launched do not get it: ``SetParameter('use_sim_time', True)`` sets theirs.
    """

    def __init__(self, value: Union[bool, SomeSubstitutionsType], **kwargs: Any) -> None:
        """Stores the value."""
        super().__init__(**kwargs)
        self.__value = normalize_typed_substitution(value, bool)

    @property
    def value(self) -> Any:
        """The value."""
        return self.__value

    def execute(self, context: LaunchContext) -> None:
        """Sets it.

        Raises:
            RuntimeError: The node did not take it.
        """
        from rclpy.parameter import Parameter

        value = bool(perform_typed_substitution(context, self.__value, bool))
        results = get_ros_node(context).set_parameters([Parameter('use_sim_time', value=value)])
        if not all(result.successful for result in results):
            raise RuntimeError('Failed to set use_sim_time parameter')
