# SPDX-License-Identifier: Apache-2.0
"""Values of loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('for-var')
class ForEachVar(Substitution):
    """A value of the current iteration of a ForEach."""

    def __init__(
        self,
        name: SomeSubstitutionsType,
        *,
        default_value: Optional[SomeSubstitutionsType] = None,
    ) -> None:
        """Stores the value's name and its default."""
        super().__init__()
        self._name = normalize_to_list_of_substitutions(name)
        self._default_value = (
            None if default_value is None else normalize_to_list_of_substitutions(default_value)
        )

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[ForEachVar], dict[str, Any]]:
        """Reads ``$(for-var name [default])``."""
        if not 1 <= len(data) <= 2:
            raise ValueError(f'{cls.__name__} substitution expects 1 or 2 arguments')
        kwargs: dict[str, Any] = {'name': data[0]}
        if len(data) == 2:
            kwargs['default_value'] = data[1]
        return cls, kwargs

    @property
    def name(self) -> list[Substitution]:
        """The value's name."""
        return self._name

    @property
    def default_value(self) -> Optional[list[Substitution]]:
        """The default, or None."""
        return self._default_value

    @classmethod
    def get_local_arg_name(cls, arg: str) -> str:
        """Returns the name of the local that holds a value."""
        return f'{cls.__name__}__{arg}'

    def describe(self) -> str:
        """Returns a description for people."""
        name = ' + '.join(part.describe() for part in self.name)
        return f'{type(self).__name__}(name={name})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the value.

        Raises:
            RuntimeError: There is neither a value nor a default.
        """
        name = perform_substitutions(context, self.name)
        local = self.get_local_arg_name(name)
        values = context.get_locals_as_dict()
        if local in values:
            return str(values[local])
        if self.default_value is not None:
            return perform_substitutions(context, self.default_value)
        raise RuntimeError(f"No value or default value for ForEach variable '{name}'")


@expose_substitution('index')
class ForLoopIndex(ForEachVar):
    """The index of the current iteration of a ForLoop."""

    @classmethod
    def get_local_arg_name(cls, arg: str) -> str:
        """Returns the name of the local that holds an index."""
        return ForEachVar.get_local_arg_name(arg)
