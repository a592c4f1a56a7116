# SPDX-License-Identifier: Apache-2.0
"""Words to bodies of the simulator, by what everything on the table is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flow_manip_core.errors import (
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
)
from flow_manip_core.instruction import find_relations, tokenize, without_articles
from flow_manip_core.parts import find_part
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks.task import TaskStep

TABLE = 'table'
_TABLES = frozenset((TABLE, 'tabletop', 'desk'))
_ANYTHING = frozenset(('thing', 'object', 'item'))
# Parts that are no bodies of their own stand for the whole.
_ALSO = {
    'board': ('hole',),
    'mug tree': ('peg', 'branch'),
    'rack': ('hook',),
    'plant': ('pot', 'cactus'),
    'pen holder': ('pot',),
}
# Looks that things here are not told apart by, unless they are called so.
_LOOKS = frozenset(('little', 'small', 'big', 'large', 'square', 'round', 'whole'))
_HIGHEST = frozenset(('top', 'upper', 'uppermost', 'highest', 'first'))


@dataclass(frozen=True)
class _Called:
    """What a body is called: its nouns, all words that fit it, and those of its name."""

    nouns: frozenset[str]
    words: frozenset[str]
    name: frozenset[str]


def find_body(cell: SimulatedCell, phrase: str, steps: Sequence[TaskStep] = ()) -> str:
    """Return the body that a noun phrase means, or 'table'.

    What the task's steps call their objects goes first; else the noun must fit, all other words
    too, and only one thing, or one better than all others.

    Raises:
        PhraseNotUnderstoodError: there is no noun.
        ObjectAbsentError: nothing is called that.
        ObjectAmbiguousError: several things are.
    """
    words = head_words(phrase)
    if not words:
        raise PhraseNotUnderstoodError(f"'{phrase}' names nothing")
    for step in steps:
        if set(words) == {*tokenize(step.object)}:
            return step.body
    if words[-1] in _TABLES:
        return TABLE
    called = {name: _called(cell, name) for name in cell.body_names}
    fitting = [
        name
        for name, it in called.items()
        if set(words) - _LOOKS <= it.words and (words[-1] in it.nouns or words[-1] in _ANYTHING)
    ]
    # 'cabinet' is the cabinet, not its door: the fewest words of a name that were not said.
    unsaid = {name: len(called[name].name - set(words)) for name in fitting}
    best = [name for name in fitting if unsaid[name] == min(unsaid.values())]
    if not best:
        raise ObjectAbsentError(f"nothing is called '{phrase}'; there are {list(called)}")
    if len(best) > 1:
        raise ObjectAmbiguousError(f"'{phrase}' may be any of {best}")
    return best[0]


def head_words(phrase: str) -> list[str]:
    """Return the words of a phrase up to where it says where the thing is or how it is held.

    The noun comes last: 'lid of the toolbox' gives 'toolbox lid'.
    """
    tokens = without_articles(tokenize(phrase))
    part, relations = find_part(tokens), find_relations(tokens)
    ends = [relations[0].start] if relations else []
    ends += [part[1]] if part is not None and part[1] > 0 else []
    head = tokens[: min(ends, default=len(tokens))]
    if 'of' in head[1:]:
        at = head.index('of', 1)
        head = head[at + 1 :] + head[:at]
    return [word for word in head if word[0].isalnum() and without_articles([word])]


def _called(cell: SimulatedCell, name: str) -> _Called:
    """Return what an object or a part of a fixture is called."""
    own = frozenset(name.split('_'))
    for spec in cell.objects:
        if spec.name == name:
            noun = spec.noun.split()
            nouns = {noun[-1], spec.category, *spec.words}
            return _Called(
                frozenset(nouns), frozenset({spec.colour, *noun, *nouns, *own, *_ANYTHING}), own
            )
    for fixture in cell.fixtures:
        words = {*fixture.noun.split(), *fixture.colour.split(), *fixture.name.split('_')}
        for body in fixture.bodies:
            if fixture.body_name(body.name) != name:
                continue
            if not body.name:
                nouns = {fixture.noun.split()[-1], fixture.name.split('_')[-1]}
                nouns |= {*_ALSO.get(fixture.noun, ())}
                return _Called(frozenset(nouns), frozenset({*words, *nouns}), own)
            kind = body.name.rstrip('0123456789')
            first = _HIGHEST if body.name.endswith('0') else frozenset()
            return _Called(frozenset({kind}), frozenset({*words, kind, *first}), own | {kind})
    raise ObjectAbsentError(f"nothing is called '{name}'")
