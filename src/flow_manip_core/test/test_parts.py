# SPDX-License-Identifier: Apache-2.0
import pytest

from flow_manip_core.instruction import parse_instruction
from flow_manip_core.parts import part_of, split_part


@pytest.mark.parametrize(
    ('phrase', 'expected'),
    [
        ('yellow mug by the handle', ('yellow mug', 'handle')),
        ('green bottle by its neck', ('green bottle', 'neck')),
        ('plate at the edge', ('plate', 'rim')),
        ('bottle by the cap', ('bottle', 'top')),
        ('the handle of the top drawer', ('top drawer', 'handle')),
        ('yellow mug', ('yellow mug', '')),
        ('lid of the pot', ('lid of the pot', '')),
        ('mug by the bottle', ('mug by the bottle', '')),
        ('cube by the handle of the drawer', ('cube by the handle of the drawer', '')),
        ('by the handle', ('by the handle', '')),
    ],
)
def test_a_part_is_told_from_its_object(phrase, expected):
    assert split_part(phrase) == expected
    assert part_of(phrase) == expected[1]


@pytest.mark.parametrize(
    ('text', 'action', 'relation', 'references'),
    [
        ('pick up the yellow mug by its handle', 'lift', '', ()),
        ('put the yellow mug by the handle on the plate', 'put', 'on', ('plate',)),
        ('grab the yellow mug by the handle and put it in the bowl', 'put', 'in', ('bowl',)),
    ],
)
def test_how_a_thing_is_held_is_no_place(text, action, relation, references):
    read = parse_instruction(text)
    assert (read.action, read.relation, read.references) == (action, relation, references)
    assert split_part(read.object) == ('yellow mug', 'handle')
