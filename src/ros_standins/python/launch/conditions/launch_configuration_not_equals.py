# SPDX-License-Identifier: Apache-2.0
"""A condition on the value that one launch configuration must not have."""

from __future__ import annotations

from typing import Optional, TYPE_CHECKING
import warnings

from ..some_substitutions_type import SomeSubstitutionsType
from .launch_configuration_equals import LaunchConfigurationEquals

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """Holds if a launch configuration has another value, or is set and None is expected."""

    def __init__(
        self,
        launch_configuration_name: str,
        expected_value: Optional[SomeSubstitutionsType],
    ) -> None:
        """Stores the name and the value."""
        warnings.warn(
            'LaunchConfigurationNotEquals is deprecated: use '
            'IfCondition(NotEqualsSubstitution(...)) instead',
            UserWarning,
            stacklevel=2,
        )
        super().__init__(launch_configuration_name, expected_value)

    def _predicate_func(self, context: LaunchContext) -> bool:
        return not super()._predicate_func(context)
