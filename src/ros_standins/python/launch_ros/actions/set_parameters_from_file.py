# SPDX-License-Identifier: Apache-2.0
"""Parameter files for all nodes of a scope."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from launch.action import Action
from launch.frontend import expose_action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from .set_parameter import add_global_params

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('set_parameters_from_file')
class SetParametersFromFile(Action):
    """Gives a parameter file to the nodes that follow, up to the end of the group."""

    def __init__(self, filename: SomeSubstitutionsType, **kwargs: Any) -> None:
        """Stores the path."""
        super().__init__(**kwargs)
        self._input_file = normalize_to_list_of_substitutions(filename)

    def execute(self, context: LaunchContext) -> None:
        """Adds the file."""
        add_global_params(context, [perform_substitutions(context, self._input_file)])
