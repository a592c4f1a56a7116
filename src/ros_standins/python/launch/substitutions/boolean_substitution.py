# SPDX-License-Identifier: Apache-2.0
"""Truth values from truth values, written 'true' and 'false'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions
from ..utilities.type_utils import perform_typed_substitution
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


def _describe(values: Sequence[Sequence[Substitution]]) -> str:
    return ', '.join(' + '.join(part.describe() for part in value) for value in values)


def _truth(context: LaunchContext, value: list[Substitution]) -> bool:
    try:
        return bool(perform_typed_substitution(context, value, bool))
    except (TypeError, ValueError) as error:
        raise SubstitutionFailure(error) from error


def _text(value: bool) -> str:
    return 'true' if value else 'false'


@expose_substitution('not')
class NotSubstitution(Substitution):
    """The opposite of a truth value."""

    def __init__(self, value: SomeSubstitutionsType) -> None:
        """Stores the value."""
        super().__init__()
        self.__value = normalize_to_list_of_substitutions(value)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[NotSubstitution], dict[str, Any]]:
        """Reads ``$(not value)``."""
        if len(data) != 1:
            raise TypeError('not substitution expects 1 argument')
        return cls, {'value': data[0]}

    @property
    def value(self) -> list[Substitution]:
        """The value."""
        return self.__value

    def describe(self) -> str:
        """Returns a description for people."""
        return f'NotSubstitution({_describe([self.value])})'

    def perform(self, context: LaunchContext) -> str:
        """Returns 'true' or 'false'."""
        return _text(not _truth(context, self.value))


class _TwoSided(Substitution):
    """The base of what combines two truth values."""

    _word = ''

    def __init__(self, left: SomeSubstitutionsType, right: SomeSubstitutionsType) -> None:
        """Stores the values."""
        super().__init__()
        self.__left = normalize_to_list_of_substitutions(left)
        self.__right = normalize_to_list_of_substitutions(right)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[_TwoSided], dict[str, Any]]:
        """Reads the substitution with its two arguments."""
        if len(data) != 2:
            raise TypeError(f'{cls._word} substitution expects 2 arguments')
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
        return f'{type(self).__name__}({_describe([self.left, self.right])})'


@expose_substitution('and')
class AndSubstitution(_TwoSided):
    """True if both values are."""

    _word = 'and'

    def perform(self, context: LaunchContext) -> str:
        """Returns 'true' or 'false'."""
        left, right = _truth(context, self.left), _truth(context, self.right)
        return _text(left and right)


@expose_substitution('or')
class OrSubstitution(_TwoSided):
    """True if one of two values is."""

    _word = 'or'

    def perform(self, context: LaunchContext) -> str:
        """Returns 'true' or 'false'."""
        left, right = _truth(context, self.left), _truth(context, self.right)
        return _text(left or right)


class _ManySided(Substitution):
    """The base of what combines any number of truth values."""

    def __init__(self, *args: SomeSubstitutionsType) -> None:
        """Stores the values."""
        super().__init__()
        self.__args = [normalize_to_list_of_substitutions(arg) for arg in args]

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[_ManySided], dict[str, Any]]:
        """Reads the substitution with all of its arguments."""
        return cls, {'args': data}

    @property
    def args(self) -> list[list[Substitution]]:
        """The values."""
        return self.__args

    def describe(self) -> str:
        """Returns a description for people."""
        return f'{type(self).__name__}({_describe(self.args)})'


@expose_substitution('any')
class AnySubstitution(_ManySided):
    """True if any of the values is."""

    def perform(self, context: LaunchContext) -> str:
        """Returns 'true' or 'false'."""
        values = [_truth(context, arg) for arg in self.args]
        return _text(any(values))


@expose_substitution('all')
class AllSubstitution(_ManySided):
    """True if all of the values are."""

    def perform(self, context: LaunchContext) -> str:
        """Returns 'true' or 'false'."""
        values = [_truth(context, arg) for arg in self.args]
        return _text(all(values))
