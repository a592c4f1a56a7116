# SPDX-License-Identifier: Apache-2.0
"""One JSON line per finished trial: what a run is continued from and its table computed from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
import json
import os
from pathlib import Path
from typing import Any

from flow_manip_core.errors import RecordError
from flow_manip_task.evaluation.conditions import Condition, Job

VERSION = 1


@dataclass(frozen=True)
class TrialLine:
    """How one trial ended.

    Attributes:
        condition: it belongs to.
        seed: of the trial.
        instruction: in words.
        success: what the simulator's state says.
        failure: class of the failure, 'none' after a success.
        code: what the pipeline reported for the step it ended in.
        name: of the code.
        message: what the pipeline reported.
        progress: of the task's stages, in order, which are done by the simulator's state.
        steps_done: steps of the task that the pipeline finished.
        attempts: in all steps together.
        seconds: wall time per stage, all steps together [s].
        total_seconds: wall time of all steps [s].
        simulated_seconds: by the simulator's clock [s].
        disturbed: what went wrong on purpose, in words; empty where nothing did.
        error_metres: what moved last against the end of its flow, as the pipeline saw it; None if
            unseen.
    """

    condition: Condition
    seed: int
    instruction: str
    success: bool
    failure: str
    code: int
    name: str
    message: str
    progress: dict[str, bool]
    steps_done: int = 0
    attempts: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    total_seconds: float = 0.0
    simulated_seconds: float = 0.0
    disturbed: str = ''
    error_metres: float | None = None

    @property
    def job(self) -> Job:
        """What was to be done."""
        return Job(self.condition, self.seed)

    def as_json(self) -> dict[str, Any]:
        """Return it with the condition's fields beside its own."""
        values = asdict(self)
        return {'version': VERSION} | values.pop('condition') | values

    @classmethod
    def from_json(cls, values: Any) -> TrialLine:
        """Read what `as_json` gave.

        Raises:
            RecordError: a field is missing, unknown or of another type, or of another version.
        """
        if not isinstance(values, dict) or values.get('version') != VERSION:
            raise RecordError(f'no line of version {VERSION}')
        rest = {name: value for name, value in values.items() if name != 'version'}
        try:
            condition = Condition(**{f.name: rest.pop(f.name) for f in fields(Condition)})
            line = cls(condition=condition, **rest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(f'a line does not hold a trial: {error}') from error
        if not isinstance(line.seed, int) or not isinstance(line.success, bool):
            raise RecordError(f'seed {line.seed!r} or success {line.success!r} is of no use')
        return line


class TrialLog:
    """A file of trial lines that only grows."""

    def __init__(self, path: Path) -> None:
        """Name the file; it need not exist."""
        self.path = path

    def read(self) -> dict[Job, TrialLine]:
        """Return what is finished; a last line without its end does not count.

        It is what a killed run leaves.

        Raises:
            RecordError: the file cannot be read, or a line is broken.
        """
        try:
            text = self.path.read_text(encoding='utf-8')
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f'{self.path}: {error}') from error
        found: dict[Job, TrialLine] = {}
        for number, line in enumerate(text.split('\n')[:-1], start=1):
            try:
                trial = TrialLine.from_json(json.loads(line))
            except (ValueError, RecordError) as error:
                raise RecordError(
                    f'{self.path}, line {number}: {error}; mend it or name another file'
                ) from error
            found[trial.job] = trial
        return found

    def prepare(self) -> None:
        """Make the folder and cut off a broken last line, so that lines can be appended.

        Raises:
            RecordError: it cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open('ab+') as file:
                file.seek(0)
                whole = file.read().rfind(b'\n') + 1
                file.truncate(whole)
        except OSError as error:
            raise RecordError(f'{self.path}: {error.strerror}') from error

    def append(self, lines: Iterable[TrialLine]) -> None:
        """Write lines and wait until they are on the disk.

        Raises:
            RecordError: it cannot be written.
        """
        text = ''.join(json.dumps(line.as_json(), allow_nan=False) + '\n' for line in lines)
        try:
            with self.path.open('a', encoding='utf-8') as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RecordError(f'{self.path}: {error.strerror}') from error
