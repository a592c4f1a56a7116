# SPDX-License-Identifier: Apache-2.0
"""Additions to environment variables."""

from __future__ import annotations

import os
from typing import Any, TYPE_CHECKING, Union

from ..action import Action
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from ..utilities.type_utils import normalize_typed_substitution, perform_typed_substitution

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class AppendEnvironmentVariable(Action):
    """Adds to an environment variable, or sets it if it is not set."""

    def __init__(
        self,
        name: SomeSubstitutionsType,
        value: SomeSubstitutionsType,
        prepend: Union[bool, SomeSubstitutionsType] = False,
        separator: SomeSubstitutionsType = os.pathsep,
        **kwargs: Any,
    ) -> None:
        """Stores the addition.

        Args:
            name: Name of the variable.
            value: What is added.
            prepend: Adds at the beginning rather than the end.
            separator: What stands between old and new.
            **kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**kwargs)
        self.__name = normalize_to_list_of_substitutions(name)
        self.__value = normalize_to_list_of_substitutions(value)
        self.__prepend = normalize_typed_substitution(prepend, bool)
        self.__separator = normalize_to_list_of_substitutions(separator)

    @property
    def name(self) -> list[Substitution]:
        """The variable's name."""
        return self.__name

    @property
    def value(self) -> list[Substitution]:
        """What is added."""
        return self.__value

    @property
    def prepend(self) -> Union[bool, list[Substitution]]:
        """Whether it is added at the beginning."""
        return self.__prepend  # type: ignore[return-value]

    @property
    def separator(self) -> list[Substitution]:
        """What stands between old and new."""
        return self.__separator

    def execute(self, context: LaunchContext) -> None:
        """Adds it."""
        name = perform_substitutions(context, self.name)
        parts = [perform_substitutions(context, self.value)]
        if name in context.environment:
            prepend = perform_typed_substitution(context, self.__prepend, bool)
            parts.insert(1 if prepend else 0, context.environment[name])
        separator = perform_substitutions(context, self.separator)
        context.environment[name] = separator.join(parts)
