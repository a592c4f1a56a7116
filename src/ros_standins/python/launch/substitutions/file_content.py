# SPDX-License-Identifier: Apache-2.0
"""The content of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('file-content')
class FileContent(Substitution):
    """The text in a file."""

    def __init__(self, path: SomeSubstitutionsType) -> None:
        """Stores the path."""
        super().__init__()
        self.__path = normalize_to_list_of_substitutions(path)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[FileContent], dict[str, Any]]:
        """Reads ``$(file-content path)``."""
        if len(data) != 1:
            raise TypeError('file-content substitution expects 1 argument')
        return cls, {'path': data[0]}

    @property
    def path(self) -> list[Substitution]:
        """The path."""
        return self.__path

    def describe(self) -> str:
        """Returns a description for people."""
        return f'FileContent({" + ".join(part.describe() for part in self.path)})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the text.

        Raises:
            SubstitutionFailure: The file cannot be read.
        """
        path = perform_substitutions(context, self.path)
        try:
            return Path(path).read_text()
        except OSError as error:
            raise SubstitutionFailure(f'Failed to open {path}: {error}') from error
