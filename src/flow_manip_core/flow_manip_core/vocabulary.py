# SPDX-License-Identifier: Apache-2.0
"""The words that instructions are made of, and how they are found."""

from __future__ import annotations

from dataclasses import dataclass
import re
import unicodedata

from flow_manip_core.parts import find_part

RELATIONS: dict[str, str] = {
    'on top of': 'on',
    'in the middle of': 'on',
    'in the center of': 'on',
    'in the centre of': 'on',
    'on to': 'on',
    'onto': 'on',
    'on': 'on',
    'upon': 'on',
    'atop': 'on',
    'in to': 'in',
    'into': 'in',
    'inside of': 'in',
    'inside': 'in',
    'within': 'in',
    'in front of': 'in_front_of',
    'in': 'in',
    'in back of': 'behind',
    'behind': 'behind',
    'next to': 'next_to',
    'beside': 'next_to',
    'besides': 'next_to',
    'by': 'next_to',
    'near to': 'next_to',
    'near': 'next_to',
    'close to': 'next_to',
    'alongside': 'next_to',
    'adjacent to': 'next_to',
    'between': 'between',
    'under': 'under',
    'underneath': 'under',
    'beneath': 'under',
    'below': 'under',
    'out of': 'from',
    'off of': 'from',
    'off': 'from',
    'from': 'from',
    **{
        f'{start}{side}{end}': f'{side}_of'
        for side in ('left', 'right')
        for start in ('', 'to the ', 'on the ', 'at the ', 'to ')
        for end in (' of', ' side of', ' hand side of', ' from')
    },
}
GOALS = ('on', 'in', 'next_to', 'left_of', 'right_of', 'in_front_of', 'behind', 'between')
DIRECTIONS: dict[str, str] = {
    **dict.fromkeys(('aside', 'to the side', 'sideways', 'out of the way'), 'aside'),
    **{
        f'{start}{side}{end}': side
        for side in ('left', 'right')
        for start in ('', 'to the ', 'towards the ', 'toward the ')
        for end in ('', 'wards')
    },
    **dict.fromkeys(('away', 'farther away', 'further away', 'forward', 'forwards'), 'away'),
    **dict.fromkeys(('towards', 'toward', 'closer to', 'closer', 'nearer'), 'towards'),
    **dict.fromkeys(('back', 'backward', 'backwards'), 'towards'),
}
UPRIGHT = ('upright', 'the right way up', 'right way up', 'on its base', 'up')
VERBS: dict[str, str] = {
    **dict.fromkeys(('pick up', 'pick', 'lift up', 'lift', 'raise', 'grab', 'grasp'), 'lift'),
    **dict.fromkeys(('take', 'hold up', 'hold'), 'lift'),
    **dict.fromkeys(
        ('put down', 'put', 'place', 'set down', 'set', 'lay', 'drop', 'pick and place'), 'put'
    ),
    **dict.fromkeys(('stack', 'position', 'bring', 'move', 'transfer', 'store'), 'put'),
    **dict.fromkeys(('push', 'slide', 'shove', 'nudge'), 'push'),
    **dict.fromkeys(('pour', 'water', 'fill', 'give', 'use'), 'pour'),
    **dict.fromkeys(('hang', 'hang up'), 'hang'),
    **dict.fromkeys(('insert', 'plug'), 'insert'),
    **dict.fromkeys(('open', 'pull', 'fold', 'swing'), 'open'),
    **dict.fromkeys(('close', 'shut'), 'close'),
    **dict.fromkeys(('turn', 'stand up', 'stand', 'flip', 'rotate', 'make'), 'turn_upright'),
}
MOVING_VERBS = frozenset(('move', 'bring'))  # 'move it left' means a push, 'put it left' nothing
ARTICLES = frozenset(
    ('the', 'a', 'an', 'this', 'that', 'these', 'those', 'my', 'your', 'our', 'its')
)
PRONOUNS = frozenset(('it', 'them', 'him', 'her', 'itself', 'this', 'that'))
COPULAS = frozenset(('is', 'was', 'lies', 'lying', 'stands', 'standing', 'sits', 'sitting'))
CLAUSE_OPENERS = frozenset(('that', 'which'))
FILLERS = frozenset(
    (
        *('please', 'could', 'can', 'would', 'will', 'you', 'now', 'then', 'just', 'kindly', 'ok'),
        *('okay', 'so', 'and', 'hey', 'hi', 'hello', 'robot', 'first', 'next', 'finally', 'try'),
        *('to', 'i', 'want', 'need', 'like', "i'd", 'id', "let's", 'lets', 'go', 'ahead', 'your'),
        *('job', 'is', 'task', 'gently', 'carefully', 'slowly', 'quickly', 'well', 'also', ','),
    )
)
TRAILERS = frozenset(
    (
        *('please', 'now', 'thanks', 'thank', 'you', 'for', 'me', 'gently', 'carefully'),
        *('slowly', 'quickly', 'again', 'robot', 'ok', 'okay', 'then', 'only', ','),
    )
)
NEGATIONS = frozenset(('not', 'never', "don't", 'dont', "doesn't", "won't", 'without', "can't"))
NOT_NOUNS = frozenset(('top', 'inside', 'there', 'here', 'somewhere', 'place'))
TABLES = frozenset(('table', 'tabletop', 'desk', 'floor', 'ground', 'surface', 'counter'))

_TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[,.;:!?]")
STOPS = frozenset('.;:!?')


@dataclass(frozen=True)
class RelationMatch:
    """A relation found among tokens: its name and the half-open range of tokens that say it."""

    name: str
    start: int
    stop: int
    bound: bool = False  # follows 'that is': describes the noun before it, never the goal


def clean_text(text: str) -> str:
    """Return `text` in compatibility form, control characters and white space as one space."""
    folded = unicodedata.normalize('NFKC', text).replace('’', "'").replace('‘', "'")
    visible = (' ' if unicodedata.category(c)[0] in 'CZ' else c for c in folded)
    return ' '.join(''.join(visible).split())


def tokenize(text: str) -> list[str]:
    """Return the words of `text` in lower case; punctuation marks are words of their own."""
    return _TOKEN.findall(text.casefold())


def without_articles(tokens: list[str]) -> list[str]:
    """Return `tokens` without leading articles and without punctuation at either end."""
    start, stop = 0, len(tokens)
    while start < stop and (tokens[start] in ARTICLES or not tokens[start][0].isalnum()):
        start += 1
    while stop > start and not tokens[stop - 1][0].isalnum():
        stop -= 1
    return tokens[start:stop]


def match_longest(tokens: list[str], at: int, table: dict[str, str]) -> tuple[str, int] | None:
    """Return the value of the longest entry of `table` at `at`, and the index behind it."""
    for length in range(min(5, len(tokens) - at), 0, -1):
        value = table.get(' '.join(tokens[at : at + length]))
        if value is not None:
            return value, at + length
    return None


def verb_at(tokens: list[str], at: int) -> tuple[str, int] | None:
    """Return the action of the verb at `at`, and the index behind it; None if there is none."""
    if tokens[at : at + 2] == ['close', 'to']:  # a relation
        return None
    return match_longest(tokens, at, VERBS)


def find_relations(tokens: list[str]) -> list[RelationMatch]:
    """Return the relations among `tokens` in order; 'that is' before one belongs to its range."""
    found: list[RelationMatch] = []
    at = 0
    # 'by its handle' says how to hold something, not where it lies.
    _, held_from, held_to = find_part(tokens) or ('', 0, 0)
    while at < len(tokens):
        match = match_longest(tokens, at, RELATIONS)
        held = held_from <= at < held_to
        # 'the cube on the left' is a description, 'the one in front' too: no noun follows.
        if match is None or held or match[1] >= len(tokens) or _is_side(tokens, match[1]):
            at += 1
            continue
        start = at
        while start > 0 and tokens[start - 1] in COPULAS | {'located', 'placed', 'currently'}:
            start -= 1
        bound = start > 0 and tokens[start - 1] in CLAUSE_OPENERS | {"that's", "it's"}
        start -= bound
        found.append(RelationMatch(match[0], start, match[1], bound or start < at))
        at = match[1]
    return found


def _is_side(tokens: list[str], at: int) -> bool:
    """Say whether a bare side stands at `at`, as in 'on the left' that no 'of' follows."""
    rest = [t for t in tokens[at : at + 4] if t not in ARTICLES and t not in ('far', 'very')]
    if not rest or rest[0] not in ('left', 'right', 'middle', 'center', 'front', 'back', 'side'):
        return False
    follows = rest[2:] if rest[1:2] in (['side'], ['hand']) else rest[1:]
    return not follows or follows[0] in RELATIONS or not follows[0][0].isalnum()
