# SPDX-License-Identifier: Apache-2.0
"""What a vision-language model is asked about candidates, and how its answer is read.

The gates and their order are NovaPlan's: the right object moves, physics is plausible, the motion
goes the right way, the end fits. The answer is untrusted: it must be exactly as asked for, or it
is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from typing import Any

from flow_manip_core.chat import NoAnswerError

MAX_REASON = 200  # characters that are kept
MAX_INSTRUCTION = 500
GATES = ('right_object', 'physics', 'direction', 'final_state')
GATE_WORDS = {
    'right_object': 'another object moves',
    'physics': 'the motion is not possible',
    'direction': 'it moves the wrong way',
    'final_state': 'its end is not what was asked for',
}
QUESTION = (
    'A robot was told: {instruction}. The object that should move is: {object}. The picture has '
    '{count} numbered tiles, each one proposed motion of that object. The upper half of a tile '
    'shows the ways of some of its points on what the camera sees now, blue where they start, red '
    'where they end, with a dot at the end. The lower half shows the object where the motion '
    'ends. Judge every tile by these questions in this order: right_object: does the object that '
    'was named move, and nothing else? physics: can a hand move it like that, without it '
    'jumping, growing, or passing through things? direction: does it go the way that the words '
    'ask for? final_state: is what was asked for done at the end? Then give a score between 0 '
    'and 1 for how well the motion as a whole does it, and one short sentence as the reason. '
    'Answer with JSON only: {{"candidates": [{{"id": 1, "right_object": true, "physics": true, '
    '"direction": true, "final_state": true, "score": 0.8, "reason": "..."}}, ...]}}, one entry '
    'per tile.'
)


@dataclass(frozen=True)
class Opinion:
    """What was said of one candidate.

    Attributes:
        failed: the first gate that it does not pass; '' if it passes all.
        score: 0..1.
        reason: in a sentence.
    """

    failed: str
    score: float
    reason: str

    @property
    def veto(self) -> str:
        """Why it must not be followed; '' where it may."""
        return f'{GATE_WORDS[self.failed]}: {self.reason}' if self.failed else ''


def question_of(instruction: str, label: str, count: int) -> str:
    """Put the question; the instruction is quoted as JSON, so that it stays a quotation."""
    return QUESTION.format(
        instruction=json.dumps(instruction[:MAX_INSTRUCTION], ensure_ascii=False),
        object=json.dumps(label[:MAX_INSTRUCTION], ensure_ascii=False),
        count=count,
    )


def answer_schema(numbers: Sequence[int]) -> dict[str, Any]:
    """Return the JSON schema of the answer about candidates of these numbers."""
    fields: dict[str, Any] = {'id': {'type': 'integer', 'enum': list(numbers)}}
    fields |= {gate: {'type': 'boolean'} for gate in GATES}
    fields |= {'score': {'type': 'number'}, 'reason': {'type': 'string'}}
    entry = {
        'type': 'object',
        'properties': fields,
        'required': list(fields),
        'additionalProperties': False,
    }
    return {
        'type': 'object',
        'properties': {'candidates': {'type': 'array', 'items': entry}},
        'required': ['candidates'],
        'additionalProperties': False,
    }


def read_opinions(text: str, numbers: Sequence[int]) -> dict[int, Opinion]:
    """Read an answer; a fence of back-quotes around it is allowed, nothing else.

    Raises:
        NoAnswerError: it is anything but one complete entry per number.
    """
    text = text.strip()
    if text.startswith('```') and text.endswith('```') and '\n' in text:
        text = text[text.index('\n') + 1 : -3]
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoAnswerError(f'the answer is no JSON: {str(error)[:100]}') from error
    if not isinstance(values, dict) or set(values) != {'candidates'}:
        raise NoAnswerError('the answer has not exactly "candidates"')
    entries = values['candidates']
    if not isinstance(entries, list) or len(entries) != len(numbers):
        got = len(entries) if isinstance(entries, list) else type(entries).__name__
        raise NoAnswerError(f'the answer has {got} candidates, {len(numbers)} were asked about')
    opinions = dict(_read_entry(entry) for entry in entries)
    if set(opinions) != set(numbers):
        raise NoAnswerError(
            f'the answer is about {sorted(opinions)}, asked was about {sorted(numbers)}'
        )
    return opinions


def _read_entry(entry: Any) -> tuple[int, Opinion]:
    """Read one candidate's entry.

    Raises:
        NoAnswerError: a field is missing, too much, or of another type.
    """
    expected = {'id', *GATES, 'score', 'reason'}
    if not isinstance(entry, dict) or set(entry) != expected:
        raise NoAnswerError(f'an entry has not exactly {sorted(expected)}')
    number, score, reason = entry['id'], entry['score'], entry['reason']
    if type(number) is not int or not isinstance(reason, str):
        raise NoAnswerError('"id" is no whole number, or "reason" no text')
    if type(score) not in (int, float) or not 0.0 <= score <= 1.0:
        raise NoAnswerError(f'the score of {number} is {str(score)[:20]}, expected 0..1')
    if any(not isinstance(entry[gate], bool) for gate in GATES):
        raise NoAnswerError(f'a gate of {number} is not true or false')
    failed = next((gate for gate in GATES if not entry[gate]), '')
    printable = ''.join(c if c.isprintable() else ' ' for c in reason)[:MAX_REASON]
    return number, Opinion(failed, float(score), printable)
