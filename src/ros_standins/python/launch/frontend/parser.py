# SPDX-License-Identifier: Apache-2.0
"""The reader of XML and YAML launch files, which this stand-in does not have."""

from __future__ import annotations

from typing import Any, NoReturn

from .._stand_in import refuse
from ..invalid_launch_file_error import InvalidLaunchFileError

InvalidFrontendLaunchFileError = InvalidLaunchFileError


class Parser:
    """Refuses: XML and YAML launch files need the real packages."""

    @classmethod
    def load(cls, file: Any) -> NoReturn:
        """Refused: it needs the real package."""
        raise refuse('launch', 'reading XML or YAML launch files')

    @classmethod
    def get_available_extensions(cls) -> list[str]:
        """Returns the extensions that can be read: none."""
        return []

    @classmethod
    def is_extension_valid(cls, extension: str) -> bool:
        """Tells whether an extension can be read: never."""
        return False

    def parse_substitution(self, value: str) -> Any:
        """Returns the substitutions in a text."""
        from .parse_substitution import parse_substitution

        return parse_substitution(value)
