# SPDX-License-Identifier: Apache-2.0
"""A condition that holds if a text is false."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..condition import Condition
from ..some_substitutions_type import SomeSubstitutionsType
from ..utilities import normalize_to_list_of_substitutions
from .evaluate_condition_expression_impl import evaluate_condition_expression

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class UnlessCondition(Condition):
    """Holds if the expression is 'false' or '0', does not if it is 'true' or '1'."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        """Stores the expression."""
        self.__predicate_expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(predicate=self._predicate_func)

    def _predicate_func(self, context: LaunchContext) -> bool:
        return not evaluate_condition_expression(context, self.__predicate_expression)

    def describe(self) -> str:
        """Returns a description for people."""
        return self.__repr__()
