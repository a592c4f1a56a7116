# SPDX-License-Identifier: Apache-2.0
"""Processes from commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ..descriptions.executable import Executable
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from .execute_local import ExecuteLocal

_Environment = Optional[Mapping[SomeSubstitutionsType, SomeSubstitutionsType]]


class ExecuteProcess(ExecuteLocal):
    """Runs a command as a process."""

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        prefix: Optional[SomeSubstitutionsType] = None,
        name: Optional[SomeSubstitutionsType] = None,
        cwd: Optional[SomeSubstitutionsType] = None,
        env: _Environment = None,
        additional_env: _Environment = None,
        **kwargs: Any,
    ) -> None:
        """Stores the command.

        Args:
            cmd: The executable and its arguments, each of them text or substitutions.
            prefix: Set before the command, such as a debugger.
            name: Label of the process; by default the executable's file name.
            cwd: Working directory.
            env: The whole environment; by default the launch's.
            additional_env: What is added to the environment.
            **kwargs: As of :class:`ExecuteLocal`.
        """
        executable = Executable(
            cmd=cmd, prefix=prefix, name=name, cwd=cwd, env=env, additional_env=additional_env
        )
        super().__init__(process_description=executable, **kwargs)

    @classmethod
    def _parse_cmdline(cls, cmd: str, parser: Any) -> list[list[Substitution]]:
        """Splits a command line at the spaces of its texts; substitutions stay whole."""
        from ..substitutions import TextSubstitution

        result: list[list[Substitution]] = []
        current: list[Substitution] = []
        for part in parser.parse_substitution(cmd):
            if not isinstance(part, TextSubstitution):
                current.append(part)
                continue
            words = part.text.split()
            if part.text[:1].isspace() and current:
                result.append(current)
                current = []
            for i, word in enumerate(words):
                if i > 0:
                    result.append(current)
                    current = []
                current.append(TextSubstitution(text=word))
            if words and part.text[-1:].isspace():
                result.append(current)
                current = []
        return [*result, current] if current else result

    @property
    def name(self) -> Any:
        """The unique label once it is known, before that as given."""
        description = self.process_description
        return description.name if description.final_name is None else description.final_name

    @property
    def cmd(self) -> Any:
        """The command line once it is known, before that as given."""
        description = self.process_description
        return description.cmd if description.final_cmd is None else description.final_cmd

    @property
    def cwd(self) -> Any:
        """The working directory once it is known, before that as given."""
        description = self.process_description
        return description.cwd if description.final_cwd is None else description.final_cwd

    @property
    def env(self) -> Any:
        """The environment once it is known, before that as given."""
        description = self.process_description
        return description.env if description.final_env is None else description.final_env

    @property
    def additional_env(self) -> Any:
        """What is added to the environment, as given."""
        return self.process_description.additional_env
