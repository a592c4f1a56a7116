# SPDX-License-Identifier: Apache-2.0
"""Ways to say something that are not verb, object, place: pouring, opening, closing, inserting.

They only find which words name what; `instruction` makes noun phrases of them, or refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flow_manip_core.vocabulary import (
    COPULAS,
    find_relations,
    PRONOUNS,
    RELATIONS,
    verb_at,
    without_articles,
)

Words = Sequence[str]

# A content that names what it is poured from.
VESSELS = {'tea': 'teapot', 'coffee': 'coffee pot'}
CAN = ('watering', 'can')
AMOUNTS = frozenset(('some', 'little', 'bit', 'more', 'fresh', 'hot', 'cold', 'of'))
INTO = frozenset(('into', 'onto'))
OVER = frozenset(('over',))
SOURCES = frozenset(('from', 'with', 'using'))
OPENING = frozenset(('pull', 'slide', 'fold', 'swing', 'push', 'move', 'draw', 'flip'))
OPENED, CLOSED = frozenset(('open', 'out', 'down')), frozenset(('shut', 'closed'))
STATES = frozenset(('open', 'closed', 'shut', 'empty', 'full', 'dry', 'thirsty'))
PARTS_THAT_OPEN = frozenset(('lid', 'door', 'drawer', 'cover'))
DUTIES = frozenset(('must', 'should', 'needs', 'has', 'first'))


@dataclass(frozen=True)
class Form:
    """Which words of an instruction name what.

    Attributes:
        action: as in `Instruction`.
        object: words of what moves, with articles.
        relation: as in `Instruction`.
        references: words of what it refers to.
        missing: what to say where a reference has no words.
    """

    action: str
    object: tuple[str, ...]
    relation: str = ''
    references: tuple[tuple[str, ...], ...] = ()
    missing: str = 'it names nothing to pour into or on'


def read_form(tokens: Words) -> Form | None:
    """Read one clause that is none of 'verb object place'; None if it is."""
    words = list(tokens)
    for read in (_pour, _hang, _stand_in, _open_or_close, _put_in_closed):
        form = read(words)
        if form is not None:
            return form
    return None


def statement_about(clauses: Sequence[Words]) -> list[str] | None:
    """Return what a first clause such as 'the cabinet is open' is about; None if it is none."""
    if len(clauses) != 2 or len(clauses[0]) < 3:
        return None
    *about, copula, state = clauses[0]
    says = copula in COPULAS and state in STATES and verb_at(list(about), 0) is None
    return list(about) if says else None


def read_two_clauses(clauses: Sequence[Words]) -> Form | None:
    """Read what takes two clauses to say; None if it is something else.

    'Open X and put Y in', 'put Y in X; its lid must be opened', 'turn X upright and put it in Y'.
    """
    if len(clauses) != 2:
        return None
    first, second = list(clauses[0]), list(clauses[1])
    if 'upright' in first[-1:] and (verb_at(first, 0) or ('', 0))[0] == 'turn_upright':
        return _insert_upright(first, second)
    needs_opening = PARTS_THAT_OPEN & set(second[:2]) and DUTIES & set(second)
    if needs_opening and {'open', 'opened'} & set(second):
        put = _put_words(first)
        return None if put is None else _opened(*put)
    opened = _what_is_opened(first)
    put = None if opened is None else _put_words(second)
    if opened is None or put is None:
        return None
    thing, place = put
    # 'in', 'inside', 'in it', 'in the toolbox': the same place, or another one.
    if not without_articles(list(place)) or place[0] in PRONOUNS or place == opened:
        return _opened(thing, opened)
    return None


def _opened(thing: Words, place: Words) -> Form:
    missing = 'it names nothing to put it in'
    return Form('open_and_put', tuple(thing), 'in', (tuple(place),), missing)


def _what_is_opened(words: list[str]) -> tuple[str, ...] | None:
    """Return the words of what 'open X' or 'lift the lid of X' opens."""
    form = _open_or_close(words)
    if form is not None:
        return form.object if form.action == 'open' else None
    verb = verb_at(words, 0)
    if verb is None or verb[0] != 'lift':
        return None
    part = without_articles(words[verb[1] :])
    if len(part) > 2 and part[0] in PARTS_THAT_OPEN and part[1] == 'of':
        return tuple(part[2:])
    return None


def _put_words(words: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Split 'put Y in X' into Y and X, which may be empty; None if it is no such put."""
    verb = verb_at(words, 0)
    if verb is None or verb[0] != 'put':
        return None
    rest = words[verb[1] :]
    if rest and RELATIONS.get(rest[-1]) == 'in':
        return tuple(rest[:-1]), ()
    places = [r for r in find_relations(rest) if r.name == 'in' and not r.bound]
    if not places:
        return None
    return tuple(rest[: places[-1].start]), tuple(rest[places[-1].stop :])


