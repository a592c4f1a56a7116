# SPDX-License-Identifier: Apache-2.0
"""The service that runs launch descriptions."""

from __future__ import annotations

import asyncio
import collections.abc
from collections.abc import Coroutine, Iterable, Iterator
import contextlib
import signal
import threading
import traceback
from typing import Any, Optional
import warnings

from . import logging as launch_logging
from .actions import ExecuteLocal
from .event import Event
from .event_handlers import OnIncludeLaunchDescription, OnShutdown
from .events import IncludeLaunchDescription, Shutdown
from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .launch_description_entity import LaunchDescriptionEntity
from .some_entities_type import SomeEntitiesType
from .utilities import AsyncSafeSignalManager
from .utilities.visit_all_entities_and_collect_futures_impl import (
    EntityFuturePairs,
    visit_all_entities_into,
)


class LaunchService:
    """Visits launch descriptions and processes events until there is nothing left to do."""

    def __init__(
        self,
        *,
        argv: Optional[Iterable[str]] = None,
        noninteractive: bool = False,
        debug: bool = False,
    ) -> None:
        """Prepares a launch.

        Args:
            argv: Arguments of the launch, for the entities to look at.
            noninteractive: True if no terminal hands ctrl-c on to the children, so that the
                launch has to.
            debug: Logs everything, and puts asyncio into its debug mode.
        """
        self.__argv = argv if argv is not None else []
        self.__debug = debug
        if debug:
            launch_logging.launch_config.level = 'DEBUG'  # type: ignore[assignment]
        self.__logger = launch_logging.get_logger('launch')
        self.__context = LaunchContext(argv=self.__argv, noninteractive=noninteractive)
        self.__context.register_event_handler(OnIncludeLaunchDescription())
        self.__context.register_event_handler(OnShutdown(on_shutdown=self.__on_shutdown))
        self._entity_future_pairs: EntityFuturePairs = []
        self.__lock = threading.RLock()
        self.__loop: Optional[asyncio.AbstractEventLoop] = None
        self.__task: Optional[asyncio.Task] = None
        self.__shutting_down = False
        self.__return_code = 0
        self.__signals_received: set[signal.Signals] = set()
        self.__must_end_now = False

    @property
    def context(self) -> LaunchContext:
        """The launch's context."""
        return self.__context

    @property
    def event_loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The event loop while the launch runs, else None."""
        return self.__loop

    @property
    def task(self) -> Optional[asyncio.Task]:
        """The task that runs the launch, else None."""
        return self.__task

    def emit_event(self, event: Event) -> None:
        """Queues an event, from any thread; it is processed while the launch runs."""
        self.__context.emit_event_sync(event)

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Queues a launch description, from any thread, to be visited while the launch runs."""
        self.emit_event(IncludeLaunchDescription(launch_description))

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Runs the launch in this thread, which must be the main one.

        Args:
            shutdown_when_idle: Ends the launch when there is nothing left to do.

        Returns:
            0, or 1 if an error occurred or the launch was cancelled.
        """
        loop = _get_event_loop()
        task = loop.create_task(self.run_async(shutdown_when_idle=shutdown_when_idle))
        while True:
            try:
                return loop.run_until_complete(task)
            except KeyboardInterrupt:
                # Ctrl-C before the signals were taken over: the launch may have children yet.
                self.__on_sigint(signal.SIGINT)

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """Runs the launch in the current event loop, which must be the main thread's.

        Args:
            shutdown_when_idle: Ends the launch when there is nothing left to do.

        Returns:
            0, or 1 if an error occurred or the launch was cancelled.

        Raises:
            RuntimeError: It is called outside of the main thread, or while it runs.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError('LaunchService can only be run in the main thread.')
        with self.__running():
            launch_logging.log_launch_config(logger=self.__logger)
            while True:
                if self.__must_end_now:
                    self.__kill_all()
                    return 1
                try:
                    if await self.__step(shutdown_when_idle):
                        return self.__return_code
                except asyncio.CancelledError:
                    # The children must not outlive the launch.
                    self.__logger.error('run task was canceled')
                    self.__return_code = 1
                    self._shutdown(reason='run task was canceled', due_to_sigint=False)
                except Exception as error:
                    self.__on_error(error)

    def shutdown(self, force_sync: bool = False) -> Optional[Coroutine[Any, Any, None]]:
        """Ends the launch, from any thread; does nothing if it does not run.

        Args:
            force_sync: Never returns an awaitable.

        Returns:
            Something that may be awaited if called from within the launch's loop, else None.
        """
        with self.__lock:
            if self.__loop is None:
                return None
            self._shutdown(reason='LaunchService.shutdown() called', due_to_sigint=False)
            inside = _running_loop() is self.__loop
        return _Done() if inside and not force_sync else None

    def _shutdown(self, *, reason: str, due_to_sigint: bool) -> None:
        if not self.__shutting_down:
            self.emit_event(Shutdown(reason=reason, due_to_sigint=due_to_sigint))
        self.__shutting_down = True
        self.__context._set_is_shutdown(True)

    def __on_shutdown(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        self.__shutting_down = True
        context._set_is_shutdown(True)
        return None

    @contextlib.contextmanager
    def __running(self) -> Iterator[None]:
        with self.__lock:
            if self.__loop is not None:
                raise RuntimeError('LaunchService.run_async() called while it runs')
            self.__loop = asyncio.get_running_loop()
        loop, handler_before = self.__loop, self.__loop.get_exception_handler()
        self.__task = asyncio.current_task()
        self.__return_code = 0
        self.__signals_received.clear()
        self.__must_end_now = False
        self.__context._set_is_shutdown(self.__shutting_down)
        self.__context._set_asyncio_loop(loop)
        loop.set_exception_handler(self.__on_loop_exception)
        if self.__debug:
            loop.set_debug(True)
        try:
            with AsyncSafeSignalManager(loop) as manager:
                manager.handle(signal.SIGINT, self.__on_sigint)
                manager.handle(signal.SIGTERM, self.__on_sigterm)
                manager.handle(signal.SIGQUIT, self.__on_sigterm)
                yield
        finally:
            loop.set_exception_handler(handler_before)
            self.__context._set_asyncio_loop(None)
            with self.__lock:
                self.__loop = None
                self.__task = None
                self.__shutting_down = False

    def __on_loop_exception(self, loop: asyncio.AbstractEventLoop, context: dict) -> None:
        self.__return_code = 1
        loop.default_exception_handler(context)

    def __on_sigint(self, signum: signal.Signals) -> None:
        message = 'user interrupted with ctrl-c (SIGINT)'
        if signum in self.__signals_received:
            self.__logger.warning(f'{message} again, ignoring...')
            return
        self.__signals_received.add(signum)
        self.__logger.warning(message)
        self._shutdown(reason='ctrl-c (SIGINT)', due_to_sigint=True)

    def __on_sigterm(self, signum: signal.Signals) -> None:
        if signum in self.__signals_received:
            self.__logger.error(f'received {signum.name} again, killing all processes...')
            self.__must_end_now = True
            self.emit_event(Event())
            return
        self.__signals_received.add(signum)
        self.__logger.error(f'received {signum.name}, shutting down...')
        self.__return_code = 1
        self._shutdown(reason=signum.name, due_to_sigint=False)

    def __kill_all(self) -> None:
        """Kills what runs: handlers that emit events for ever leave no other way out."""
        for entity, _ in self._entity_future_pairs:
            if isinstance(entity, ExecuteLocal) and entity._subprocess_transport is not None:
                with contextlib.suppress(ProcessLookupError):
                    entity._subprocess_transport.kill()

    def __on_error(self, error: Exception) -> None:
        self.__logger.debug(traceback.format_exc())
        name = type(error).__qualname__
        message = f'Caught exception in launch (see debug for traceback): {name}: {error}'
        self.__logger.error(message)
        self.__return_code = 1
        self._shutdown(reason=message, due_to_sigint=False)

    def _is_idle(self) -> bool:
        """Tells whether nothing is going on; raises what a finished action failed with."""
        finished: list[asyncio.Future] = []
        pending: EntityFuturePairs = []
        for entity, future in self._entity_future_pairs:
            if future.done():
                finished.append(future)
            else:
                pending.append((entity, future))
        self._entity_future_pairs = pending
        futures = self.__context._completion_futures
        finished += [future for future in futures if future.done()]
        futures[:] = [future for future in futures if not future.done()]
        for future in finished:
            if not future.cancelled() and future.exception() is not None:
                raise future.exception()  # type: ignore[misc]
        return not pending and not futures and self.__context._event_queue.empty()

    async def __step(self, shutdown_when_idle: bool) -> bool:
        """Processes what there is to process, or waits for it; True at the end."""
        if self._is_idle():
            if self.__shutting_down:
                return True
            if shutdown_when_idle:
                self._shutdown(reason='idle', due_to_sigint=False)
        queue = self.__context._event_queue
        if queue.empty():
            await self.__wait()
        else:
            self.__process_event(queue.get_nowait())
            # Whatever else runs in this loop gets its turn between two events.
            await asyncio.sleep(0)
        return False

    async def __wait(self) -> None:
        """Waits for an event, or for an action to end."""
        queue_task = asyncio.ensure_future(self.__context._event_queue.wait_until_filled())
        futures = {future for _, future in self._entity_future_pairs}
        futures.update(self.__context._completion_futures)
        try:
            await asyncio.wait([queue_task, *futures], return_when=asyncio.FIRST_COMPLETED)
        finally:
            queue_task.cancel()

    def __process_event(self, event: Event) -> None:
        self.__logger.debug(f"processing event: '{event}'")
        for handler in tuple(self.__context._event_handlers):
            if not handler.matches(event):
                continue
            self.__logger.debug(f"processing event: '{event}' ✓ '{handler}'")
            self.__context._push_locals()
            try:
                for entity in _as_entities(handler.handle(event, self.__context)):
                    visit_all_entities_into(entity, self.__context, self._entity_future_pairs)
            finally:
                self.__context._pop_locals()


def _as_entities(entities: Any) -> list[LaunchDescriptionEntity]:
    if not isinstance(entities, collections.abc.Iterable):
        entities = (entities,)
    found = [entity for entity in entities if entity is not None]
    for entity in found:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise RuntimeError(
                f"expected a LaunchDescriptionEntity from event_handler, got '{entity}'"
            )
    return found


def _running_loop() -> Optional[asyncio.AbstractEventLoop]:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _get_event_loop() -> asyncio.AbstractEventLoop:
    """Returns this thread's event loop, a new one if it has none or a closed one."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:
            loop = None
    if loop is None or loop.is_closed():
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    return loop


class _Done(collections.abc.Coroutine):
    """A coroutine that has nothing left to do and need not be awaited."""

    def send(self, value: Any) -> Any:
        raise StopIteration

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        raise typ if val is None else val

    def close(self) -> None:
        pass

    def __await__(self) -> Iterator[None]:
        return iter(())
