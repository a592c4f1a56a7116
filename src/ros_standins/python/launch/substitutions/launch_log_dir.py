# SPDX-License-Identifier: Apache-2.0
"""The folder of the log files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TYPE_CHECKING

from .. import logging as launch_logging
from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from .path_join_substitution import PathSubstitution

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('launch_log_dir')
@expose_substitution('log_dir')
class LaunchLogDir(PathSubstitution):
    """The folder of this launch's log files."""

    def __init__(self) -> None:
        """Takes nothing."""
        super().__init__([])

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[LaunchLogDir], dict[str, Any]]:
        """Reads ``$(launch_log_dir)``."""
        if data:
            raise TypeError('launch_log_dir/log_dir substitution expects no arguments')
        return cls, {}

    def describe(self) -> str:
        """Returns a description for people."""
        return 'LaunchLogDir()'

    def perform(self, context: LaunchContext) -> str:
        """Returns the path."""
        return launch_logging.launch_config.log_dir
