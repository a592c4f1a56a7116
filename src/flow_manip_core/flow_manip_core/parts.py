# SPDX-License-Identifier: Apache-2.0
"""Words for the part of an object that is to be held: 'the mug by its handle'."""

from __future__ import annotations

from collections.abc import Sequence

PARTS: dict[str, str] = {
    **dict.fromkeys(('handle', 'handles', 'knob', 'grip', 'shaft', 'stick'), 'handle'),
    **dict.fromkeys(('rim', 'edge', 'lip', 'brim', 'border'), 'rim'),
    **dict.fromkeys(('lid', 'cap', 'top', 'cork', 'head'), 'top'),
    **dict.fromkeys(('neck', 'throat'), 'neck'),
    **dict.fromkeys(('base', 'bottom', 'foot'), 'base'),
    **dict.fromkeys(('body', 'middle', 'belly', 'waist', 'side', 'sides'), 'body'),
}
# 'the handle of the drawer' means the drawer; 'the lid of the pot' is a thing of its own.
OWNED = frozenset(('handle', 'neck', 'rim'))
HOLDING = frozenset(('by', 'at', 'from'))
DETERMINERS = frozenset(('the', 'a', 'an', 'its', 'his', 'her', 'their'))


def find_part(tokens: Sequence[str]) -> tuple[str, int, int] | None:
    """Find 'by the handle' among lower-case words.

    Returns:
        the part (a value of `PARTS`) and the half-open range of tokens that say it, or None.
    """
    for start, word in enumerate(tokens):
        at = start + 1
        if start == 0 or word not in HOLDING:
            continue
        while at < len(tokens) and tokens[at] in DETERMINERS:
            at += 1
        # 'by the handle of the drawer' says where something lies, not how it is held.
        if at < len(tokens) and tokens[at] in PARTS and tokens[at + 1 : at + 2] != ['of']:
            return PARTS[tokens[at]], start, at + 1
    return None


def split_part(phrase: str) -> tuple[str, str]:
    """Split an object's phrase into the object and the part it is to be held by.

    Returns:
        the phrase without the part, and 'handle', 'rim', 'top', 'neck', 'base', 'body' or ''.
    """
    tokens = phrase.casefold().split()
    bare = [token for token in tokens if token not in DETERMINERS]
    if len(bare) > 2 and bare[1] == 'of' and PARTS.get(bare[0]) in OWNED:
        return ' '.join(bare[2:]), PARTS[bare[0]]
    found = find_part(tokens)
    if found is None:
        return phrase, ''
    part, start, stop = found
    return ' '.join([*tokens[:start], *tokens[stop:]]), part


def part_of(phrase: str) -> str:
    """Return only the part; see `split_part`."""
    return split_part(phrase)[1]
