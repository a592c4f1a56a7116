# SPDX-License-Identifier: Apache-2.0
"""Values of parameters that a launch set for all nodes."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
from typing import Any, Optional, TYPE_CHECKING

from launch.frontend import expose_substitution
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_substitution('param')
class Parameter(Substitution):
    """The value of a parameter that SetParameter or SetParametersFromFile set."""

    def __init__(
        self, name: SomeSubstitutionsType, *, default: Optional[SomeSubstitutionsType] = None
    ) -> None:
        """Stores name and default."""
        super().__init__()
        self.__name = normalize_to_list_of_substitutions(name)
        self.__default = None if default is None else normalize_to_list_of_substitutions(default)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[Parameter], dict[str, Any]]:
        """Reads ``$(param name [default])``."""
        if not 1 <= len(data) <= 2:
            raise TypeError('param substitution expects 1 or 2 arguments')
        kwargs: dict[str, Any] = {'name': data[0]}
        if len(data) == 2:
            kwargs['default'] = data[1]
        return cls, kwargs

    @property
    def name(self) -> list[Substitution]:
        """The parameter's name."""
        return self.__name

    @property
    def default(self) -> Optional[list[Substitution]]:
        """The default, or None."""
        return self.__default

    def describe(self) -> str:
        """Returns a description for people."""
        return f'Parameter(name={" + ".join(part.describe() for part in self.name)})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the value.

        Raises:
            SubstitutionFailure: The parameter is not set, and there is no default.
        """
        name = perform_substitutions(context, self.name)
        found: Any = None
        params: Any = context.launch_configurations.get('global_params') or ()
        for param in params:
            values = dict([param]) if isinstance(param, tuple) else _in_file(param)
            found = values.get(name, found)
        if found is not None:
            return str(found)
        if self.default is None:
            raise SubstitutionFailure(f"parameter '{name}' not found")
        return perform_substitutions(context, self.default)


def _in_file(path: str) -> dict[str, Any]:
    """Returns what a parameter file sets for all nodes."""
    import yaml

    content = yaml.safe_load(pathlib.Path(path).read_text()) or {}
    values = (content.get('/**') or {}).get('ros__parameters') or {}
    return dict(_flatten(values, ''))


def _flatten(values: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            flat += _flatten(value, f'{prefix}{name}.')
        else:
            flat.append((f'{prefix}{name}', value))
    return flat
