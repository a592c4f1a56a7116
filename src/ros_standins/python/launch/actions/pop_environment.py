# SPDX-License-Identifier: Apache-2.0
"""Scopes of the environment, their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..action import Action

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class PopEnvironment(Action):
    """Goes back to the environment of the latest PushEnvironment."""

    def execute(self, context: LaunchContext) -> None:
        """Goes back to it."""
        context._pop_environment()
