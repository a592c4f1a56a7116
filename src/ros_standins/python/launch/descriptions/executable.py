# SPDX-License-Identifier: Apache-2.0
"""The description of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import pathlib
import re
import shlex
import threading
from typing import Optional, TYPE_CHECKING

from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..substitutions import LaunchConfiguration
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..action import Action
    from ..launch_context import LaunchContext

_counter_lock = threading.Lock()
_counter = 0

_Environment = Optional[Mapping[SomeSubstitutionsType, SomeSubstitutionsType]]
_EnvironmentPairs = Optional[list[tuple[list[Substitution], list[Substitution]]]]


def _next_number() -> int:
    global _counter
    with _counter_lock:
        _counter += 1
        return _counter


def _normalize_environment(environment: _Environment) -> _EnvironmentPairs:
    if environment is None:
        return None
    return [
        (normalize_to_list_of_substitutions(name), normalize_to_list_of_substitutions(value))
        for name, value in environment.items()
    ]


class Executable:
    """A command with its directory, environment, prefix and name."""

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        prefix: Optional[SomeSubstitutionsType] = None,
        name: Optional[SomeSubstitutionsType] = None,
        cwd: Optional[SomeSubstitutionsType] = None,
        env: _Environment = None,
        additional_env: _Environment = None,
        arguments: Optional[Iterable[SomeSubstitutionsType]] = None,
    ) -> None:
        """Stores the description.

        Args:
            cmd: The executable and its arguments, each of them text or substitutions.
            prefix: Set before the command, split as a shell would; by default the launch
                configuration 'launch-prefix', for the executables that 'launch-prefix-filter'
                matches.
            name: Label of the process; by default the executable's file name. A number makes
                it unique.
            cwd: Working directory.
            env: The whole environment; by default the launch's.
            additional_env: What is added to the environment.
            arguments: Further arguments.
        """
        self.__cmd = [normalize_to_list_of_substitutions(part) for part in cmd]
        if arguments is not None:
            self.__cmd += [normalize_to_list_of_substitutions(part) for part in arguments]
        self.__prefix = normalize_to_list_of_substitutions(
            LaunchConfiguration('launch-prefix', default='') if prefix is None else prefix
        )
        self.__prefix_filter = (
            normalize_to_list_of_substitutions(
                LaunchConfiguration('launch-prefix-filter', default='')
            )
            if prefix is None
            else None
        )
        self.__name = None if name is None else normalize_to_list_of_substitutions(name)
        self.__cwd = None if cwd is None else normalize_to_list_of_substitutions(cwd)
        self.__env = _normalize_environment(env)
        self.__additional_env = _normalize_environment(additional_env)
        self.__arguments = arguments
        self.__final_cmd: Optional[list[str]] = None
        self.__final_name: Optional[str] = None
        self.__final_cwd: Optional[str] = None
        self.__final_env: Optional[dict[str, str]] = None

    @property
    def name(self) -> Optional[list[Substitution]]:
        """The label, or None."""
        return self.__name

    @property
    def prefix(self) -> list[Substitution]:
        """The prefix."""
        return self.__prefix

    @property
    def cmd(self) -> list[list[Substitution]]:
        """The command."""
        return self.__cmd

    @property
    def cwd(self) -> Optional[list[Substitution]]:
        """The working directory, or None."""
        return self.__cwd

    @property
    def env(self) -> _EnvironmentPairs:
        """The whole environment, or None."""
        return self.__env

    @property
    def additional_env(self) -> _EnvironmentPairs:
        """What is added to the environment, or None."""
        return self.__additional_env

    @property
    def arguments(self) -> Optional[Iterable[SomeSubstitutionsType]]:
        """The further arguments, or None."""
        return self.__arguments

    @property
    def final_name(self) -> Optional[str]:
        """The unique label, once it is known."""
        return self.__final_name

    @property
    def final_cmd(self) -> Optional[list[str]]:
        """The command line, once it is known."""
        return self.__final_cmd

    @property
    def final_cwd(self) -> Optional[str]:
        """The working directory, once it is known; None for the launch's."""
        return self.__final_cwd

    @property
    def final_env(self) -> Optional[dict[str, str]]:
        """The environment, once it is known."""
        return self.__final_env

    def apply_context(self, context: LaunchContext) -> None:
        """Works out the final command, name, directory and environment."""
        cmd = [perform_substitutions(context, part) for part in self.__cmd]
        name = (
            pathlib.PurePath(cmd[0]).name
            if self.__name is None
            else perform_substitutions(context, self.__name)
        )
        self.__final_cmd = self.__prefix_parts(context, cmd[0]) + cmd
        self.__final_name = f'{name}-{_next_number()}'
        self.__final_cwd = (
            None if self.__cwd is None else perform_substitutions(context, self.__cwd)
        )
        self.__final_env = self.__expand_environment(context)

    def prepare(self, context: LaunchContext, action: Optional[Action] = None) -> None:
        """Does the same on behalf of ``action``."""
        self.apply_context(context)

    def __prefix_parts(self, context: LaunchContext, executable: str) -> list[str]:
        if self.__prefix_filter is not None:
            pattern = perform_substitutions(context, self.__prefix_filter)
            if pattern and not re.match(pattern, pathlib.PurePath(executable).name):
                return []
        return shlex.split(perform_substitutions(context, self.__prefix))

    def __expand_environment(self, context: LaunchContext) -> dict[str, str]:
        environment = {}
        if self.__env is None:
            environment = dict(context.environment)
        for name, value in (*(self.__env or ()), *(self.__additional_env or ())):
            environment[perform_substitutions(context, name)] = perform_substitutions(
                context, value
            )
        return environment
