# SPDX-License-Identifier: Apache-2.0
"""The error for files that hold no launch description."""

from __future__ import annotations

import traceback


class InvalidLaunchFileError(Exception):
    """A launch file could not be read in any known format."""

    def __init__(self, extension: str = '', *, likely_errors: list[Exception] = ()) -> None:
        """Builds the message from what was tried.

        Args:
            extension: The file's extension.
            likely_errors: What went wrong with the formats that fit the extension.
        """
        self._extension = extension
        self._likely_errors = list(likely_errors)
        if not self._likely_errors:
            self._error_message = (
                'The launch file may have a syntax error, or its format is unknown'
            )
        else:
            shown = '\n - '.join(_format(error) for error in self._likely_errors)
            many = 'multiple exceptions' if len(self._likely_errors) > 1 else 'exception'
            self._error_message = (
                f'Caught {many} when trying to load file of format [{extension}]: {shown}'
            )
            self.__cause__ = self._likely_errors[0]
        super().__init__(self._error_message)

    def __str__(self) -> str:
        """Returns the message."""
        return self._error_message


def _format(error: Exception) -> str:
    return ''.join(traceback.format_exception_only(type(error), error)).strip()
