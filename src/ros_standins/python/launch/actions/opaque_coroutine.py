# SPDX-License-Identifier: Apache-2.0
"""Coroutines as actions."""

from __future__ import annotations

import asyncio
import collections.abc
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Optional, TYPE_CHECKING

from ..action import Action
from ..event import Event
from ..event_handlers import OnShutdown
from ..launch_description_entity import LaunchDescriptionEntity
from ..some_entities_type import SomeEntitiesType
from ..utilities import ensure_argument_type

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class OpaqueCoroutine(Action):
    """Runs a coroutine beside the launch and cancels it at the shutdown."""

    def __init__(
        self,
        *,
        coroutine: Callable[..., Coroutine[Any, Any, None]],
        args: Optional[Iterable[Any]] = None,
        kwargs: Optional[dict[str, Any]] = None,
        ignore_context: bool = False,
        **left_over_kwargs: Any,
    ) -> None:
        """Stores the coroutine function.

        Args:
            coroutine: Called with the context, then ``args`` and ``kwargs``.
            args: Further arguments.
            kwargs: Further arguments by name.
            ignore_context: Leaves the context out.
            **left_over_kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**left_over_kwargs)
        if not asyncio.iscoroutinefunction(coroutine):
            raise TypeError(
                f"OpaqueCoroutine expected a coroutine function for 'coroutine', got "
                f"'{type(coroutine)}'"
            )
        ensure_argument_type(
            args, (collections.abc.Iterable, type(None)), 'args', 'OpaqueCoroutine'
        )
        ensure_argument_type(kwargs, (dict, type(None)), 'kwargs', 'OpaqueCoroutine')
        ensure_argument_type(ignore_context, bool, 'ignore_context', 'OpaqueCoroutine')
        self.__coroutine = coroutine
        self.__args = list(args) if args is not None else []
        self.__kwargs = kwargs if kwargs is not None else {}
        self.__ignore_context = ignore_context
        self.__future: Optional[asyncio.Future] = None

    def __on_shutdown(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        if self.__future is not None:
            self.__future.cancel()
        return None

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Starts the coroutine."""
        if context.asyncio_loop is None:
            raise RuntimeError('an OpaqueCoroutine can only be executed while a launch runs')
        args = self.__args if self.__ignore_context else [context, *self.__args]
        self.__future = context.asyncio_loop.create_task(self.__coroutine(*args, **self.__kwargs))
        context.register_event_handler(OnShutdown(on_shutdown=self.__on_shutdown))
        return None

    def get_asyncio_future(self) -> Optional[asyncio.Future]:
        """Returns the coroutine's task."""
        return self.__future
