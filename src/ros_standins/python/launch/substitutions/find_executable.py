# SPDX-License-Identifier: Apache-2.0
"""Paths of executables."""

from __future__ import annotations

from collections.abc import Sequence
import shutil
from typing import Any, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('find-exec')
class FindExecutable(Substitution):
    """The path of an executable on PATH."""

    def __init__(self, *, name: SomeSubstitutionsType) -> None:
        """Stores the executable's name."""
        super().__init__()
        self.__name = normalize_to_list_of_substitutions(name)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[FindExecutable], dict[str, Any]]:
        """Reads ``$(find-exec name)``."""
        if len(data) != 1:
            raise AttributeError('find-exec substitution expects 1 argument')
        return cls, {'name': data[0]}

    @property
    def name(self) -> list[Substitution]:
        """The name."""
        return self.__name

    def describe(self) -> str:
        """Returns a description for people."""
        return f'FindExec({" + ".join(part.describe() for part in self.name)})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the path.

        Raises:
            SubstitutionFailure: There is no such executable on PATH.
        """
        name = perform_substitutions(context, self.name)
        path = shutil.which(name)
        if path is None:
            raise SubstitutionFailure(f"executable '{name}' not found on the PATH")
        return path
