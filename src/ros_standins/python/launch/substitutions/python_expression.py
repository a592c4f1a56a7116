# SPDX-License-Identifier: Apache-2.0
"""Values of expressions."""

from __future__ import annotations

from collections.abc import Sequence
import importlib
from typing import Any, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('eval')
class PythonExpression(Substitution):
    """The value of a Python expression as text.

    The real package evaluates any expression. This one reads the documented uses (literals,
    arithmetic, comparisons, truth, conditions, indexing, comprehensions, calls of a few
    built-ins, of the named modules' functions and of the plain methods of text and
    containers) and refuses the others by name: the text may hold what the command line gave.
    """

    def __init__(
        self,
        expression: SomeSubstitutionsType,
        python_modules: SomeSubstitutionsType = ('math',),
    ) -> None:
        """Stores the expression.

        Args:
            expression: The expression's text.
            python_modules: Modules whose names it may use.
        """
        super().__init__()
        self.__expression = normalize_to_list_of_substitutions(expression)
        self.__python_modules = normalize_to_list_of_substitutions(python_modules)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[PythonExpression], dict[str, Any]]:
        """Reads ``$(eval expression ['module, module'])``."""
        if not 1 <= len(data) <= 2:
            raise TypeError('eval substitution expects 1 or 2 arguments')
        kwargs: dict[str, Any] = {'expression': data[0]}
        if len(data) == 2:
            # Module names are plain text, separated by commas.
            names = ''.join(
                part.perform(None)  # type: ignore[arg-type]
                for part in normalize_to_list_of_substitutions(data[1])
            )
            kwargs['python_modules'] = [name.strip() for name in names.split(',')]
        return cls, kwargs

    @property
    def expression(self) -> list[Substitution]:
        """The expression's text."""
        return self.__expression

    @property
    def python_modules(self) -> list[Substitution]:
        """The modules whose names it may use."""
        return self.__python_modules

    def describe(self) -> str:
        """Returns a description for people."""
        expression = ' + '.join(part.describe() for part in self.expression)
        modules = ', '.join(part.describe() for part in self.python_modules)
        return f'PythonExpr({expression}, [{modules}])'

    def perform(self, context: LaunchContext) -> str:
        """Returns the value as text.

        Raises:
            NameError: A name is not known.
            SyntaxError: The text is no expression.
            NotImplementedError: The expression does what only the real package allows.
        """
        from .._expressions import evaluate

        names: dict[str, Any] = {}
        for part in self.python_modules:
            module_name = perform_substitutions(context, [part])
            if not module_name:
                continue
            module = importlib.import_module(module_name)
            names.update((name, value) for name, value in vars(module).items() if name[0] != '_')
            names[module_name.partition('.')[0]] = importlib.import_module(
                module_name.partition('.')[0]
            )
        return str(evaluate(perform_substitutions(context, self.expression), names))
