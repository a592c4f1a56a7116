# SPDX-License-Identifier: Apache-2.0
"""Scopes of launch configurations, their beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..action import Action

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class PushLaunchConfigurations(Action):
    """Remembers the launch configurations, to come back to by PopLaunchConfigurations."""

    def execute(self, context: LaunchContext) -> None:
        """Remembers them."""
        context._push_launch_configurations()
