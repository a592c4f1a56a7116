# SPDX-License-Identifier: Apache-2.0
"""Processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import os
import signal
import traceback
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from .. import logging as launch_logging
from ..action import Action
from ..conditions import evaluate_condition_expression
from ..event import Event
from ..event_handler import EventHandler
from ..event_handlers import OnProcessExit, OnProcessIO, OnProcessStart, OnShutdown
from ..events import matches_action, Shutdown
from ..events.process import (
    ProcessExited,
    ProcessIO,
    ProcessStarted,
    ShutdownProcess,
    SignalProcess,
)
from ..launch_description_entity import LaunchDescriptionEntity
from ..some_entities_type import SomeEntitiesType
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..substitutions import LaunchConfiguration
from ..utilities import is_a_subclass, normalize_to_list_of_substitutions, perform_substitutions
from ..utilities.type_utils import normalize_typed_substitution, perform_typed_substitution
from ._process_output import ProcessOutput
from .emit_event import EmitEvent
from .opaque_function import OpaqueFunction
from .timer_action import TimerAction

if TYPE_CHECKING:
    from ..descriptions import Executable
    from ..launch_context import LaunchContext

_OnExit = Optional[
    Union[SomeEntitiesType, Callable[[ProcessExited, 'LaunchContext'], Optional[SomeEntitiesType]]]
]


class ExecuteLocal(Action):
    """Runs a process on this machine and looks after it until it ends.

    It answers the events ShutdownProcess, SignalProcess and Shutdown and emits ProcessStarted,
    ProcessStdout, ProcessStderr and ProcessExited. A shutdown sends SIGINT, unless ctrl-c gave
    it to the process already, then after a time SIGTERM, then SIGKILL.
    """

    def __init__(
        self,
        *,
        process_description: Executable,
        shell: bool = False,
        sigterm_timeout: SomeSubstitutionsType = LaunchConfiguration(  # noqa: B008
            'sigterm_timeout', default=5
        ),
        sigkill_timeout: SomeSubstitutionsType = LaunchConfiguration(  # noqa: B008
            'sigkill_timeout', default=5
        ),
        emulate_tty: bool = False,
        output: Any = 'log',
        output_format: str = '[{this.process_description.final_name}] {line}',
        cached_output: bool = False,
        log_cmd: bool = False,
        on_exit: _OnExit = None,
        respawn: Union[bool, SomeSubstitutionsType] = False,
        respawn_delay: Optional[float] = None,
        respawn_max_retries: int = -1,
        **kwargs: Any,
    ) -> None:
        """Stores what is run and how.

        Args:
            process_description: The command.
            shell: Runs the command in a shell.
            sigterm_timeout: Seconds from SIGINT to SIGTERM.
            sigkill_timeout: Seconds from SIGTERM to SIGKILL.
            emulate_tty: Gives the process a pseudo-terminal; the launch configuration of this
                name goes before.
            output: Where output goes, as of :func:`launch.logging.get_output_loggers`; the
                environment variable OVERRIDE_LAUNCH_PROCESS_OUTPUT goes before.
            output_format: Format of a line of output, from ``line`` and ``this`` action.
            cached_output: Keeps the output for :meth:`get_stdout` and :meth:`get_stderr`.
            log_cmd: Logs the command line.
            on_exit: Entities to be visited at the end of the process, or a function of the
                event and the context.
            respawn: Starts the process anew when it ends while the launch goes on.
            respawn_delay: Seconds before that.
            respawn_max_retries: How often at most; a negative number is no limit.
            **kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**kwargs)
        self.__process_description = process_description
        self.__shell = shell
        self.__sigterm_timeout = normalize_to_list_of_substitutions(sigterm_timeout)
        self.__sigkill_timeout = normalize_to_list_of_substitutions(sigkill_timeout)
        self.__emulate_tty = emulate_tty
        output = os.environ.get('OVERRIDE_LAUNCH_PROCESS_OUTPUT', output)
        self.__output: Union[dict[str, Any], list[Substitution]] = (
            output if isinstance(output, dict) else normalize_to_list_of_substitutions(output)
        )
        self.__output_format = output_format
        self.__cached_output = cached_output
        self.__log_cmd = log_cmd
        self.__on_exit = on_exit
        self.__respawn: Any = normalize_typed_substitution(respawn, bool)
        self.__respawn_delay = respawn_delay
        self.__respawn_max_retries = respawn_max_retries
        self.__respawn_retries = 0
        self.__process_event_args: Optional[dict[str, Any]] = None
        self._subprocess_protocol: Optional[Any] = None
        self._subprocess_transport: Optional[Any] = None
        self.__completed_future: Optional[asyncio.Future] = None
        self.__shutdown_future: Optional[asyncio.Future] = None
        self.__escalation: list[TimerAction] = []
        self.__task: Optional[asyncio.Task] = None
        self.__returncode: Optional[int] = None
        self.__stdout = ProcessOutput(cached_output, self.__format_line)
        self.__stderr = ProcessOutput(cached_output, self.__format_line)
        self.__executed = False

    @property
    def process_description(self) -> Executable:
        """The command."""
        return self.__process_description

    @property
    def shell(self) -> bool:
        """Whether it is run in a shell."""
        return self.__shell

    @property
    def emulate_tty(self) -> bool:
        """Whether the process gets a pseudo-terminal."""
        return self.__emulate_tty

    @property
    def sigkill_timeout(self) -> list[Substitution]:
        """Seconds from SIGTERM to SIGKILL."""
        return self.__sigkill_timeout

    @property
    def sigterm_timeout(self) -> list[Substitution]:
        """Seconds from SIGINT to SIGTERM."""
        return self.__sigterm_timeout

    @property
    def output(self) -> Any:
        """Where output goes."""
        return self.__output

    @property
    def process_details(self) -> Optional[dict[str, Any]]:
        """Name, cmd, cwd, env and, once it runs, pid; None before the execution."""
        return self.__process_event_args

    @property
    def return_code(self) -> Optional[int]:
        """The exit code, None while the process runs or before."""
        if self._subprocess_transport is None:
            return None
        current: Optional[int] = self._subprocess_transport.get_returncode()
        return self.__returncode if current is None else current

    def __format_line(self, line: str) -> str:
        return self.__output_format.format(line=line, this=self)

    def get_stdout(self) -> str:
        """Returns all standard output so far.

        Raises:
            RuntimeError: It was not kept.
        """
        return self.__cached(self.__stdout, 'stdout')

    def get_stderr(self) -> str:
        """Returns all standard error so far.

        Raises:
            RuntimeError: It was not kept.
        """
        return self.__cached(self.__stderr, 'stderr')

    def __cached(self, output: ProcessOutput, stream: str) -> str:
        if not self.__cached_output:
            raise RuntimeError(
                f'cached output must be true to be able to get {stream}, '
                f"proc '{self.__process_description.name}'"
            )
        return output.text()

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Returns the entities that are visited at the end of the process."""
        if isinstance(self.__on_exit, list):
            return self.__on_exit
        return []

    def get_asyncio_future(self) -> Optional[asyncio.Future]:
        """Returns a future that is done when the process ended for good."""
        return self.__completed_future

    def prepare(self, context: LaunchContext) -> None:
        """Works out the command's details."""
        description = self.__process_description
        description.prepare(context, self)
        self.__process_event_args = {
            'action': self,
            'name': description.final_name,
            'cmd': description.final_cmd,
            'cwd': description.final_cwd,
            'env': description.final_env,
        }
        self.__respawn = perform_typed_substitution(context, self.__respawn, bool)

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Starts the process.

        Raises:
            RuntimeError: The action was executed before, or no launch runs.
        """
        self.prepare(context)
        name = cast(str, self.__process_description.final_name)
        if self.__executed:
            raise RuntimeError(
                f"ExecuteLocal action '{name}': executed more than once: {self.describe()}"
            )
        self.__executed = True
        if context.is_shutdown:
            return None
        if context.asyncio_loop is None:
            raise RuntimeError('a process can only be executed while a launch runs')
        output = self.__output
        if not isinstance(output, dict):
            output = perform_substitutions(context, output)  # type: ignore[assignment]
        loggers = launch_logging.get_output_loggers(name, output)  # type: ignore[arg-type]
        self.__stdout_logger, self.__stderr_logger = loggers
        self.__logger = launch_logging.get_logger(name)
        self.__register_handlers(context)
        self.__completed_future = context.asyncio_loop.create_future()
        self.__shutdown_future = context.asyncio_loop.create_future()
        self.__task = context.asyncio_loop.create_task(self.__run(context))
        return None

    def __register_handlers(self, context: LaunchContext) -> None:
        # A later handler goes before an earlier one: the last output is logged, then on_exit.
        for handler in (
            EventHandler(
                matcher=lambda event: is_a_subclass(event, ShutdownProcess),
                entities=OpaqueFunction(function=self.__on_shutdown_process_event),
            ),
            EventHandler(
                matcher=lambda event: is_a_subclass(event, SignalProcess),
                entities=OpaqueFunction(function=self.__on_signal_process_event),
            ),
            OnProcessIO(
                target_action=self,
                on_stdin=self.__on_process_stdin,
                on_stdout=lambda event: self.__stdout.feed(event.text, self.__stdout_logger),
                on_stderr=lambda event: self.__stderr.feed(event.text, self.__stderr_logger),
            ),
            OnShutdown(on_shutdown=self.__on_shutdown),
            OnProcessExit(target_action=self, on_exit=cast(Any, self.__on_exit)),
            OnProcessExit(target_action=self, on_exit=self.__flush),
        ):
            context.register_event_handler(handler)

    def __flush(self, event: Event, context: LaunchContext) -> None:
        self.__stdout.flush(self.__stdout_logger)
        self.__stderr.flush(self.__stderr_logger)

    def __on_process_stdin(self, event: ProcessIO) -> Optional[SomeEntitiesType]:
        self.__logger.warning('standard input from events is not handed to processes')
        return None

    async def __run(self, context: LaunchContext) -> None:
        """Runs the process, anew if it is to respawn, until it ended for good."""
        assert self.__completed_future is not None
        try:
            while await self.__run_once(context) and await self.__wait_for_respawn(context):
                pass
        except Exception as error:
            self.__completed_future.set_exception(error)
        finally:
            self.__cancel_escalation()
            self.__close_transport()
            if not self.__completed_future.done():
                self.__completed_future.set_result(None)

    async def __run_once(self, context: LaunchContext) -> bool:
        """Runs the process once; False if it could not be started."""
        from osrf_pycommon.process_utils import async_execute_process

        from ._process_protocol import ProcessProtocol

        args = self.__process_event_args
        assert args is not None
        self.__close_transport()
        self._subprocess_transport = None
        if self.__log_cmd:
            self.__logger.info(
                "process details: cmd='{}', cwd='{}', custom_env?={}".format(
                    _shown(args['cmd']), args['cwd'], args['env'] is not None
                )
            )

        def on_start(transport: Any, protocol: ProcessProtocol) -> None:
            self._subprocess_transport = transport
            self._subprocess_protocol = protocol
            context.emit_event_sync(ProcessStarted(**args))

        try:
            _, protocol = await async_execute_process(
                lambda **kwargs: ProcessProtocol(context, args, on_start, **kwargs),
                cmd=args['cmd'],
                cwd=args['cwd'],
                env=args['env'],
                shell=self.__shell,
                emulate_tty=self.__wants_tty(context),
                stderr_to_stdout=False,
            )
        except Exception:
            self.__logger.error(
                f'exception occurred while executing process:\n{traceback.format_exc()}'
            )
            return False
        self.__returncode = await protocol.complete
        self.__cancel_escalation()
        await protocol.drain()
        self.__report_exit(args)
        await context.emit_event(ProcessExited(returncode=self.__returncode, **args))
        return True

    def __report_exit(self, args: dict[str, Any]) -> None:
        if self.__returncode == 0:
            self.__logger.info(f'process has finished cleanly [pid {args["pid"]}]')
            return
        self.__logger.error(
            f'process has died [pid {args["pid"]}, exit code {self.__returncode}, '
            f"cmd '{_shown(args['cmd'])}']."
        )

    def __wants_tty(self, context: LaunchContext) -> bool:
        configured = context.launch_configurations.get('emulate_tty')
        if configured is None:
            return self.__emulate_tty
        return evaluate_condition_expression(
            context, normalize_to_list_of_substitutions(configured)
        )

    async def __wait_for_respawn(self, context: LaunchContext) -> bool:
        """Waits for the delay; True if the process is to be started anew."""
        shutdown = self.__shutdown_future
        assert shutdown is not None
        limit = self.__respawn_max_retries
        if not self.__respawn or 0 <= limit <= self.__respawn_retries:
            return False
        if context.is_shutdown or shutdown.done():
            return False
        self.__respawn_retries += 1
        if self.__respawn_delay is not None and self.__respawn_delay > 0.0:
            await asyncio.wait([shutdown], timeout=self.__respawn_delay)
        return not context.is_shutdown and not shutdown.done()

    def __cancel_escalation(self) -> None:
        for timer in self.__escalation:
            timer.cancel()

    def __close_transport(self) -> None:
        if self._subprocess_transport is not None:
            self._subprocess_transport.close()
        if self._subprocess_protocol is not None:
            self._subprocess_protocol.close_terminals()

    def __on_shutdown(self, event: Event, context: LaunchContext) -> Optional[SomeEntitiesType]:
        # Ctrl-C in a terminal reaches the children without our help.
        due_to_sigint = cast(Shutdown, event).due_to_sigint
        return self._shutdown_process(
            context, send_sigint=not due_to_sigint or context.noninteractive
        )

    def __on_shutdown_process_event(self, context: LaunchContext) -> Optional[list[Action]]:
        event = cast(ShutdownProcess, context.locals.event)
        if not event.process_matcher(self):
            return None
        return self._shutdown_process(context, send_sigint=True)

    def _shutdown_process(
        self, context: LaunchContext, *, send_sigint: bool
    ) -> Optional[list[Action]]:
        """Returns the actions that bring the process to its end."""
        shutdown, completed = self.__shutdown_future, self.__completed_future
        if shutdown is None or completed is None or shutdown.done():
            return None
        if completed.done():
            shutdown.set_result(None)
            return None
        if self._subprocess_transport is None and self.__respawn_retries == 0:
            # It is being started: what starts must be stopped.
            context.register_event_handler(
                OnProcessStart(
                    target_action=self,
                    handle_once=True,
                    on_start=lambda event, context: self._shutdown_process(
                        context, send_sigint=True
                    ),
                )
            )
            return None
        shutdown.set_result(None)
        self.__escalation = self.__make_escalation()
        actions: list[Action] = list(self.__escalation)
        if send_sigint:
            actions.append(EmitEvent(event=self.__signal_event(signal.SIGINT)))
        return actions

    def __signal_event(self, signal_number: signal.Signals) -> SignalProcess:
        return SignalProcess(signal_number=signal_number, process_matcher=matches_action(self))

    def __make_escalation(self) -> list[TimerAction]:
        from ..substitutions import PythonExpression

        first, second = self.__sigterm_timeout, self.__sigkill_timeout
        both = [PythonExpression(['float(', *first, ') + float(', *second, ')'])]
        return [
            self.__escalation_step(first, first, signal.SIGINT, signal.SIGTERM),
            self.__escalation_step(both, second, signal.SIGTERM, signal.SIGKILL),
        ]

    def __escalation_step(
        self,
        period: list[Any],
        waited: list[Substitution],
        before: signal.Signals,
        after: signal.Signals,
    ) -> TimerAction:
        def complain(context: LaunchContext) -> None:
            name = cast(dict[str, Any], self.process_details)['name']
            self.__logger.error(
                f"process[{name}] failed to terminate '{perform_substitutions(context, waited)}' "
                f"seconds after receiving '{before.name}', escalating to '{after.name}'"
            )

        return TimerAction(
            period=period,
            actions=[
                OpaqueFunction(function=complain),
                EmitEvent(event=self.__signal_event(after)),
            ],
            cancel_on_shutdown=False,
        )

    def __on_signal_process_event(self, context: LaunchContext) -> None:
        event = cast(SignalProcess, context.locals.event)
        if not event.process_matcher(self):
            return
        if self.process_details is None or self._subprocess_transport is None:
            raise RuntimeError(f'{event.signal_name} was to be sent before the process started')
        name = self.process_details['name']
        protocol = cast(Any, self._subprocess_protocol)
        if protocol.complete.done():
            self.__logger.debug(f"'{event.signal_name}' not sent to '{name}': it has ended")
            return
        self.__logger.info(f"sending signal '{event.signal_name}' to process[{name}]")
        try:
            self._subprocess_transport.send_signal(event.signal)
        except ProcessLookupError:
            self.__logger.debug(f"'{event.signal_name}' not sent to '{name}': it is gone")


def _shown(cmd: list[str]) -> str:
    return ' '.join(part for part in cmd if part.strip())
