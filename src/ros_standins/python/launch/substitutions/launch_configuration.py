# SPDX-License-Identifier: Apache-2.0
"""Values of launch configurations."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable, Sequence
from typing import (
    Any,
    Optional,
    TYPE_CHECKING,
    Union,
)

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('var')
class LaunchConfiguration(Substitution):
    """The value of a launch configuration, or a default."""

    def __init__(
        self,
        variable_name: SomeSubstitutionsType,
        *,
        default: Optional[Union[Any, Iterable[Any]]] = None,
    ) -> None:
        """Stores name and default.

        Args:
            variable_name: Name of the configuration.
            default: Text, substitutions or anything that becomes a text; None for none.
        """
        super().__init__()
        self.__variable_name = normalize_to_list_of_substitutions(variable_name)
        self.__default: Optional[list[Substitution]] = None
        if default is not None:
            self.__default = normalize_to_list_of_substitutions(_texts(default))

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[LaunchConfiguration], dict[str, Any]]:
        """Reads ``$(var name [default])``."""
        if not 1 <= len(data) <= 2:
            raise TypeError('var substitution expects 1 or 2 arguments')
        kwargs: dict[str, Any] = {'variable_name': data[0]}
        if len(data) == 2:
            kwargs['default'] = data[1]
        return cls, kwargs

    @property
    def variable_name(self) -> list[Substitution]:
        """The name."""
        return self.__variable_name

    def describe(self) -> str:
        """Returns a description for people."""
        return f'LaunchConfig({" + ".join(part.describe() for part in self.variable_name)})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the value.

        Raises:
            SubstitutionFailure: It is not set, and there is no default.
        """
        name = perform_substitutions(context, self.variable_name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self.__default is None:
            raise SubstitutionFailure(f"launch configuration '{name}' does not exist")
        return perform_substitutions(context, self.__default)


def _texts(default: Any) -> list[Union[str, Substitution]]:
    items = [default]
    if isinstance(default, collections.abc.Iterable) and not isinstance(default, str):
        items = list(default)
    return [item if isinstance(item, (str, Substitution)) else str(item) for item in items]
