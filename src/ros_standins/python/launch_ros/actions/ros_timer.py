# SPDX-License-Identifier: Apache-2.0
"""Timers on the ROS clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, TYPE_CHECKING, Union

from launch.actions import TimerAction
from launch.events import TimerEvent
from launch.frontend import expose_action
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.utilities.type_utils import perform_typed_substitution

from ..ros_adapters import get_ros_node

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('ros_timer')
class ROSTimer(TimerAction):
    """Visits entities after a period of the launch node's time; see SetUseSimTime."""

    def __init__(
        self,
        *,
        period: Union[float, SomeSubstitutionsType],
        actions: Iterable[LaunchDescriptionEntity],
        **kwargs: Any,
    ) -> None:
        """Stores the timer; see the base class."""
        super().__init__(period=period, actions=actions, **kwargs)

    async def _wait_to_fire_event(self, context: LaunchContext) -> None:
        # A SetUseSimTime that stands after the timer holds for it as well.
        await asyncio.sleep(0)
        node = get_ros_node(context)
        loop = asyncio.get_running_loop()
        fired = loop.create_future()
        period = perform_typed_substitution(context, self.period, float)
        timer = node.create_timer(
            period, lambda: loop.call_soon_threadsafe(_finish, fired), clock=node.get_clock()
        )
        node.executor.wake()
        assert self._canceled_future is not None
        assert self._completed_future is not None
        try:
            await asyncio.wait([fired, self._canceled_future], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if not self._canceled_future.done():
            await context.emit_event(TimerEvent(timer_action=self))
        elif not self._completed_future.done():
            self._completed_future.set_result(None)


def _finish(future: asyncio.Future) -> None:
    if not future.done():
        future.set_result(None)


RosTimer = ROSTimer
