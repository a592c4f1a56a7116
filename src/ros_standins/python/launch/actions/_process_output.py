# SPDX-License-Identifier: Apache-2.0
"""Lines from the chunks that processes write."""

from __future__ import annotations

import codecs
from collections.abc import Callable
import io
import logging


class ProcessOutput:
    """Cuts one stream into lines, logs each of them and keeps the whole if asked to."""

    def __init__(self, cached: bool, format_line: Callable[[str], str]) -> None:
        self._cache = io.StringIO() if cached else None
        self._format_line = format_line
        self._decoder = codecs.getincrementaldecoder('utf-8')(errors='replace')
        self._rest = ''

    def feed(self, data: bytes, logger: logging.Logger) -> None:
        text = self._decoder.decode(data)
        if self._cache is not None:
            self._cache.write(text)
        *lines, self._rest = (self._rest + text).split('\n')
        for line in lines:
            self._log(line, logger)

    def flush(self, logger: logging.Logger) -> None:
        """Logs what is left; the next process begins a new line."""
        self._rest += self._decoder.decode(b'', final=True)
        self._decoder.reset()
        if self._rest:
            self._log(self._rest, logger)
        self._rest = ''

    def _log(self, line: str, logger: logging.Logger) -> None:
        # A terminal ends lines with a carriage return as well.
        logger.info('%s', self._format_line(line.removesuffix('\r')))

    def text(self) -> str:
        assert self._cache is not None
        return self._cache.getvalue()
