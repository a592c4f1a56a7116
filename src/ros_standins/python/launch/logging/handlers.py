# SPDX-License-Identifier: Apache-2.0
"""Handlers whose format may differ from logger to logger."""

from __future__ import annotations

import logging
import sys
from typing import Any, Optional, TextIO

__all__ = ['FileHandler', 'Handler', 'ScreenHandler', 'StreamHandler', 'set_formatter_for']


class _PerLoggerFormatting:
    """Formats a record as its logger asks for, else as the handler does by default."""

    _formatters: Optional[dict[str, Optional[logging.Formatter]]] = None

    def setFormatterFor(
        self, logger: logging.Logger, formatter: Optional[logging.Formatter]
    ) -> None:
        """Sets the format of one logger's records."""
        if self._formatters is None:
            self._formatters = {}
        self._formatters[logger.name] = formatter

    def getFormatterFor(self, logger: logging.Logger) -> Optional[logging.Formatter]:
        """Returns the format of one logger's records."""
        default: Optional[logging.Formatter] = self.formatter  # type: ignore[attr-defined]
        return (self._formatters or {}).get(logger.name, default)

    def unsetFormatterFor(self, logger: logging.Logger) -> None:
        """Takes the format of one logger's records away."""
        (self._formatters or {}).pop(logger.name, None)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as text."""
        formatter = (self._formatters or {}).get(record.name)
        if formatter is not None:
            return formatter.format(record)
        return super().format(record)  # type: ignore[misc, no-any-return]


class Handler(_PerLoggerFormatting, logging.Handler):
    """A handler with a format per logger."""


class StreamHandler(_PerLoggerFormatting, logging.StreamHandler):
    """A stream handler with a format per logger."""


class FileHandler(_PerLoggerFormatting, logging.FileHandler):
    """A file handler with a format per logger, whose file is made by the first record."""

    def __init__(self, filename: Any, *args: Any, **kwargs: Any) -> None:
        """Stores the path."""
        kwargs.setdefault('delay', True)
        super().__init__(filename, *args, **kwargs)


class ScreenHandler(StreamHandler):
    """Writes to whatever is standard output at the time of the record."""

    def __init__(self) -> None:
        """Takes no stream."""
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard output."""
        return sys.stdout

    def setStream(self, stream: TextIO) -> None:  # type: ignore[override]
        """Refuses: this handler follows standard output."""
        raise ValueError('the screen handler follows sys.stdout')


def set_formatter_for(
    handler: logging.Handler, logger: logging.Logger, formatter: Optional[logging.Formatter]
) -> None:
    """Sets the format of one logger's records if the handler can have one per logger."""
    if isinstance(handler, _PerLoggerFormatting):
        handler.setFormatterFor(logger, formatter)
