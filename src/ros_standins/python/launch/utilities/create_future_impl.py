# SPDX-License-Identifier: Apache-2.0
"""Futures for a loop that may not exist yet."""

from __future__ import annotations

import asyncio
from typing import Optional


def create_future(loop: Optional[asyncio.AbstractEventLoop]) -> asyncio.Future:
    """Returns a new future of ``loop``, or of the current loop if it is None."""
    if loop is None:
        loop = asyncio.get_event_loop()
    return loop.create_future()
