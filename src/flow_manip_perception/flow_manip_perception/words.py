# SPDX-License-Identifier: Apache-2.0
"""Reading noun phrases: '[the] [biggest] [dark] red cube [left of the bowl]'."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

from flow_manip_core.errors import PhraseNotUnderstoodError
from flow_manip_core.instruction import (
    clean_text,
    find_relations,
    tokenize,
    without_articles,
)
from flow_manip_core.parts import split_part

MAX_LENGTH = 300  # characters
MAX_DEPTH = 4  # relations within relations

NOUNS: dict[str, str] = {
    **dict.fromkeys(('cube', 'dice', 'die'), 'cube'),
    **dict.fromkeys(('block', 'brick'), 'block'),
    **dict.fromkeys(('box', 'carton', 'package', 'packet', 'cuboid', 'parcel'), 'box'),
    **dict.fromkeys(('ball', 'sphere', 'orb', 'apple', 'lemon', 'peach'), 'ball'),
    **dict.fromkeys(('cylinder', 'can', 'tin', 'tube', 'jar'), 'cylinder'),
    **dict.fromkeys(('bottle', 'flask'), 'bottle'),
    **dict.fromkeys(('mug', 'cup', 'glass', 'tumbler', 'beaker'), 'mug'),
    **dict.fromkeys(('bowl', 'pot', 'pan'), 'bowl'),
    **dict.fromkeys(('plate', 'saucer', 'platter', 'disc', 'disk', 'coaster'), 'plate'),
    'dish': 'dish',
    **dict.fromkeys(('tray', 'bin', 'basket', 'crate', 'container', 'drawer'), 'tray'),
    **dict.fromkeys(('flashlight', 'torch', 'lamp'), 'flashlight'),
    **dict.fromkeys(('pen', 'pencil', 'stick', 'rod', 'marker', 'chopstick'), 'stick'),
    **dict.fromkeys(('whisk', 'spatula', 'spoon', 'brush', 'tool', 'fork', 'knife'), 'tool'),
    **dict.fromkeys(('ladle', 'screwdriver', 'hammer', 'wrench', 'banana', 'utensil'), 'tool'),
    'scissors': 'scissors',
    **dict.fromkeys(('thing', 'object', 'item', 'one', 'something', 'toy'), 'thing'),
    **dict.fromkeys(('table', 'tabletop', 'desk', 'floor', 'surface', 'counter'), 'support'),
}
COLORS: dict[str, str] = {
    **{name: name for name in ('red', 'orange', 'yellow', 'green', 'blue', 'purple', 'pink')},
    **{name: name for name in ('brown', 'white', 'black', 'gray', 'cyan')},
    **dict.fromkeys(('grey', 'silver', 'metallic'), 'gray'),
    **dict.fromkeys(('violet', 'lilac', 'magenta'), 'purple'),
    **dict.fromkeys(('turquoise', 'teal', 'aqua'), 'cyan'),
    **dict.fromkeys(('crimson', 'scarlet'), 'red'),
    **dict.fromkeys(('navy',), 'blue'),
    **dict.fromkeys(('wooden', 'beige', 'tan'), 'brown'),
    **dict.fromkeys(('golden', 'gold'), 'yellow'),
}
SHADES = {'light': 'light', 'bright': 'light', 'pale': 'light', 'dark': 'dark', 'deep': 'dark'}
# Adjectives that compare: the measurement they ask for, and its sign.
SIZES: dict[str, tuple[str, int]] = {
    **dict.fromkeys(('big', 'large', 'huge', 'bigger', 'larger'), ('size', 1)),
    **dict.fromkeys(('biggest', 'largest'), ('size', 1)),
    **dict.fromkeys(('small', 'little', 'tiny', 'smaller', 'smallest', 'littlest'), ('size', -1)),
    **dict.fromkeys(('tall', 'high', 'taller', 'tallest', 'highest'), ('height', 1)),
    **dict.fromkeys(('short', 'low', 'shorter', 'shortest', 'lowest'), ('height', -1)),
    **dict.fromkeys(('long', 'longer', 'longest'), ('length', 1)),
    **dict.fromkeys(('wide', 'wider', 'widest'), ('width', 1)),
    **dict.fromkeys(('thin', 'narrow', 'thinner', 'thinnest', 'narrowest'), ('width', -1)),
}
PLACES: dict[str, tuple[str, int]] = {
    **dict.fromkeys(('leftmost', 'left'), ('right', -1)),
    **dict.fromkeys(('rightmost', 'right'), ('right', 1)),
    **dict.fromkeys(('nearest', 'closest', 'front', 'foremost', 'near'), ('ahead', -1)),
    **dict.fromkeys(('farthest', 'furthest', 'back', 'rear', 'far'), ('ahead', 1)),
    **dict.fromkeys(('middle', 'central', 'center', 'centre'), ('middle', 1)),
}
FORMS = {'round': 'round', 'square': 'square', 'flat': 'flat', 'rectangular': 'square'}
# Words that say what a thing is for or made of, which nobody can see: they change nothing.
NEUTRAL = frozenset(
    (
        *('coffee', 'tea', 'soup', 'water', 'soda', 'coke', 'beer', 'wine', 'juice', 'milk'),
        *('dinner', 'cereal', 'cracker', 'sugar', 'tennis', 'toy', 'building', 'salad', 'kitchen'),
        *('cardboard', 'plastic', 'ceramic', 'glass', 'metal', 'egg', 'cooking', 'storage'),
        *('other', 'single', 'same', 'handle', 'colored', 'coloured', 'nice', 'empty', 'very'),
        *('most', 'more', 'of', 'side', 'hand', 'corner', 'end', 'all', 'the', 'at', 'to', 'in'),
        *('on', 'and', 'with', 'a', 'an', 'that', 'is', 'which'),
    )
)
NUMBERS = frozenset(
    (
        *('two', 'three', 'four', 'five', 'both', 'every', 'each', 'many', 'several', 'some'),
        *('all', 'second', 'third', 'fourth', 'fifth', 'first', 'last', 'any', 'these', 'those'),
    )
)


@dataclass(frozen=True)
class Phrase:
    """A noun phrase, taken apart.

    Attributes:
        text: its words.
        noun: kind of shape (a key of `shapes.SHAPES`, 'dish' or 'support').
        colors: names of `colors.COLOR_NAMES`, all of which it wears.
        shade: 'light', 'dark' or ''.
        forms: 'round', 'square', 'flat'.
        sizes: measurements to be extreme in, with their sign.
        places: directions in the image to be extreme in, with their sign.
        relations: names with the phrases that they refer to.
        nearest_to: phrase of what it is nearest to or farthest from, with the sign.
    """

    text: str
    noun: str
    colors: tuple[str, ...] = ()
    shade: str = ''
    forms: tuple[str, ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()
    places: tuple[tuple[str, int], ...] = ()
    relations: tuple[tuple[str, tuple[Phrase, ...]], ...] = ()
    nearest_to: tuple[Phrase, int] | None = None


def parse_phrase(text: str) -> Phrase:
    """Take a noun phrase apart.

    Raises:
        PhraseNotUnderstoodError: it is empty or too long, has a word that is not known, asks for
            several objects, or names none.
    """
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise PhraseNotUnderstoodError(
            f'a phrase has at most {MAX_LENGTH} characters, this one {len(text)}'
            if isinstance(text, str)
            else f'the phrase is {type(text).__name__}, expected text'
        )
    tokens = [token for token in tokenize(clean_text(text)) if token[0].isalnum()]
    # Which part is to be held is the grasp's business.
    return _parse(split_part(' '.join(tokens))[0].split(), 0)


def _parse(tokens: list[str], depth: int) -> Phrase:
    """Read the head up to the first relation; what the relation refers to is a phrase again."""
    tokens = without_articles(tokens)
    shown = ' '.join(tokens)[:80]
    if not tokens:
        raise PhraseNotUnderstoodError('the phrase names no object')
    if depth > MAX_DEPTH:
        raise PhraseNotUnderstoodError(f"too many relations: '{shown}'")
    found = _superlative_relation(tokens)
    if found is not None:
        start, stop, sign = found
        head = _head(tokens[:start], shown)
        return _with(head, shown, nearest_to=(_parse(tokens[stop:], depth + 1), sign))
    relations = find_relations(tokens)
    if not relations:
        return _head(tokens, shown)
    first = relations[0]
    head = _head(tokens[: first.start], shown)
    rest = tokens[first.stop :]
    if first.name == 'between':
        if 'and' not in rest:
            raise PhraseNotUnderstoodError(f"'between' needs two things: '{shown}'")
        at = rest.index('and')
        referred = (_parse(rest[:at], depth + 1), _parse(rest[at + 1 :], depth + 1))
    else:
        referred = (_parse(rest, depth + 1),)
    return _with(head, shown, relations=((first.name, referred),))


def _with(head: Phrase, text: str, **changes: object) -> Phrase:
    values = {**vars(head), 'text': text, **changes}
    return Phrase(**values)  # type: ignore[arg-type]


def _superlative_relation(tokens: list[str]) -> tuple[int, int, int] | None:
    """Return where 'nearest to', 'closest to' or 'farthest from' stands, and its sign."""
    for at, (a, b) in enumerate(pairwise(tokens)):
        if at and a in ('nearest', 'closest') and b in ('to', 'the'):
            start = at - 1 if tokens[at - 1] in ('is', 'the') and at > 1 else at
            return start, at + 2 if b == 'to' else at + 1, -1
        if at and a in ('farthest', 'furthest') and b == 'from':
            return at, at + 2, 1
    return None


def _head(tokens: list[str], shown: str) -> Phrase:
    """Read adjectives and the noun."""
    tokens = without_articles(tokens)
    if not tokens:
        raise PhraseNotUnderstoodError(f"the phrase names no object: '{shown}'")
    counted = [t for t in tokens if t in NUMBERS or t.isdigit()]
    if counted:
        raise PhraseNotUnderstoodError(
            f"'{counted[0]}' asks for several objects or counts them; name one: '{shown}'"
        )
    # 'the cube on the left': what follows the noun only says where.
    nouns = [i for i, t in enumerate(tokens) if t in NOUNS]
    if not nouns:
        return _without_noun(tokens, shown)
    at = nouns[-1]
    others = tokens[:at] + tokens[at + 1 :]
    return _adjectives(others, NOUNS[tokens[at]], shown)


def _without_noun(tokens: list[str], shown: str) -> Phrase:
    """Read 'the red' and 'the biggest' as things; say what is wrong with anything else."""
    for token in reversed(tokens):
        if not _is_adjective(token) and token not in NEUTRAL:
            raise _unknown(token, shown)
    if not any(_is_adjective(token) for token in tokens):
        raise PhraseNotUnderstoodError(f"the phrase names no object: '{shown}'")
    return _adjectives(tokens, 'thing', shown)


def _is_adjective(token: str) -> bool:
    return any(token in table for table in (COLORS, SHADES, SIZES, PLACES, FORMS))


def _adjectives(tokens: list[str], noun: str, shown: str) -> Phrase:
    """Sort the words beside the noun by what they ask for."""
    colors, forms, sizes, places, shade = [], [], [], [], ''
    for token in tokens:
        token = token.removesuffix('-colored').removesuffix('-coloured')
        if token in COLORS:
            colors.append(COLORS[token])
        elif token in SHADES:
            shade = SHADES[token]
        elif token in SIZES:
            sizes.append(SIZES[token])
        elif token in PLACES:
            places.append(PLACES[token])
        elif token in FORMS:
            forms.append(FORMS[token])
        elif token not in NEUTRAL and token not in NOUNS:
            raise _unknown(token, shown)
    return Phrase(shown, noun, tuple(colors), shade, tuple(forms), tuple(sizes), tuple(places))


def _unknown(token: str, shown: str) -> PhraseNotUnderstoodError:
    """Make the error for a word that is not known: the nearest one, or all nouns."""
    token = token[:40]
    singular = token[:-2] if token.endswith('xes') else token[:-1]
    if token.endswith('s') and singular in NOUNS:
        return PhraseNotUnderstoodError(f"'{token}' are several objects; name one: '{shown}'")
    known = [*NOUNS, *COLORS, *SIZES, *PLACES, *FORMS]
    close = get_close_matches(token, known, n=1, cutoff=0.6)
    hint = f"did you mean '{close[0]}'?" if close else f'known nouns: {", ".join(sorted(NOUNS))}'
    return PhraseNotUnderstoodError(f"'{token}' is not known; {hint}")
