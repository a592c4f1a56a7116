# SPDX-License-Identifier: Apache-2.0
"""One of two texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from ..utilities.type_utils import perform_typed_substitution
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('if')
class IfElseSubstitution(Substitution):
    """One text if a condition is true, another if it is false."""

    def __init__(
        self,
        condition: SomeSubstitutionsType,
        if_value: SomeSubstitutionsType = '',
        else_value: SomeSubstitutionsType = '',
    ) -> None:
        """Stores condition and texts.

        Raises:
            RuntimeError: Neither text was given.
        """
        super().__init__()
        if if_value == else_value == '':
            raise RuntimeError('IfElseSubstitution needs an if value or an else value')
        self._condition = normalize_to_list_of_substitutions(condition)
        self._if_value = normalize_to_list_of_substitutions(if_value)
        self._else_value = normalize_to_list_of_substitutions(else_value)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[IfElseSubstitution], dict[str, Any]]:
        """Reads ``$(if condition value [other value])``."""
        if not 2 <= len(data) <= 3:
            raise TypeError('if substitution expects 2 or 3 arguments')
        return cls, dict(zip(('condition', 'if_value', 'else_value'), data))

    @property
    def condition(self) -> list[Substitution]:
        """The condition."""
        return self._condition

    @property
    def if_value(self) -> list[Substitution]:
        """The text for true."""
        return self._if_value

    @property
    def else_value(self) -> list[Substitution]:
        """The text for false."""
        return self._else_value

    def describe(self) -> str:
        """Returns a description for people."""
        parts = (self._condition, self._if_value, self._else_value)
        shown = ', '.join(' + '.join(part.describe() for part in group) for group in parts)
        return f'IfElseSubstitution({shown})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the text.

        Raises:
            SubstitutionFailure: The condition is neither true nor false.
        """
        try:
            condition = perform_typed_substitution(context, self._condition, bool)
        except (TypeError, ValueError) as error:
            raise SubstitutionFailure(error) from error
        return perform_substitutions(context, self._if_value if condition else self._else_value)
