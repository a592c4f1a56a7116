# SPDX-License-Identifier: Apache-2.0
"""The base of all that may stand in a launch description."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Optional, TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class LaunchDescriptionEntity:
    """Something that a launch service can visit."""

    def visit(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Does the entity's work; returns entities to be visited next, or None."""
        return None

    def describe(self) -> str:
        """Returns a description for people, which needs no context."""
        return self.__repr__()

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Returns the entities that a visit always yields."""
        return []

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Returns the entities that a visit may yield, each group with its condition in words."""
        return []

    def get_asyncio_future(self) -> Optional[asyncio.Future]:
        """Returns a future that is done when the entity is, or None if a visit is all."""
        return None
