# SPDX-License-Identifier: Apache-2.0
"""A clean slate of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..action import Action

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class ResetEnvironment(Action):
    """Goes back to the environment that the launch began with."""

    def execute(self, context: LaunchContext) -> None:
        """Goes back to it."""
        context._reset_environment()
