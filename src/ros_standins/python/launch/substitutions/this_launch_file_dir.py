# SPDX-License-Identifier: Apache-2.0
"""The folder of the launch file itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from .path_join_substitution import PathSubstitution
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('dirname')
class ThisLaunchFileDir(PathSubstitution):
    """The folder of the launch file that is being read."""

    def __init__(self) -> None:
        """Takes nothing."""
        super().__init__([])

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[ThisLaunchFileDir], dict[str, Any]]:
        """Reads ``$(dirname)``."""
        if data:
            raise TypeError('dirname substitution expects no arguments')
        return cls, {}

    def describe(self) -> str:
        """Returns a description for people."""
        return 'ThisLaunchFileDir()'

    def perform(self, context: LaunchContext) -> str:
        """Returns the path.

        Raises:
            SubstitutionFailure: No launch file is being read.
        """
        directory = context.get_locals_as_dict().get('current_launch_file_directory')
        if directory is None:
            raise SubstitutionFailure(
                'ThisLaunchFileDir used outside of a launch file (in a script)'
            )
        return str(directory)
