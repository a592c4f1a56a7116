# SPDX-License-Identifier: Apache-2.0
"""Locals of the context."""

from __future__ import annotations

from typing import Any, Optional, TYPE_CHECKING

from ..substitution import Substitution
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class LocalSubstitution(Substitution):
    """An attribute of the context's locals, such as 'event.reason'."""

    def __init__(self, expression: str, description: Optional[str] = None) -> None:
        """Stores the expression.

        Args:
            expression: Names joined by dots, the first one a local.
            description: What it is, in words.
        """
        super().__init__()
        self.__expression = expression
        self.__description = description

    @property
    def expression(self) -> str:
        """The expression."""
        return self.__expression

    def describe(self) -> str:
        """Returns a description for people."""
        if self.__description is not None:
            return f'LocalVar({self.__description!r})'
        return f"LocalVar('{self.__expression}')"

    def perform(self, context: LaunchContext) -> str:
        """Returns the attribute as text.

        Raises:
            SubstitutionFailure: A name is not there.
        """
        value: Any = context.locals
        for name in self.__expression.split('.'):
            if not name.isidentifier() or name.startswith('_'):
                raise SubstitutionFailure(f"'{self.__expression}' is not names joined by dots")
            try:
                value = getattr(value, name)
            except AttributeError as error:
                raise SubstitutionFailure(
                    f"LocalSubstitution '{self.__expression}': {error}"
                ) from error
        return str(value)
