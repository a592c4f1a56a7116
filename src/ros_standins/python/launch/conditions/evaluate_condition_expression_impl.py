# SPDX-License-Identifier: Apache-2.0
"""Truth values of texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..substitution import Substitution
from ..utilities import perform_substitutions
from .invalid_condition_expression_error import InvalidConditionExpressionError

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

VALID_TRUE_EXPRESSIONS: list[str] = ['true', '1']
VALID_FALSE_EXPRESSIONS: list[str] = ['false', '0']


def evaluate_condition_expression(
    context: LaunchContext, expression: Iterable[Substitution]
) -> bool:
    """Returns the truth value of an expression: true, false, 1 or 0 in any case.

    Raises:
        InvalidConditionExpressionError: The text is none of these.
    """
    expanded = perform_substitutions(context, expression).strip().lower()
    if expanded in VALID_TRUE_EXPRESSIONS:
        return True
    if expanded in VALID_FALSE_EXPRESSIONS:
        return False
    valid = VALID_TRUE_EXPRESSIONS + VALID_FALSE_EXPRESSIONS
    raise InvalidConditionExpressionError(
        f"invalid condition expression: expected one of {valid}, got '{expanded}'"
    )
