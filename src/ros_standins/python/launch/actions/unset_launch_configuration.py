# SPDX-License-Identifier: Apache-2.0
"""Removal of launch configurations."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from ..action import Action
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class UnsetLaunchConfiguration(Action):
    """Takes a launch configuration away, if it is set."""

    def __init__(self, name: SomeSubstitutionsType, **kwargs: Any) -> None:
        """Stores the name."""
        super().__init__(**kwargs)
        self.__name = normalize_to_list_of_substitutions(name)

    @property
    def name(self) -> list[Substitution]:
        """The name."""
        return self.__name

    def execute(self, context: LaunchContext) -> None:
        """Takes it away."""
        context.launch_configurations.pop(perform_substitutions(context, self.name), None)
