# SPDX-License-Identifier: Apache-2.0
"""Namespaces for all nodes of a scope."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from launch.action import Action
from launch.frontend import expose_action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from .._names import check_namespace
from ..utilities import make_namespace_absolute, prefix_namespace

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('push-ros-namespace')
@expose_action('push_ros_namespace')
class PushROSNamespace(Action):
    """Puts the nodes that follow into a namespace, up to the end of the group."""

    def __init__(self, namespace: SomeSubstitutionsType, **kwargs: Any) -> None:
        """Stores the namespace; a relative one is below that which is set."""
        super().__init__(**kwargs)
        self.__namespace = normalize_to_list_of_substitutions(namespace)

    @property
    def namespace(self) -> list[Substitution]:
        """The namespace."""
        return self.__namespace

    def execute(self, context: LaunchContext) -> None:
        """Sets it."""
        pushed = perform_substitutions(context, self.namespace)
        before = context.launch_configurations.get('ros_namespace')
        namespace = make_namespace_absolute(prefix_namespace(before, pushed) or '')
        check_namespace(namespace)
        context.launch_configurations['ros_namespace'] = namespace


PushRosNamespace = PushROSNamespace
