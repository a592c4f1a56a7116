# SPDX-License-Identifier: Apache-2.0
"""Loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Optional, TYPE_CHECKING

from ..action import Action
from ..launch_description_entity import LaunchDescriptionEntity
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

_SEPARATOR = ';'


class ForEach(Action):
    """Calls a function for each of several sets of values and visits what it returns."""

    SEPARATOR = _SEPARATOR

    def __init__(
        self,
        input_values: SomeSubstitutionsType,
        *,
        function: Callable[..., Optional[list[LaunchDescriptionEntity]]],
        **kwargs: Any,
    ) -> None:
        """Stores values and function.

        Args:
            input_values: yaml mappings, separated by semicolons.
            function: Called with the values of each mapping by name.
            **kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**kwargs)
        self._input_values = normalize_to_list_of_substitutions(input_values)
        self._function = function

    @property
    def input_values(self) -> list[Substitution]:
        """The values."""
        return self._input_values

    @property
    def function(self) -> Callable[..., Optional[list[LaunchDescriptionEntity]]]:
        """The function."""
        return self._function

    def describe(self) -> str:
        """Returns a description for people."""
        shown = ' + '.join(part.describe() for part in self._input_values)
        return f'{type(self).__name__}({shown})'

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Returns what the calls return, in order."""
        entities: list[LaunchDescriptionEntity] = []
        for values in _mappings(perform_substitutions(context, self._input_values)):
            entities.extend(self._function(**values) or [])
        return entities


def _mappings(text: str) -> Iterator[dict[str, Any]]:
    import yaml  # Late: most launches never need it.

    for part in text.split(_SEPARATOR):
        if part.strip():
            yield yaml.safe_load(part)


class ForLoop(Action):
    """Calls a function with each index below a length and visits what it returns."""

    def __init__(
        self,
        length: SomeSubstitutionsType,
        *,
        function: Callable[[int], Optional[list[LaunchDescriptionEntity]]],
        name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        """Stores length and function.

        Args:
            length: The number of calls.
            function: Called with the index.
            name: Name of the index in XML and YAML.
            **kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**kwargs)
        self._length = normalize_to_list_of_substitutions(length)
        self._function = function
        self._name = name

    @property
    def length(self) -> list[Substitution]:
        """The number of calls."""
        return self._length

    @property
    def function(self) -> Callable[[int], Optional[list[LaunchDescriptionEntity]]]:
        """The function."""
        return self._function

    @property
    def name(self) -> Optional[str]:
        """Name of the index."""
        return self._name

    def describe(self) -> str:
        """Returns a description for people."""
        shown = ' + '.join(part.describe() for part in self._length)
        return f'{type(self).__name__}(name={self._name!r}, length={shown})'

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Returns a ForEach over the indices.

        Raises:
            ValueError: The length is no whole number.
        """
        length = int(perform_substitutions(context, self._length))
        values = _SEPARATOR.join(f'{{i: {i}}}' for i in range(length))
        return [ForEach(values, function=self._call)]

    def _call(self, i: int) -> Optional[list[LaunchDescriptionEntity]]:
        return self._function(i)
