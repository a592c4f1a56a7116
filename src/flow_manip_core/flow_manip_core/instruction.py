# SPDX-License-Identifier: Apache-2.0
"""Reading instructions: what is to be done with which object, relative to which others.

The grammar is small and says what it misses instead of guessing::

    [please | could you | ...] verb object [relation reference | direction | upright]
    pick up object and verb it ...

A chain such as 'put the cube left of the plate in the bowl' has one relation that names the goal:
the last 'in' or 'on', or the last relation where there is neither. What stands before it belongs
to the object, what stands after it to the reference. A relation after 'that is' or 'which is'
never names the goal.
"""

from __future__ import annotations

from dataclasses import dataclass
import re
import unicodedata

from flow_manip_core.errors import (
    EmptyInstructionError,
    InstructionNotUnderstoodError,
    InstructionTooLongError,
    InvalidInputError,
)
from flow_manip_core.parts import find_part

MAX_LENGTH = 500  # characters; longer than anyone would say
QUOTED = 80  # characters of the input that a message repeats

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
    **dict.fromkeys(('stack', 'position', 'insert', 'bring', 'move', 'transfer'), 'put'),
    **dict.fromkeys(('push', 'slide', 'shove', 'nudge'), 'push'),
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
        *('slowly', 'quickly', 'again', 'robot', 'ok', 'okay', 'then', ','),
    )
)
NEGATIONS = frozenset(('not', 'never', "don't", 'dont', "doesn't", "won't", 'without', "can't"))
NOT_NOUNS = frozenset(('top', 'inside', 'there', 'here', 'somewhere', 'place'))
TABLES = frozenset(('table', 'tabletop', 'desk', 'floor', 'ground', 'surface', 'counter'))

_TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[,.;:!?]")
_STOP = frozenset('.;:!?')


@dataclass(frozen=True)
class Instruction:
    """An instruction, taken apart.

    Attributes:
        text: as given, white space normalised, control characters taken out.
        action: 'put', 'lift', 'push', 'turn_upright'.
        object: noun phrase of the object that moves, e.g. 'red cube left of the bowl' or 'mug by
            its handle' (see `parts`).
        relation: of a put: 'on', 'in', 'next_to', 'left_of', 'right_of', 'in_front_of', 'behind',
            'between'; of a push: 'aside', 'left', 'right', 'away', 'towards'; else ''.
        references: noun phrases of the objects that the relation refers to; empty where it needs
            none, two for 'between'.
    """

    text: str
    action: str
    object: str
    relation: str = ''
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class RelationMatch:
    """A relation found among tokens: its name and the half-open range of tokens that say it."""

    name: str
    start: int
    stop: int
    bound: bool = False  # follows 'that is': describes the noun before it, never the goal


def parse_instruction(text: str) -> Instruction:
    """Take an instruction apart.

    Upper and lower case are the same; control and formatting characters count as white space.

    Args:
        text: at most `MAX_LENGTH` characters.

    Raises:
        EmptyInstructionError: there are no words.
        InstructionTooLongError: it is longer than `MAX_LENGTH`; nothing else is looked at.
        InstructionNotUnderstoodError: with what is missing: the verb, the object, the place, or
            that it is negated or asks for more than one thing.
        InvalidInputError: `text` is no string.
    """
    if not isinstance(text, str):
        raise InvalidInputError(f'the instruction is {type(text).__name__}, expected text')
    if len(text) > MAX_LENGTH:
        raise InstructionTooLongError(
            f'the instruction has {len(text)} characters, at most {MAX_LENGTH} are read'
        )
    clean = clean_text(text)
    tokens = tokenize(clean)
    if not any(token[0].isalnum() for token in tokens):
        raise EmptyInstructionError('the instruction has no words')
    return _Reader(clean).read(tokens)


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


