# SPDX-License-Identifier: Apache-2.0
"""Timers."""

from __future__ import annotations

import asyncio
import collections.abc
from collections.abc import Iterable
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from .. import logging as launch_logging
from ..action import Action
from ..event_handler import EventHandler
from ..events import Shutdown, TimerEvent
from ..launch_description_entity import LaunchDescriptionEntity
from ..some_entities_type import SomeEntitiesType
from ..some_substitutions_type import SomeSubstitutionsType
from ..utilities import create_future, ensure_argument_type, is_a_subclass
from ..utilities.type_utils import normalize_typed_substitution, perform_typed_substitution
from .opaque_function import OpaqueFunction
from .pop_launch_configurations import PopLaunchConfigurations
from .push_launch_configurations import PushLaunchConfigurations

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class TimerAction(Action):
    """Visits entities after a period, unless it is cancelled or the launch shuts down."""

    def __init__(
        self,
        *,
        period: Union[float, SomeSubstitutionsType],
        actions: Iterable[LaunchDescriptionEntity],
        cancel_on_shutdown: Union[bool, SomeSubstitutionsType] = True,
        **kwargs: Any,
    ) -> None:
        """Stores the timer.

        Args:
            period: Seconds.
            actions: The entities.
            cancel_on_shutdown: Whether a shutdown before the end of the period cancels it.
            **kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**kwargs)
        if isinstance(period, (int, str)) and not isinstance(period, bool):
            period = float(period)
        ensure_argument_type(
            period, (float, collections.abc.Iterable, _substitution()), 'period', 'TimerAction'
        )
        self.__period = normalize_typed_substitution(period, float)
        self.__actions = list(actions)
        self.__cancel_on_shutdown = normalize_typed_substitution(cancel_on_shutdown, bool)
        self.__period_in_seconds: Optional[float] = None
        self.__locals: dict[str, Any] = {}
        self.__launch_configurations: dict[str, Any] = {}
        self._completed_future: Optional[asyncio.Future] = None
        self._canceled = False
        self._canceled_future: Optional[asyncio.Future] = None
        self.__logger_name = __name__

    @property
    def period(self) -> Any:
        """The period in seconds, or the substitutions of it."""
        return self.__period

    @property
    def actions(self) -> list[LaunchDescriptionEntity]:
        """The entities."""
        return self.__actions

    async def _wait_to_fire_event(self, context: LaunchContext) -> None:
        assert self._canceled_future is not None
        assert self.__period_in_seconds is not None
        await asyncio.wait([self._canceled_future], timeout=max(0.0, self.__period_in_seconds))
        if not self._canceled_future.done():
            await context.emit_event(TimerEvent(timer_action=self))
        elif self._completed_future is not None and not self._completed_future.done():
            self._completed_future.set_result(None)

    def describe(self) -> str:
        """Returns a description for people."""
        return (
            f'TimerAction(period={self.__period}, actions=<actions>, '
            f'cancel_on_shutdown={self.__cancel_on_shutdown})'
        )

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Returns the entities."""
        return [(f'After {self.__period} seconds', self.__actions)]

    def handle(self, context: LaunchContext) -> Optional[SomeEntitiesType]:
        """Ends the timer and returns the entities; called at the end of the period.

        They see the locals and launch configurations that were there when the timer began.
        """
        context.extend_locals({**self.__locals, 'event': context.locals.event})
        if self._completed_future is not None and not self._completed_future.done():
            self._completed_future.set_result(None)
        return [
            PushLaunchConfigurations(),
            OpaqueFunction(function=_set_configurations, args=[self.__launch_configurations]),
            *self.__actions,
            PopLaunchConfigurations(),
        ]

    def cancel(self) -> None:
        """Cancels the timer; nothing happens if it is over or was cancelled before."""
        self._canceled = True
        if self._canceled_future is not None and not self._canceled_future.done():
            self._canceled_future.set_result(True)

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Starts the period.

        Raises:
            RuntimeError: No launch runs.
        """
        if context.asyncio_loop is None:
            raise RuntimeError('a TimerAction can only be executed while a launch runs')
        self._completed_future = create_future(context.asyncio_loop)
        cancel_on_shutdown = perform_typed_substitution(context, self.__cancel_on_shutdown, bool)
        if self._canceled or (context.is_shutdown and cancel_on_shutdown):
            self._completed_future.set_result(None)
            return None
        self._canceled_future = create_future(context.asyncio_loop)
        self.__period_in_seconds = cast(
            float, perform_typed_substitution(context, self.__period, float)
        )
        self.__locals = dict(context.get_locals_as_dict())
        self.__launch_configurations = dict(context.launch_configurations)
        self.__register_handlers(context, bool(cancel_on_shutdown))
        task = context.asyncio_loop.create_task(self._wait_to_fire_event(context))
        task.add_done_callback(self.__report)
        return None

    def __register_handlers(self, context: LaunchContext, cancel_on_shutdown: bool) -> None:
        context.register_event_handler(
            EventHandler(
                matcher=lambda event: (
                    is_a_subclass(event, TimerEvent)
                    and cast(TimerEvent, event).timer_action is self
                ),
                entities=OpaqueFunction(function=self.handle),
                handle_once=True,
            )
        )
        if cancel_on_shutdown:
            context.register_event_handler(
                EventHandler(
                    matcher=lambda event: is_a_subclass(event, Shutdown),
                    entities=OpaqueFunction(function=self.__on_shutdown),
                )
            )

    def __on_shutdown(self, context: LaunchContext) -> None:
        self.cancel()

    def __report(self, task: asyncio.Task) -> None:
        if task.cancelled() or task.exception() is None:
            return
        launch_logging.get_logger(self.__logger_name).error(f'timer failed: {task.exception()!r}')
        if self._completed_future is not None and not self._completed_future.done():
            self._completed_future.set_exception(task.exception())

    def get_asyncio_future(self) -> Optional[asyncio.Future]:
        """Returns a future that is done when the period is over or the timer cancelled."""
        return self._completed_future


def _substitution() -> type:
    from ..substitution import Substitution

    return Substitution


def _set_configurations(context: LaunchContext, configurations: dict[str, Any]) -> None:
    # Not as substitutions: launch_ros keeps lists among the configurations.
    context.launch_configurations.clear()
    context.launch_configurations.update(configurations)
