# SPDX-License-Identifier: Apache-2.0
"""Output of commands."""

from __future__ import annotations

from collections.abc import Sequence
import os
import shlex
import subprocess
from typing import Any, TYPE_CHECKING

from .. import logging as launch_logging
from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from .substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

_ON_STDERR = ('fail', 'ignore', 'warn', 'capture')


@expose_substitution('command')
class Command(Substitution):
    """What a command writes to its standard output."""

    def __init__(
        self, command: SomeSubstitutionsType, *, on_stderr: SomeSubstitutionsType = 'fail'
    ) -> None:
        """Stores the command.

        Args:
            command: The command line, split as a shell would.
            on_stderr: What output on standard error means: 'fail', 'ignore', 'warn', or
                'capture', by which it counts as output.
        """
        super().__init__()
        self.__command = normalize_to_list_of_substitutions(command)
        self.__on_stderr = normalize_to_list_of_substitutions(on_stderr)

    @classmethod
    def parse(cls, data: Sequence[SomeSubstitutionsType]) -> tuple[type[Command], dict[str, Any]]:
        """Reads ``$(command command [on_stderr])``."""
        if not 1 <= len(data) <= 2:
            raise ValueError('command substitution expects 1 or 2 arguments')
        kwargs: dict[str, Any] = {'command': data[0]}
        if len(data) == 2:
            kwargs['on_stderr'] = data[1]
        return cls, kwargs

    @property
    def command(self) -> list[Substitution]:
        """The command line."""
        return self.__command

    @property
    def on_stderr(self) -> list[Substitution]:
        """What output on standard error means."""
        return self.__on_stderr

    def describe(self) -> str:
        """Returns a description for people."""
        return f'Command({" + ".join(part.describe() for part in self.command)})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the output.

        Raises:
            SubstitutionFailure: The command is not there, failed, or wrote to standard error.
        """
        line = perform_substitutions(context, self.command)
        on_stderr = perform_substitutions(context, self.on_stderr)
        if on_stderr not in _ON_STDERR:
            raise SubstitutionFailure(
                f"expected 'on_stderr' to be one of {_ON_STDERR}, got '{on_stderr}'"
            )
        result = _run(line, subprocess.STDOUT if on_stderr == 'capture' else subprocess.PIPE)
        if result.returncode != 0:
            shown = f'\nCaptured stderr output: {result.stderr}' if result.stderr else ''
            raise SubstitutionFailure(f'executed command failed. Command: {line}{shown}')
        if result.stderr:
            message = (
                f'executed command showed stderr output. Command: {line}\n'
                f'Captured stderr output:\n{result.stderr}'
            )
            if on_stderr == 'fail':
                raise SubstitutionFailure(message)
            if on_stderr == 'warn':
                launch_logging.get_logger(__name__).warning(message)
        return result.stdout


def _run(line: str, stderr: int) -> subprocess.CompletedProcess[str]:
    parts: list[str] = shlex.split(line, posix=os.name != 'nt')
    try:
        return subprocess.run(parts, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False)
    except FileNotFoundError as error:
        raise SubstitutionFailure(f'file not found: {error}') from error
    except OSError as error:
        raise SubstitutionFailure(f'executed command failed. Command: {line}\n{error}') from error
