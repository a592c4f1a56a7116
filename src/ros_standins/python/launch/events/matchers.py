# SPDX-License-Identifier: Apache-2.0
"""Matchers for actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..action import Action


def matches_action(target_action: Action) -> Callable[[Action], bool]:
    """Returns a matcher for one action."""
    return lambda action: action is target_action
