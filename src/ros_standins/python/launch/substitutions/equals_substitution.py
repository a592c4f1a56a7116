# SPDX-License-Identifier: Apache-2.0
"""Whether two values are equal."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import (
    Any,
    cast,
    Optional,
    TYPE_CHECKING,
    Union,
)

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

_Side = Optional[Union[Any, SomeSubstitutionsType]]


def _normalize(value: _Side) -> list[Substitution]:
    if value is None:
        value = ''
    elif isinstance(value, (bool, int, float)):
        value = str(value)
    return normalize_to_list_of_substitutions(cast(SomeSubstitutionsType, value))


def _number(text: str) -> Optional[float]:
    lowered = text.lower()
    if lowered in ('true', 'false'):
        return float(lowered == 'true')
    try:
        return float(text)
    except ValueError:
        return None


@expose_substitution('equals')
class EqualsSubstitution(Substitution):
    """True if two values are equal, numbers and truth values by value, else by text."""

    def __init__(self, left: _Side, right: _Side) -> None:
        """Stores the values; None is an empty text."""
        super().__init__()
        self.__left = _normalize(left)
        self.__right = _normalize(right)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[EqualsSubstitution], dict[str, Any]]:
        """Reads ``$(equals left right)``."""
        if len(data) != 2:
            raise TypeError('equals substitution expects 2 arguments')
        return cls, {'left': data[0], 'right': data[1]}

    @property
    def left(self) -> list[Substitution]:
        """The left value."""
        return self.__left

    @property
    def right(self) -> list[Substitution]:
        """The right value."""
        return self.__right

    def describe(self) -> str:
        """Returns a description for people."""
        left = ' + '.join(part.describe() for part in self.left)
        right = ' + '.join(part.describe() for part in self.right)
        return f'{type(self).__name__}({left} {right})'

    def _equal(self, context: LaunchContext) -> bool:
        left = perform_substitutions(context, self.left)
        right = perform_substitutions(context, self.right)
        numbers = _number(left), _number(right)
        if numbers[0] is not None and numbers[1] is not None:
            return math.isclose(numbers[0], numbers[1])
        return left == right

    def perform(self, context: LaunchContext) -> str:
        """Returns 'true' or 'false'."""
        return 'true' if self._equal(context) else 'false'
