# SPDX-License-Identifier: Apache-2.0
"""A clean slate of launch configurations."""

from __future__ import annotations

from typing import Any, Optional, TYPE_CHECKING

from ..action import Action
from ..some_substitutions_type import SomeSubstitutionsType
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class ResetLaunchConfigurations(Action):
    """Takes all launch configurations away but those given."""

    def __init__(
        self,
        launch_configurations: Optional[dict[SomeSubstitutionsType, SomeSubstitutionsType]] = None,
        **kwargs: Any,
    ) -> None:
        """Stores what shall be set afterwards; the values are read before the reset."""
        super().__init__(**kwargs)
        self.__launch_configurations = launch_configurations

    def execute(self, context: LaunchContext) -> None:
        """Resets."""
        kept = {
            perform_substitutions(
                context, normalize_to_list_of_substitutions(name)
            ): perform_substitutions(context, normalize_to_list_of_substitutions(value))
            for name, value in (self.__launch_configurations or {}).items()
        }
        context.launch_configurations.clear()
        context.launch_configurations.update(kept)
