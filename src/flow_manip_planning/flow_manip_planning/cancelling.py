# SPDX-License-Identifier: Apache-2.0
"""Stopping when the caller asks to."""

from __future__ import annotations

from collections.abc import Callable

from flow_manip_core.errors import CancelledError

Cancelled = Callable[[], bool]


def never_cancelled() -> bool:
    """Say that nobody asked to stop."""
    return False


def stop_if(cancelled: Cancelled) -> None:
    """Raise CancelledError if the caller asked to stop."""
    if cancelled():
        raise CancelledError('planning was cancelled')
