# SPDX-License-Identifier: Apache-2.0
"""Scopes of the environment, their beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..action import Action

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class PushEnvironment(Action):
    """Remembers the environment, to come back to by PopEnvironment."""

    def execute(self, context: LaunchContext) -> None:
        """Remembers it."""
        context._push_environment()
