# SPDX-License-Identifier: Apache-2.0
"""The journal of a run: a line per finished clip, so that a run can be taken up again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
import json
from pathlib import Path

from flow_manip_core.errors import RecordError
from flow_manip_learning.engine.rejection import Rejection

SAMPLE = 'sample'


@dataclass(frozen=True)
class JournalEntry:
    """What came of one clip.

    Attributes:
        key: of the clip.
        outcome: 'sample', or the reason of its rejection.
        numbers: of the rejection.
        summary: in a line.
        seconds: that it took.
        frames: that were looked at.
    """

    key: str
    outcome: str
    summary: str
    seconds: float
    frames: int
    numbers: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, key: str, rejection: Rejection | None, summary: str, seconds: float, frames: int
    ) -> JournalEntry:
        """Make an entry of an outcome."""
        outcome = SAMPLE if rejection is None else rejection.reason
        numbers = {} if rejection is None else dict(rejection.numbers)
        return cls(key, outcome, summary, round(seconds, 3), frames, numbers)


class Journal:
    """Appends entries to a file of JSON lines.

    Attributes:
        entries: by key; of a clip that was done twice, the later one.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there; half a line at the end, of a run that was killed, is cut off.

        Raises:
            RecordError: it cannot be read, or a line in the middle is damaged.
        """
        self.path = path
        self.entries: dict[str, JournalEntry] = {}
        try:
            data = path.read_bytes() if path.is_file() else b''
            whole = data[: data.rfind(b'\n') + 1]
            for number, line in enumerate(whole.splitlines(), 1):
                try:
                    entry = JournalEntry(**json.loads(line))
                except (ValueError, TypeError) as error:
                    raise RecordError(f'{path}, line {number}: {error}') from error
                self.entries[entry.key] = entry
            if whole != data:
                path.write_bytes(whole)
        except OSError as error:
            raise RecordError(f'{path}: {error}') from error

    def append(self, entry: JournalEntry) -> None:
        """Write one entry.

        Raises:
            RecordError: it cannot be written.
        """
        try:
            with self.path.open('a', encoding='utf-8') as file:
                file.write(json.dumps(vars(entry), allow_nan=False) + '\n')
        except (OSError, ValueError) as error:
            raise RecordError(f'{self.path}: {error}') from error
        self.entries[entry.key] = entry

    def counts(self) -> Counter[str]:
        """Return how often each outcome came."""
        return Counter(entry.outcome for entry in self.entries.values())