class _Reader:
    """Reads one instruction; holds its text for messages."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, tokens: list[str]) -> Instruction:
        """Split into clauses and put the one or two of them together."""
        if NEGATIONS.intersection(tokens):
            raise self._refuse('it says what not to do')
        clauses = _clauses(_trim(tokens))
        first = self._clause(clauses[0], '')
        if len(clauses) == 1:
            return first
        if len(clauses) > 2 or first.action != 'lift':
            raise self._refuse('it asks for more than one thing; give one at a time')
        second = self._clause(clauses[1], first.object)
        if second.object != first.object:
            raise self._refuse(f"it names two objects, '{first.object}' and '{second.object}'")
        return second

    def _refuse(self, why: str) -> InstructionNotUnderstoodError:
        """Make the error that says what is missing and quotes a bounded part of the text."""
        shown = self._text if len(self._text) <= QUOTED else self._text[: QUOTED - 3] + '...'
        why = why if len(why) <= 2 * QUOTED else why[: 2 * QUOTED - 3] + '...'
        return InstructionNotUnderstoodError(f"{why}: '{shown}'")

    def _clause(self, tokens: list[str], antecedent: str) -> Instruction:
        """Read one clause; pronouns stand for `antecedent`."""
        found = match_longest(tokens, 0, VERBS)
        if found is None:
            known = 'put, pick up, push, turn upright'
            raise self._refuse(f'no verb that is known ({known}, ...) where one is expected')
        action, at = found
        verb, rest = tokens[0], tokens[at:]
        upright = self._upright(action, verb, rest, antecedent)
        if upright is not None:
            return upright
        if action == 'turn_upright':
            raise self._refuse("of turning, only 'upright' is known")
        if action == 'lift':
            return self._lift(rest, antecedent)
        pushed = self._push(rest, antecedent, must=action == 'push')
        if pushed is not None and (action == 'push' or verb in MOVING_VERBS):
            return pushed
        if pushed is not None and pushed.relation == 'aside':
            return pushed
        return self._put(rest, antecedent)

    def _make(
        self, action: str, words: list[str], antecedent: str, relation: str = '', *refs: str
    ) -> Instruction:
        """Build the result from the object's words, or the object that a pronoun stands for."""
        name = self._noun(words, antecedent, 'it names no object')
        return Instruction(self._text, action, name, relation, tuple(refs))

    def _noun(self, words: list[str], antecedent: str, missing: str) -> str:
        """Return a noun phrase without its article, refusing none at all and more than one."""
        bare = without_articles(words)
        if not bare and (not words or words[0] not in PRONOUNS):
            if antecedent and not words:
                return antecedent
            raise self._refuse(missing)
        if not bare or (bare[0] in PRONOUNS and len(bare) == 1):
            if antecedent:
                return antecedent
            raise self._refuse(f"{missing}: nobody says what '{' '.join(words)}' is")
        relations = find_relations(bare)
        head = bare[: relations[0].start] if relations else bare
        if not without_articles(head) or bare[0] in NOT_NOUNS:
            raise self._refuse(missing)
        if 'and' in head or 'or' in head:
            raise self._refuse(f"'{' '.join(head)}' is more than one object; name one at a time")
        return ' '.join(word for word in bare if word[0].isalnum())

    def _lift(self, rest: list[str], antecedent: str) -> Instruction:
        """Read 'X', 'X up' or 'up X' after a verb of lifting."""
        if rest and rest[-1] == 'up':
            rest = rest[:-1]
        elif rest and rest[0] == 'up':
            rest = rest[1:]
        return self._make('lift', rest, antecedent)

    def _upright(
        self, action: str, verb: str, rest: list[str], antecedent: str
    ) -> Instruction | None:
        """Read 'turn X upright', 'stand X up'; None if the clause is about something else."""
        if action == 'turn_upright' and verb == 'stand' and (rest and rest[-1] != 'up'):
            rest = [*(rest[1:] if rest[0] == 'up' else rest), 'upright']
            if rest[-2:] == ['upright', 'upright']:
                rest = rest[:-1]
        for phrase in UPRIGHT:
            words = phrase.split()
            if phrase == 'up' and verb not in ('stand', 'make'):
                continue
            if rest[-len(words) :] == words and action in ('turn_upright', 'put'):
                body = rest[: -len(words)]
                if body and body[-1] in ('stand', 'be'):  # 'make the bottle stand upright'
                    body = body[:-1]
                return self._make('turn_upright', body, antecedent)
        if 'upright' in rest and action in ('turn_upright', 'put'):
            if rest[0] == 'upright':
                return self._make('turn_upright', rest[1:], antecedent)
            raise self._refuse("nothing may follow 'upright'; give one thing at a time")
        return None

    def _push(self, rest: list[str], antecedent: str, must: bool) -> Instruction | None:
        """Read 'X aside', 'X away from Y', 'aside X'; without direction None, or an error."""
        for at in range(len(rest)):
            match = match_longest(rest, at, DIRECTIONS)
            if match is None or match_longest(rest, at, RELATIONS) not in (None, ('from', at + 2)):
                continue
            direction, stop = match
            tail = rest[stop:]
            if tail and tail[0] in ('from', 'to') and direction in ('away', 'towards'):
                tail = tail[1:]
            if not tail:
                return self._make('push', rest[:at], antecedent, direction)
            if at == 0 and direction in ('aside', 'away') and stop == 1:  # 'push aside the cube'
                return self._make('push', tail, antecedent, direction)
            if direction in ('away', 'towards') and at > 0:
                reference = self._noun(tail, '', f"nothing follows '{direction}'")
                return self._make('push', rest[:at], antecedent, direction, reference)
        if not must:
            return None
        if any(not relation.bound for relation in find_relations(rest)):
            raise self._refuse('a push needs aside, left, right, away or towards at its end')
        return self._make('push', rest, antecedent, 'aside')

    def _put(self, rest: list[str], antecedent: str) -> Instruction:
        """Read 'X <relation> Y'."""
        relations = _without_table(rest, find_relations(rest))
        pronoun = bool(antecedent) and (
            not rest or rest[0] in PRONOUNS or match_longest(rest, 0, RELATIONS) is not None
        )
        free = [r for r in relations if not r.bound and r.name != 'from']
        if not free:
            if not without_articles(rest) and not antecedent:
                raise self._refuse('it names no object')
            raise self._refuse('it names no place (in, on, next to, left of ... what?)')
        places = [r for r in free if r.name in ('in', 'on')]
        goal = free[0] if pronoun else (places or free)[-1]
        if goal.name not in GOALS:
            raise self._refuse(f"nothing can be put '{goal.name}' something")
        references = self._references(goal, rest[goal.stop :])
        return self._make('put', rest[: goal.start], antecedent, goal.name, *references)

    def _references(self, goal: RelationMatch, words: list[str]) -> tuple[str, ...]:
        """Return the noun phrases behind the goal's relation: two for 'between', else one."""
        missing = f"nothing follows '{goal.name.replace('_', ' ')}'"
        if goal.name != 'between':
            return (self._noun(words, '', missing),)
        if 'and' not in words:
            raise self._refuse("'between' needs two things")
        at = words.index('and')
        return (
            self._noun(words[:at], '', missing),
            self._noun(words[at + 1 :], '', missing),
        )


