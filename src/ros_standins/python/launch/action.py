# SPDX-License-Identifier: Apache-2.0
"""The base of all actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast, Optional, TYPE_CHECKING

from ._stand_in import refuse
from .condition import Condition
from .launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Action(LaunchDescriptionEntity):
    """Something to be done at launch time, perhaps on a condition."""

    def __init__(self, *, condition: Optional[Condition] = None) -> None:
        """Stores the condition.

        Args:
            condition: The action runs if it is None or evaluates to True.
        """
        self.__condition = condition

    @staticmethod
    def parse(entity: Any, parser: Any) -> tuple[type[Action], dict[str, Any]]:
        """Refused: reading actions from XML and YAML needs the real package."""
        raise refuse('launch', 'reading actions from XML or YAML launch files')

    @property
    def condition(self) -> Optional[Condition]:
        """The condition, or None."""
        return self.__condition

    def describe(self) -> str:
        """Returns a description for people."""
        return self.__repr__()

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Returns what the action may yield; subclasses override it."""
        return []

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Returns the sub-entities of an unconditional action."""
        return self.get_sub_entities() if self.condition is None else []

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Returns the sub-entities of a conditional action."""
        if self.condition is None:
            return []
        return [(f'Conditionally included by {self.describe()}', self.get_sub_entities())]

    def visit(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Executes the action if its condition holds, and tells that it is done."""
        if self.__condition is not None and not self.__condition.evaluate(context):
            return None
        try:
            return cast(Optional[list[LaunchDescriptionEntity]], self.execute(context))
        finally:
            self._announce_completion(context)

    def _announce_completion(self, context: LaunchContext) -> None:
        from .events import ExecutionComplete

        would_handle = getattr(context, 'would_handle_event', None)
        if would_handle is None:
            return
        event = ExecutionComplete(action=self)
        if not would_handle(event):
            return
        future = self.get_asyncio_future()
        if future is None:
            context.emit_event_sync(event)
        else:
            future.add_done_callback(lambda _: context.emit_event_sync(event))

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Does the work; returns entities to be visited next, or None."""
        return None
