# SPDX-License-Identifier: Apache-2.0
"""The base of events that come from processes."""

from __future__ import annotations

from typing import Optional, TYPE_CHECKING

from ...event import Event

if TYPE_CHECKING:
    from ...actions import ExecuteLocal


class RunningProcessEvent(Event):
    """Something happened to a process."""

    name = 'launch.events.process.RunningProcessEvent'

    def __init__(
        self,
        *,
        action: ExecuteLocal,
        name: str,
        cmd: list[str],
        cwd: Optional[str],
        env: Optional[dict[str, str]],
        pid: int,
    ) -> None:
        """Stores the process's details.

        Args:
            action: The action that runs the process.
            name: The unique name of the process.
            cmd: Its command line.
            cwd: Its working directory, None for the launch's own.
            env: Its environment, None for the launch's own.
            pid: Its number.
        """
        self.__action = action
        self.__name = name
        self.__cmd = cmd
        self.__cwd = cwd
        self.__env = env
        self.__pid = pid

    @property
    def action(self) -> ExecuteLocal:
        """The action that runs the process."""
        return self.__action

    @property
    def execute_process_action(self) -> ExecuteLocal:
        """The action, by its older name."""
        return self.__action

    @property
    def process_name(self) -> str:
        """The unique name of the process."""
        return self.__name

    @property
    def cmd(self) -> list[str]:
        """The command line."""
        return self.__cmd

    @property
    def cwd(self) -> Optional[str]:
        """The working directory."""
        return self.__cwd

    @property
    def env(self) -> Optional[dict[str, str]]:
        """The environment."""
        return self.__env

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.__pid
