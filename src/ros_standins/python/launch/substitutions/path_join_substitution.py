# SPDX-License-Identifier: Apache-2.0
"""Paths from parts."""

from __future__ import annotations

from collections.abc import Iterable
import os
from typing import TYPE_CHECKING

from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class PathJoinSubstitution(Substitution):
    """Joins path components; a component may itself be a list of texts and substitutions."""

    def __init__(self, substitutions: Iterable[SomeSubstitutionsType]) -> None:
        """Stores the components."""
        super().__init__()
        self.__components = [normalize_to_list_of_substitutions(part) for part in substitutions]

    @property
    def substitutions(self) -> list[list[Substitution]]:
        """The components."""
        return self.__components

    def describe(self) -> str:
        """Returns a description for people."""
        parts = [' + '.join(s.describe() for s in part) for part in self.__components]
        return f'PathJoin({", ".join(parts)})'

    def __truediv__(self, additional_path: SomeSubstitutionsType) -> PathJoinSubstitution:
        """Returns this path with a further component."""
        return PathJoinSubstitution([self, additional_path])

    def perform(self, context: LaunchContext) -> str:
        """Returns the path."""
        parts = [perform_substitutions(context, part) for part in self.__components]
        return os.path.join(*parts)  # noqa: PTH118


class PathSubstitution(PathJoinSubstitution):
    """One path, to which ``/`` adds components."""

    def __init__(self, path: SomeSubstitutionsType) -> None:
        """Stores the path."""
        super().__init__([path])