def _pour(words: list[str]) -> Form | None:
    """Read pouring, filling, watering, giving water, and using something for that."""
    verb = words[0] if words else ''
    if verb == 'use' and 'to' in words:
        at = words.index('to')
        inner = _pour(words[at + 1 :])
        return None if inner is None else replace(inner, object=tuple(words[1:at]))
    if verb == 'water':
        target, source = _cut(words[1:], SOURCES)
        return Form('pour', source or CAN, 'on', (target,))
    if verb == 'give' and words[-1] == 'water':
        named = [w for w in words[1:-1] if w not in AMOUNTS]
        if named[-1:] == ['a']:  # 'a little'
            named.pop()
        return Form('pour', CAN, 'on', (tuple(named),))
    if verb == 'fill':
        target, rest = _cut(words[1:], SOURCES)
        content, source = _cut(rest, SOURCES)
        return Form('pour', source or _vessel(content, 'in'), 'in', (target,))
    return _pour_content(words[1:]) if verb == 'pour' else None


def _pour_content(rest: list[str]) -> Form:
    """Read 'tea from the pot into the cup', in either order, and without the pot."""
    at = _goal(rest)
    if at is None:
        return Form('pour', tuple(rest), '', ((),))
    relation = 'in' if RELATIONS.get(rest[at]) == 'in' else 'on'
    content, source = _cut(rest[:at], SOURCES)
    target, late = _cut(rest[at + 1 :], SOURCES)
    return Form('pour', source or late or _vessel(content, relation), relation, (target,))


def _goal(rest: list[str]) -> int | None:
    """Return the index of the word before what is poured into; 'into' says it most clearly."""
    clear = [i for i, word in enumerate(rest) if word in INTO]
    if clear:
        return clear[-1]
    places = [i for i, w in enumerate(rest) if w in OVER or RELATIONS.get(w) in ('in', 'on')]
    if not places:
        return None
    # 'from the can on the left on the plant', but 'in the cup on the plate'.
    return places[-1] if SOURCES & set(rest[: places[0]]) else places[0]


def _vessel(content: Words, relation: str) -> tuple[str, ...]:
    """Return the words of what a content is poured from."""
    bare = [word for word in without_articles(list(content)) if word not in AMOUNTS]
    if bare == ['water'] and relation == 'on':
        return CAN
    if len(bare) == 1 and bare[0] in VESSELS:
        return tuple(VESSELS[bare[0]].split())
    return tuple(bare)


def _cut(words: Words, at: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split at the first of some words, which belongs to neither part."""
    for index, word in enumerate(words):
        if word in at:
            return tuple(words[:index]), tuple(words[index + 1 :])
    return tuple(words), ()


def _hang(words: list[str]) -> Form | None:
    """Read 'hang X up' without a place, and 'hang X from Y'."""
    if words[:1] != ['hang']:
        return None
    rest = [word for word in words[1:] if word != 'up']
    relations = [r for r in find_relations(rest) if not r.bound]
    if not relations:
        return Form('hang', tuple(rest))
    places = [r for r in relations if r.name == 'on']
    place = (places or relations)[-1]
    named = tuple(rest[place.stop :]) if place.name in ('on', 'from') else ()
    missing = 'it names nothing to hang it on'
    return Form('hang', tuple(rest[: place.start]), 'on', (named,), missing)


def _stand_in(words: list[str]) -> Form | None:
    """Read 'stand the pen in the holder': it must be turned upright for that."""
    if words[:1] != ['stand'] or words[-1] in ('up', 'upright'):
        return None
    put = _put_words(['put', *(word for word in words[1:] if word != 'upright')])
    return None if put is None else _inserted(*put)


def _insert_upright(first: list[str], second: list[str]) -> Form | None:
    """Read 'turn the pen upright and put it in the holder'."""
    put = _put_words(second)
    if put is None or not put[0] or put[0][0] not in PRONOUNS:
        return None
    verb = verb_at(first, 0)
    return None if verb is None else _inserted(first[verb[1] : -1], put[1])


def _inserted(thing: Words, place: Words) -> Form:
    return Form('insert', tuple(thing), 'in', (tuple(place),), 'it names nothing to put it in')


def _open_or_close(words: list[str]) -> Form | None:
    """Read 'open X', 'pull X open by its handle', 'swing X shut' and the like."""
    verb = words[0] if words else ''
    if verb == 'open' or (verb in ('close', 'shut') and verb_at(words, 0) is not None):
        return Form('open' if verb == 'open' else 'close', tuple(words[1:]))
    if verb not in OPENING:
        return None
    for index, word in enumerate(words):
        after = words[index + 1] if index + 1 < len(words) else ''
        ends = after in ('', 'by', 'at', 'with')
        if index == 0 or not (index == 1 or ends) or after == 'of':
            continue
        if word in CLOSED or word in OPENED:
            action = 'close' if word in CLOSED else 'open'
            return Form(action, (*words[1:index], *words[index + 1 :]))
    return None


def _put_in_closed(words: list[str]) -> Form | None:
    """Read 'put Y in the closed X'."""
    put = _put_words(words)
    bare = [] if put is None else without_articles(list(put[1]))
    return _opened(put[0], bare[1:]) if put and bare and bare[0] in CLOSED else None
