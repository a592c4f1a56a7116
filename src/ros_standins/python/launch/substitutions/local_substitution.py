# SPDX-License-Identifier: Apache-2.0
"""Locals of the context."""

from __future__ import annotations

import ast
from typing import Any, Optional, TYPE_CHECKING

from ..substitution import Substitution
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class LocalSubstitution(Substitution):
    """What stands in the context's locals, such as 'event.reason' or "names['first']"."""

    def __init__(self, expression: str, description: Optional[str] = None) -> None:
        """Stores the expression.

        Args:
            expression: A local, then attributes and items of it.
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
            return f"LocalVar('{self.__description}')"
        return f"LocalVar('{self.__expression}')"

    def perform(self, context: LaunchContext) -> str:
        """Returns the value as text.

        Raises:
            SubstitutionFailure: A name or item is not there.
        """
        try:
            tree = ast.parse(self.__expression, mode='eval')
            return str(_value(tree.body, context.locals))
        except (AttributeError, LookupError, SyntaxError, TypeError) as error:
            raise SubstitutionFailure(
                f"LocalSubstitution '{self.__expression}' failed: {error}"
            ) from error


def _value(node: ast.AST, local_names: Any) -> Any:
    if isinstance(node, ast.Name) and not node.id.startswith('_'):
        return getattr(local_names, node.id)
    if isinstance(node, ast.Attribute) and not node.attr.startswith('_'):
        return getattr(_value(node.value, local_names), node.attr)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return _value(node.value, local_names)[node.slice.value]
    raise SyntaxError(f"'{ast.unparse(node)}' is not a local, an attribute or an item")