def _without_table(tokens: list[str], relations: list[RelationMatch]) -> list[RelationMatch]:
    """Drop 'on the table' where something else says the place: everything stands on the table."""
    if len(relations) < 2:
        return relations
    kept = []
    for relation in relations:
        noun = without_articles(tokens[relation.stop :])[:1]
        if relation.name == 'on' and noun and noun[0] in TABLES:
            continue
        kept.append(relation)
    return kept or relations


def _trim(tokens: list[str]) -> list[str]:
    """Drop courtesies at both ends."""
    start, stop = 0, len(tokens)
    while start < stop and (tokens[start] in FILLERS or tokens[start] in _STOP):
        start += 1
    while stop > start and (tokens[stop - 1] in TRAILERS or tokens[stop - 1] in _STOP):
        stop -= 1
    return tokens[start:stop]


def _clauses(tokens: list[str]) -> list[list[str]]:
    """Split where 'and', 'then', a comma or a full stop is followed by a verb."""
    clauses, start, at = [], 0, 0
    while at < len(tokens):
        if tokens[at] not in _STOP and tokens[at] not in ('and', 'then', ','):
            at += 1
            continue
        after = at
        while after < len(tokens) and (tokens[after] in FILLERS or tokens[after] in _STOP):
            after += 1
        if tokens[at] in _STOP or match_longest(tokens, after, VERBS) is not None:
            clauses.append(_trim(tokens[start:at]))
            start = after
        at = max(after, at + 1)
    clauses.append(_trim(tokens[start:]))
    return [clause for clause in clauses if clause] or [[]]
