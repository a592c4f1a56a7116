# SPDX-License-Identifier: Apache-2.0
"""Matchers for processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...actions import ExecuteLocal


def matches_pid(pid: int) -> Callable[[ExecuteLocal], bool]:
    """Returns a matcher for the process with this number."""

    def matcher(action: ExecuteLocal) -> bool:
        details = action.process_details
        return details is not None and details.get('pid') == pid

    return matcher


def matches_name(name: str) -> Callable[[ExecuteLocal], bool]:
    """Returns a matcher for the process with this unique name."""

    def matcher(action: ExecuteLocal) -> bool:
        details = action.process_details
        return details is not None and details['name'] == name

    return matcher


def matches_executable(name: str) -> Callable[[ExecuteLocal], bool]:
    """Returns a matcher for processes whose executable has this name."""

    def matcher(action: ExecuteLocal) -> bool:
        details = action.process_details
        if details is None or not details['cmd']:
            return False
        return bool(str(details['cmd'][0]).endswith(name))

    return matcher
