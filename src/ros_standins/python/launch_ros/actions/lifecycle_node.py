# SPDX-License-Identifier: Apache-2.0
"""Processes that are ROS nodes with a lifecycle."""

from __future__ import annotations

from typing import Any, Optional, TYPE_CHECKING

from launch.frontend import expose_action
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.some_substitutions_type import SomeSubstitutionsType

from ..utilities import LifecycleEventManager
from .node import Node

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('lifecycle_node')
class LifecycleNode(Node):
    """Runs a node with a lifecycle.

    It emits a StateTransition event whenever the node changes its state, and asks the node to
    change its state at a ChangeState event.
    """

    def __init__(
        self,
        *,
        name: SomeSubstitutionsType,
        namespace: SomeSubstitutionsType,
        autostart: bool = False,
        **kwargs: Any,
    ) -> None:
        """Stores what is run.

        Args:
            name: Name of the node.
            namespace: Namespace of the node.
            autostart: Has the node configured and activated.
            **kwargs: As of :class:`Node`.
        """
        super().__init__(name=name, namespace=namespace, **kwargs)
        self.__autostart = autostart
        self.__lifecycle_event_manager: Optional[LifecycleEventManager] = None

    @property
    def node_autostart(self) -> bool:
        """Whether the node is configured and activated."""
        return self.__autostart

    @property
    def is_lifecycle_node(self) -> bool:
        """True."""
        return True

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Starts the node's process.

        Raises:
            RuntimeError: The node's name is not known.
        """
        self._perform_substitutions(context)
        if not self.is_node_name_fully_specified():
            raise RuntimeError('node_name unexpectedly incomplete for lifecycle node')
        self.__lifecycle_event_manager = LifecycleEventManager(self)
        self.__lifecycle_event_manager.setup_lifecycle_manager(context)
        entities = list(super().execute(context) or [])
        if self.__autostart:
            from .lifecycle_transition import LifecycleTransition

            entities.append(
                LifecycleTransition(lifecycle_node_names=[self.node_name], transition_ids=[1, 3])
            )
        return entities or None
