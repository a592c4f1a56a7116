# SPDX-License-Identifier: Apache-2.0
"""Parameters for all nodes of a scope."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from launch.action import Action
from launch.frontend import expose_action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions

from ..utilities import evaluate_parameter_dict, normalize_parameter_dict

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('set_parameter')
class SetParameter(Action):
    """Sets a parameter of the nodes that follow, up to the end of the group."""

    def __init__(self, name: SomeSubstitutionsType, value: Any, **kwargs: Any) -> None:
        """Stores name and value."""
        super().__init__(**kwargs)
        normalized = normalize_to_list_of_substitutions(name)
        self.__param_dict = normalize_parameter_dict({tuple(normalized): value})

    @property
    def name(self) -> tuple[Substitution, ...]:
        """The name."""
        return next(iter(self.__param_dict))

    @property
    def value(self) -> Any:
        """The value."""
        return next(iter(self.__param_dict.values()))

    def execute(self, context: LaunchContext) -> None:
        """Sets it."""
        evaluated = evaluate_parameter_dict(context, self.__param_dict)
        add_global_params(context, list(evaluated.items()))


def add_global_params(context: LaunchContext, params: list[Any]) -> None:
    """Adds parameters (pairs) or files (paths) for all nodes of the scope."""
    configurations: Any = context.launch_configurations
    # A new list: that of an outer scope must not change.
    configurations['global_params'] = [*configurations.get('global_params', ()), *params]
