# SPDX-License-Identifier: Apache-2.0
"""A condition on the value of one launch configuration."""

from __future__ import annotations

from typing import Optional, TYPE_CHECKING
import warnings

from ..condition import Condition
from ..some_substitutions_type import SomeSubstitutionsType
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class LaunchConfigurationEquals(Condition):
    """Holds if a launch configuration has a value, or is not set and None is expected."""

    def __init__(
        self,
        launch_configuration_name: str,
        expected_value: Optional[SomeSubstitutionsType],
    ) -> None:
        """Stores the name and the expected value.

        Args:
            launch_configuration_name: The configuration.
            expected_value: Its value, or None if it shall not be set.
        """
        if type(self) is LaunchConfigurationEquals:
            warnings.warn(
                'LaunchConfigurationEquals is deprecated: use '
                'IfCondition(EqualsSubstitution(...)) instead',
                UserWarning,
                stacklevel=2,
            )
        self.__launch_configuration_name = launch_configuration_name
        self.__expected_value = (
            normalize_to_list_of_substitutions(expected_value)
            if expected_value is not None
            else None
        )
        super().__init__(predicate=self._predicate_func)

    def _predicate_func(self, context: LaunchContext) -> bool:
        value = context.launch_configurations.get(self.__launch_configuration_name)
        if self.__expected_value is None or value is None:
            return self.__expected_value is None and value is None
        return value == perform_substitutions(context, self.__expected_value)

    def describe(self) -> str:
        """Returns a description for people."""
        return self.__repr__()
