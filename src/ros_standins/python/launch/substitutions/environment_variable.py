# SPDX-License-Identifier: Apache-2.0
"""Values of environment variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('env')
class EnvironmentVariable(Substitution):
    """The value of an environment variable of the context, or a default."""

    def __init__(
        self,
        name: SomeSubstitutionsType,
        *,
        default_value: Optional[SomeSubstitutionsType] = None,
    ) -> None:
        """Stores name and default.

        Args:
            name: Name of the variable.
            default_value: Used if the variable is not set; None for no default.
        """
        super().__init__()
        self.__name = normalize_to_list_of_substitutions(name)
        self.__default_value = (
            None if default_value is None else normalize_to_list_of_substitutions(default_value)
        )

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[EnvironmentVariable], dict[str, Any]]:
        """Reads ``$(env name [default])``."""
        if not 1 <= len(data) <= 2:
            raise TypeError('env substitution expects 1 or 2 arguments')
        kwargs: dict[str, Any] = {'name': data[0]}
        if len(data) == 2:
            kwargs['default_value'] = data[1]
        return cls, kwargs

    @property
    def name(self) -> list[Substitution]:
        """The name."""
        return self.__name

    @property
    def default_value(self) -> Optional[list[Substitution]]:
        """The default, or None."""
        return self.__default_value

    def describe(self) -> str:
        """Returns a description for people."""
        return f'EnvVar({" + ".join(part.describe() for part in self.name)})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the value.

        Raises:
            SubstitutionFailure: The variable is not set, and there is no default.
        """
        name = perform_substitutions(context, self.name)
        value = context.environment.get(name)
        if value is not None:
            return value
        if self.default_value is None:
            raise SubstitutionFailure(f"environment variable '{name}' does not exist")
        return perform_substitutions(context, self.default_value)
