# SPDX-License-Identifier: Apache-2.0
"""Reading instructions: what is to be done with which object, relative to which others.

The grammar is small and says what it misses instead of guessing::

    [please | could you | ...] verb object [relation reference | direction | upright]
    pick up object and verb it ...
    pour content [from object] into reference, fill reference with ..., water reference [with ...]
    hang object [on reference], insert object into reference, stand object in reference
    open object, pull object open, close object, swing object shut
    open reference and put object in [it]

A chain such as 'put the cube left of the plate in the bowl' has one relation that names the goal:
'into' or 'onto', else the last 'in' or 'on', else the last relation. What stands before it belongs
to the object, what stands after it to the reference. A relation after 'that is' or 'which is'
never names the goal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flow_manip_core.errors import (
    EmptyInstructionError,
    InstructionNotUnderstoodError,
    InstructionTooLongError,
    InvalidInputError,
)
from flow_manip_core.instruction_forms import (
    Form,
    INTO,
    read_form,
    read_two_clauses,
    statement_about,
)
from flow_manip_core.vocabulary import (
    clean_text,
    DIRECTIONS,
    FILLERS,
    find_relations,
    GOALS,
    match_longest,
    MOVING_VERBS,
    NEGATIONS,
    NOT_NOUNS,
    PRONOUNS,
    RelationMatch,
    RELATIONS,
    STOPS,
    TABLES,
    tokenize,
    TRAILERS,
    UPRIGHT,
    verb_at,
    without_articles,
)

__all__ = [
    'clean_text',
    'find_relations',
    'Instruction',
    'MAX_LENGTH',
    'parse_instruction',
    'tokenize',
    'without_articles',
]

MAX_LENGTH = 500  # characters; longer than anyone would say
QUOTED = 80  # characters of the input that a message repeats


@dataclass(frozen=True)
class Instruction:
    """An instruction, taken apart.

    Attributes:
        text: as given, white space normalised, control characters taken out.
        action: 'put', 'lift', 'push', 'turn_upright', 'pour', 'hang', 'insert' (which may need to
            be turned for it), 'open', 'close', 'open_and_put' (into what must be opened first).
        object: noun phrase of the object that moves, e.g. 'red cube left of the bowl' or 'mug by
            its handle' (see `parts`). Of a pour what is poured from: where only the content is
            named, the vessel that this names ('teapot' for tea), else the content ('milk').
        relation: of a put: 'on', 'in', 'next_to', 'left_of', 'right_of', 'in_front_of', 'behind',
            'between'; of a pour, an insertion or what hangs: 'in', 'on' or, for what hangs, '';
            of a push: 'aside', 'left', 'right', 'away', 'towards'; else ''.
        references: noun phrases of the objects that the relation refers to; empty where it needs
            none, two for 'between'.
    """

    text: str
    action: str
    object: str
    relation: str = ''
    references: tuple[str, ...] = ()


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


class _Reader:
    """Reads one instruction; holds its text for messages."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, tokens: list[str]) -> Instruction:
        """Split into clauses and put the one or two of them together."""
        if NEGATIONS.intersection(tokens):
            raise self._refuse('it says what not to do')
        clauses = _clauses(_trim(tokens))
        about = statement_about(clauses)
        if about is not None:  # 'the cabinet is open, close it'
            return self._clause(clauses[1], self._noun(about, '', 'it names no object'))
        both = read_two_clauses(clauses)
        if both is not None:
            return self._of_form(both, '')
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
        form = read_form(tokens)
        if form is not None:
            return self._of_form(form, antecedent)
        found = verb_at(tokens, 0)
        if found is None:
            known = 'put, pick up, push, turn upright, pour, open'
            raise self._refuse(f'no verb that is known ({known}, ...) where one is expected')
        action, at = found
        verb, rest = tokens[0], tokens[at:]
        upright = self._upright(action, verb, rest, antecedent)
        if upright is not None:
            return upright
        if action == 'turn_upright':
            raise self._refuse("of turning, only 'upright' is known")
        if action in ('hang', 'insert'):
            return replace(self._put(rest, antecedent), action=action)
        if action in ('pour', 'open', 'close'):
            raise self._refuse(f"of '{verb}', this way to say it is not known")
        if action == 'lift':
            return self._lift(rest, antecedent)
        pushed = self._push(rest, antecedent, must=action == 'push')
        if pushed is not None and (action == 'push' or verb in MOVING_VERBS):
            return pushed
        if pushed is not None and pushed.relation == 'aside':
            return pushed
        return self._put(rest, antecedent)

    def _of_form(self, form: Form, antecedent: str) -> Instruction:
        """Take the noun phrases of one of the other ways to say something."""
        references = [self._noun(list(words), '', form.missing) for words in form.references]
        return self._make(form.action, list(form.object), antecedent, form.relation, *references)

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
        # 'the top drawer' is a thing, 'on top' and 'the top of' are not.
        place = bare[0] in NOT_NOUNS and (len(head) == 1 or bare[0] != 'top' or head[1] == 'of')
        if not without_articles(head) or place:
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
        clear = [r for r in places if rest[r.stop - 1] in INTO]
        goal = free[0] if pronoun else (clear or places or free)[-1]
        if goal.name not in GOALS:
            raise self._refuse(f"nothing can be put '{goal.name}' something")
        references = self._references(goal, rest[goal.stop :])
        thing = rest[: goal.start]
        if len(thing) > 1 and thing[-1] == 'down':
            thing = thing[:-1]
        return self._make('put', thing, antecedent, goal.name, *references)

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
    while start < stop and (tokens[start] in FILLERS or tokens[start] in STOPS):
        start += 1
    while stop > start and (tokens[stop - 1] in TRAILERS or tokens[stop - 1] in STOPS):
        stop -= 1
    return tokens[start:stop]


def _clauses(tokens: list[str]) -> list[list[str]]:
    """Split where 'and', 'then', a comma or a full stop is followed by a verb."""
    clauses, start, at = [], 0, 0
    while at < len(tokens):
        if tokens[at] not in STOPS and tokens[at] not in ('and', 'then', ','):
            at += 1
            continue
        after = at
        while after < len(tokens) and (tokens[after] in FILLERS or tokens[after] in STOPS):
            after += 1
        if tokens[at] in STOPS or verb_at(tokens, after) is not None:
            clauses.append(_trim(tokens[start:at]))
            start = after
        at = max(after, at + 1)
    clauses.append(_trim(tokens[start:]))
    return [clause for clause in clauses if clause] or [[]]
