# SPDX-License-Identifier: Apache-2.0
"""Says a deed in words that fit one thing in the scene only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flow_manip_learning.simulated.phrases import DEEDS, FRAMES, NOUNS, Ways

_SIZES = frozenset(('small', 'little', 'tall', 'round', 'flat'))  # said before the colour
_COLOUR_SAID = 0.75  # share of the phrases with a colour although none is needed


@dataclass(frozen=True)
class Thing:
    """What words may mean.

    Attributes:
        body: in the simulator.
        noun: a key of `NOUNS`.
        colour: the word for it; '' where nobody would say one.
        whole: body of the fixture that it is a part of.
    """

    body: str
    noun: str
    colour: str = ''
    whole: str = ''


def say(
    deed: tuple[str, str],
    about: Sequence[str],
    things: Sequence[Thing],
    rng: np.random.Generator,
    *,
    held_out: bool = False,
    with_colour: bool = False,
) -> str | None:
    """Return an instruction.

    Args:
        deed: action and relation, a key of `DEEDS`.
        about: bodies: what moves, then what that refers to.
        things: everything in the scene that words could mean.
        rng: same state, same words.
        held_out: a way that training never sees; its nouns may be either.
        with_colour: every colour is said, needed or not.

    Returns:
        None where the words at hand would fit another thing as well.
    """
    known = {thing.body: thing for thing in things}
    share = 1.0 if with_colour else _COLOUR_SAID
    phrases = [_phrase(known[body], things, rng, held_out, share) for body in about]
    if None in phrases:
        return None
    way = _draw(DEEDS[deed], rng, held_out)
    named = dict(zip(('o', 'r', 'r2'), (f'the {phrase}' for phrase in phrases)))
    if '{o}' not in way and (with_colour or _could_be_another(known[about[0]], things)):
        return None
    text = way.format(**named)
    if way.startswith('{') or way.startswith('I '):
        return text
    return _draw(FRAMES, rng, held_out).format(text)


def nouns_of(noun: str) -> frozenset[str]:
    """Return everything that a thing may be called."""
    return frozenset((*NOUNS[noun].train, *NOUNS[noun].held_out))


def _phrase(
    thing: Thing,
    things: Sequence[Thing],
    rng: np.random.Generator,
    held_out: bool,
    colour_said: float,
) -> str | None:
    """Return '<colour> <noun>' or '<noun>' that fits no other thing; None if there is none."""
    ways = NOUNS[thing.noun]
    # Half of the held-out instructions have a known noun: the verb alone must carry it then.
    pool = ways.held_out if held_out and rng.random() < 0.5 else ways.train
    wants_colour = bool(thing.colour) and rng.random() < colour_said
    for index in rng.permutation(len(pool)):
        noun = pool[index]
        rivals = [t for t in things if _is_other(t, thing) and _may_be_called(t, noun)]
        if any(t.colour == thing.colour or not t.colour for t in rivals):
            continue
        if rivals and not thing.colour:
            continue
        return _coloured(noun, thing.colour) if wants_colour or rivals else noun
    return None


def _coloured(noun: str, colour: str) -> str:
    """Return a noun with its colour where one says it: 'small red cube', 'red mug'."""
    first, _, rest = noun.partition(' ')
    return f'{first} {colour} {rest}' if rest and first in _SIZES else f'{colour} {noun}'


def _may_be_called(thing: Thing, noun: str) -> bool:
    """Say whether a noun could mean a thing: one of its words, or the same last word."""
    words, last = nouns_of(thing.noun), noun.split()[-1]
    if last.endswith('drawer') or thing.noun.endswith('drawer'):
        return noun in words  # 'top' and 'bottom' tell them apart
    return any(noun == word or last == word.split()[-1] for word in words)


def _is_other(a: Thing, b: Thing) -> bool:
    """Say whether two things are not the same, nor one a part of the other."""
    return not (a.body == b.body or a.body == b.whole or b.body == a.whole)


def _could_be_another(thing: Thing, things: Sequence[Thing]) -> bool:
    return any(t.noun == thing.noun and t.body != thing.body for t in things)


def _draw(ways: Ways | Mapping[str, Ways], rng: np.random.Generator, held_out: bool) -> str:
    pool = ways.held_out if held_out else ways.train
    return pool[int(rng.integers(len(pool)))]
