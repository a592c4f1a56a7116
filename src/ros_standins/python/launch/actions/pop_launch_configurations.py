# SPDX-License-Identifier: Apache-2.0
"""Scopes of launch configurations, their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..action import Action

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class PopLaunchConfigurations(Action):
    """Goes back to the launch configurations of the latest PushLaunchConfigurations."""

    def execute(self, context: LaunchContext) -> None:
        """Goes back to them."""
        context._pop_launch_configurations()
