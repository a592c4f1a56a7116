# SPDX-License-Identifier: Apache-2.0
"""Declarations of launch arguments."""

from __future__ import annotations

from typing import Any, Optional, TYPE_CHECKING

from .. import logging as launch_logging
from ..action import Action
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class DeclareLaunchArgument(Action):
    """Says that a launch description takes an argument, which becomes a configuration."""

    def __init__(
        self,
        name: str,
        *,
        default_value: Optional[SomeSubstitutionsType] = None,
        description: Optional[str] = None,
        choices: Optional[list[str]] = None,
        **kwargs: Any,
    ) -> None:
        """Stores the declaration.

        Args:
            name: The argument's name.
            default_value: Its value if none is given; None if one must be given.
            description: What it is for, in words.
            choices: The values it may have; None for any.
            **kwargs: As of :class:`launch.Action`.

        Raises:
            ValueError: ``choices`` is empty, or the default is not among them.
        """
        super().__init__(**kwargs)
        self.__name = name
        self.__logger_name = __name__
        self.__default_value = (
            None if default_value is None else normalize_to_list_of_substitutions(default_value)
        )
        self.__description = 'no description given' if description is None else description
        self.__choices = choices
        if choices is not None:
            if not choices:
                raise ValueError(
                    f"Choices argument for DeclareLaunchArgument '{name}' is an empty list"
                )
            self.__description += f'. Valid choices are: {choices}'
        # True if an action with a condition leads to this one; set by LaunchDescription.
        self._conditionally_included = False

    @property
    def name(self) -> str:
        """The name."""
        return self.__name

    @property
    def default_value(self) -> Optional[list[Substitution]]:
        """The default, or None."""
        return self.__default_value

    @property
    def description(self) -> str:
        """What it is for, in words."""
        return self.__description

    @property
    def choices(self) -> Optional[list[str]]:
        """The values it may have, or None."""
        return self.__choices

    def execute(self, context: LaunchContext) -> None:
        """Sets the configuration to the default if it is not set, and checks its value.

        Raises:
            RuntimeError: No value was given, or one that is not among the choices.
        """
        configurations = context.launch_configurations
        if self.name not in configurations:
            if self.default_value is None:
                raise RuntimeError(
                    f"Required launch argument '{self.name}' "
                    f"(description: '{self.description}') was not provided"
                )
            configurations[self.name] = perform_substitutions(context, self.default_value)
        value = configurations[self.name]
        if self.__choices is not None and value not in self.__choices:
            message = (
                f'Argument "{self.name}" provided value "{value}" is not valid. '
                f'Valid options are: {self.__choices}'
            )
            launch_logging.get_logger(self.__logger_name).error(message)
            raise RuntimeError(message)
