# SPDX-License-Identifier: Apache-2.0
"""An ordered collection of entities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional, TYPE_CHECKING

from . import logging as launch_logging
from .launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from .action import Action
    from .actions import DeclareLaunchArgument, IncludeLaunchDescription
    from .launch_context import LaunchContext


class LaunchDescription(LaunchDescriptionEntity):
    """What a launch file returns."""

    def __init__(
        self,
        initial_entities: Optional[Iterable[LaunchDescriptionEntity]] = None,
        *,
        deprecated_reason: Optional[str] = None,
    ) -> None:
        """Stores the entities.

        Args:
            initial_entities: The first entities.
            deprecated_reason: If given, a visit warns with it.
        """
        self.__entities = list(initial_entities) if initial_entities is not None else []
        self.__deprecated_reason = deprecated_reason

    def visit(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Returns the entities, warning first if the description is deprecated."""
        if self.deprecated:
            directory = context.get_locals_as_dict().get('current_launch_file_directory')
            where = f'in [{directory}] ' if directory else ''
            launch_logging.get_logger().warning(
                f'launch description {where}is deprecated: {self.__deprecated_reason}'
            )
        return self.__entities

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Returns the entities."""
        return self.__entities

    def get_launch_arguments(
        self, conditional_inclusion: bool = False
    ) -> list[DeclareLaunchArgument]:
        """Returns the arguments that this description and those it includes declare.

        Args:
            conditional_inclusion: True if the description itself is included on a condition.
        """
        found = self.get_launch_arguments_with_include_launch_description_actions(
            conditional_inclusion
        )
        return [argument for argument, _ in found]

    def get_launch_arguments_with_include_launch_description_actions(
        self, conditional_inclusion: bool = False, only_search_local: bool = False
    ) -> list[tuple[DeclareLaunchArgument, Optional[list[IncludeLaunchDescription]]]]:
        """Returns the declared arguments, each with the includes that lead to it.

        Args:
            conditional_inclusion: True if the description itself is included on a condition.
            only_search_local: Leaves out what included descriptions declare.
        """
        found: list[tuple[DeclareLaunchArgument, Optional[list[IncludeLaunchDescription]]]] = []
        _collect_arguments(self.entities, conditional_inclusion, only_search_local, None, found)
        return found

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        """The entities."""
        return self.__entities

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        """Adds an entity at the end."""
        self.entities.append(entity)

    def add_action(self, action: Action) -> None:
        """Adds an action at the end."""
        self.add_entity(action)

    @property
    def deprecated(self) -> bool:
        """True if a reason for deprecation was given."""
        return self.__deprecated_reason is not None

    @property
    def deprecated_reason(self) -> Optional[str]:
        """The reason for deprecation, or None."""
        return self.__deprecated_reason


def _collect_arguments(
    entities: Iterable[LaunchDescriptionEntity],
    conditional: bool,
    only_search_local: bool,
    includes: Optional[list[IncludeLaunchDescription]],
    found: list[tuple[DeclareLaunchArgument, Optional[list[IncludeLaunchDescription]]]],
) -> bool:
    """Walks the entities in order; False once a reset hides all that would follow."""
    from .actions import DeclareLaunchArgument, IncludeLaunchDescription, ResetLaunchConfigurations

    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity._conditionally_included = conditional or entity.condition is not None
            found.append((entity, includes))
            continue
        if isinstance(entity, ResetLaunchConfigurations):
            # What is declared after a reset cannot be set from outside any more.
            return False
        inner = includes
        if isinstance(entity, IncludeLaunchDescription):
            if only_search_local:
                continue
            inner = [*(includes or []), entity]
        _collect_arguments(
            entity.describe_sub_entities(), conditional, only_search_local, inner, found
        )
        for _, sub_entities in entity.describe_conditional_sub_entities():
            _collect_arguments(sub_entities, True, only_search_local, inner, found)
    return True
