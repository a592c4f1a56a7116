# SPDX-License-Identifier: Apache-2.0
"""What video generators are told, as versioned data beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import re

from flow_manip_core.config import from_mapping, load_yaml
from flow_manip_core.errors import (
    ConfigurationError,
    EmptyInstructionError,
    InstructionTooLongError,
)

FOLDER = Path(__file__).parent
TASK = '{task}'
MAX_TASK = 500  # characters, as of any instruction
MAX_PROMPT = 2500  # characters that the strictest service (Kling) takes


@dataclass(frozen=True)
class Prompt:
    """What a generator is told.

    Attributes:
        text: what should be seen.
        negative: what should not.
        version: which template made it, e.g. 'wan_zh@1'.
    """

    text: str
    negative: str
    version: str


@dataclass(frozen=True)
class PromptTemplate:
    """One file of this folder.

    Attributes:
        version: raised with every change of the words.
        language: of the words, as an ISO 639-1 code.
        text: with ``{task}`` where the instruction goes.
        rules: sentences that follow it.
        negative: what should not be seen.
        name: of the file; filled in when it is read.
    """

    version: int
    language: str
    text: str
    rules: tuple[str, ...]
    negative: tuple[str, ...]
    name: str = ''

    def __post_init__(self) -> None:
        """Refuse a template that says nothing of the task."""
        if self.text.count(TASK) != 1 or self.version < 1:
            raise ConfigurationError(
                f"prompt '{self.name}': version {self.version}, '{TASK}' stands "
                f'{self.text.count(TASK)} times in its text'
            )

    def fill(self, instruction: str) -> Prompt:
        """Return the prompt of one task.

        Raises:
            EmptyInstructionError, InstructionTooLongError: as they say.
        """
        task = re.sub(r'\s+', ' ', instruction).strip().rstrip('.')
        if not task:
            raise EmptyInstructionError('there is no task to imagine')
        if len(task) > MAX_TASK:
            raise InstructionTooLongError(f'{len(task)} characters, limit {MAX_TASK}')
        # No format(): an instruction may hold braces of its own.
        said = self.text.replace(TASK, task[:1].upper() + task[1:])
        comma, space = ('，', '') if self.language == 'zh' else (', ', ' ')
        return Prompt(
            space.join([said.strip(), *self.rules]),
            comma.join(self.negative),
            f'{self.name}@{self.version}',
        )


def load_prompt(name: str) -> PromptTemplate:
    """Read the template `name` of this folder, or the file at a path that ends in .yaml.

    Raises:
        ConfigurationError: there is none, or its keys are wrong.
    """
    path = Path(name) if name.endswith('.yaml') else FOLDER / f'{name}.yaml'
    if not path.is_file():
        raise ConfigurationError(f"no prompt '{name}'; known: {prompt_names()}")
    values = load_yaml(path) | {'name': path.stem}
    return from_mapping(PromptTemplate, values, where=f'prompt {name}')


def prompt_names() -> list[str]:
    """Return the names of the templates here."""
    return sorted(path.stem for path in FOLDER.glob('*.yaml'))
