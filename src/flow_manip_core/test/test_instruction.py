# SPDX-License-Identifier: Apache-2.0
import time

import pytest

from flow_manip_core.errors import (
    EmptyInstructionError,
    FlowManipError,
    InstructionNotUnderstoodError,
    InstructionTooLongError,
    InvalidInputError,
)
from flow_manip_core.instruction import MAX_LENGTH, parse_instruction

PUTS = [
    ('put the red cube on the plate', 'red cube', 'on', 'plate'),
    ('Place the red cube onto the white plate', 'red cube', 'on', 'white plate'),
    ('stack the red cube on top of the green cube', 'red cube', 'on', 'green cube'),
    ('drop the ball into the blue bowl', 'ball', 'in', 'blue bowl'),
    ('put the box inside of the tray', 'box', 'in', 'tray'),
    ('lay the pen by the mug', 'pen', 'next_to', 'mug'),
    ('set the can beside the bottle', 'can', 'next_to', 'bottle'),
    ('place the cube to the right of the blue bowl', 'cube', 'right_of', 'blue bowl'),
    ('put the cube left of the blue bowl', 'cube', 'left_of', 'blue bowl'),
    ('move the cube in front of the mug', 'cube', 'in_front_of', 'mug'),
    ('move the cube behind the mug', 'cube', 'behind', 'mug'),
    ('put the cube on the table', 'cube', 'on', 'table'),
    ('put the cube in the middle of the plate', 'cube', 'on', 'plate'),
]
CHAINS = [
    (
        'put the cube on the left of the plate in the bowl',
        'cube on the left of the plate',
        'in',
        'bowl',
    ),
    ('put the red cube left of the bowl on the plate', 'red cube left of the bowl', 'on', 'plate'),
    ('put the cube in the bowl on the plate', 'cube in the bowl', 'on', 'plate'),
    ('put the cube on the plate next to the bowl', 'cube', 'on', 'plate next to the bowl'),
    (
        'put the mug that is on the plate into the bowl',
        'mug that is on the plate',
        'in',
        'bowl',
    ),
    (
        'put the mug which is in the bowl next to the plate',
        'mug which is in the bowl',
        'next_to',
        'plate',
    ),
    ('put the cube on the left in the bowl', 'cube on the left', 'in', 'bowl'),
    ('put the cube next to the bowl on the table', 'cube', 'next_to', 'bowl on the table'),
    ('put the peg into the hole in the board', 'peg', 'in', 'hole in the board'),
    ('set the cup down on the saucer', 'cup', 'on', 'saucer'),
    (
        'put the cube nearest to the bowl on the plate',
        'cube nearest to the bowl',
        'on',
        'plate',
    ),
]
LIFTS = [
    ('pick up the mug', 'mug'),
    ('pick the mug up', 'mug'),
    ('lift the leftmost cube', 'leftmost cube'),
    ('raise the red cube left of the bowl', 'red cube left of the bowl'),
    ('Grab the cube in the bowl.', 'cube in the bowl'),
    ('lift the cube between the bowl and the plate', 'cube between the bowl and the plate'),
]
PUSHES = [
    ('push the mug aside', 'mug', 'aside', ()),
    ('push aside the mug', 'mug', 'aside', ()),
    ('push the mug', 'mug', 'aside', ()),
    ('move the red cube aside', 'red cube', 'aside', ()),
    ('shove the red box out of the way', 'red box', 'aside', ()),
    ('slide the mug to the left', 'mug', 'left', ()),
    ('move the cube to the right', 'cube', 'right', ()),
    ('push the mug left of the bowl aside', 'mug left of the bowl', 'aside', ()),
    ('push the mug away', 'mug', 'away', ()),
    ('push the mug away from the bowl', 'mug', 'away', ('bowl',)),
    ('push the mug towards the red bowl', 'mug', 'towards', ('red bowl',)),
]
UPRIGHTS = [
    'turn the mug upright',
    'stand the mug up',
    'stand up the mug',
    'stand the mug upright',
    'set the mug upright',
    'turn the mug the right way up',
    'make the mug stand upright',
    'pick up the mug and turn it upright',
]
MISUNDERSTOOD = [
    ('the red cube', 'no verb'),
    ('положи куб на тарелку', 'no verb'),
    ('xyzzy the cube', 'no verb'),
    ('put', 'names no object'),
    ('lift', 'names no object'),
    ('put on the plate', 'names no object'),
    ('put it on the plate', "nobody says what 'it' is"),
    ('put the cube', 'names no place'),
    ('set the table', 'names no place'),
    ('put the cube on', 'names no place'),
    ('put the cube on top', 'nothing follows'),
    ('put the cube under the table', "put 'under'"),
    ('put the cube between the bowl', 'needs two things'),
    ('put the red cube and the blue cube in the bowl', 'more than one object'),
    ("don't put the cube in the bowl", 'what not to do'),
    ('put the cube in the bowl. then push the mug aside.', 'more than one thing'),
    ('lift the cube and push the mug aside', 'two objects'),
    ('turn the mug upside down', 'upright'),
    ('turn the mug upright on the plate', 'upright'),
    ('push the mug next to the bowl', 'needs aside, left'),
]


DEEDS = [
    ('pour tea from the teapot into the cup', 'pour', 'teapot', 'in', ('cup',)),
    ('pour the tea into the blue cup', 'pour', 'teapot', 'in', ('blue cup',)),
    ('pour tea into the cup from the white pot', 'pour', 'white pot', 'in', ('cup',)),
    ('pour some milk into the bowl on the table', 'pour', 'milk', 'in', ('bowl on the table',)),
    (
        'pour water from the can on the left on the plant',
        'pour',
        'can on the left',
        'on',
        ('plant',),
    ),
    ('water the plant with the watering can', 'pour', 'watering can', 'on', ('plant',)),
    ('please water the plant', 'pour', 'watering can', 'on', ('plant',)),
    ('give the plant some water', 'pour', 'watering can', 'on', ('plant',)),
    ('fill the cup with tea', 'pour', 'teapot', 'in', ('cup',)),
    ('fill the cup with coffee from the red jug', 'pour', 'red jug', 'in', ('cup',)),
    ('use the green jug to fill the glass with water', 'pour', 'green jug', 'in', ('glass',)),
    ('hang the mug on the tree', 'hang', 'mug', 'on', ('tree',)),
    ('hang up the mug', 'hang', 'mug', '', ()),
    ('hang the mug up by its handle', 'hang', 'mug by its handle', '', ()),
    ('pick up the mug and hang it on the tree', 'hang', 'mug', 'on', ('tree',)),
    ('insert the pen in the holder', 'insert', 'pen', 'in', ('holder',)),
    ('stand the pen in the holder', 'insert', 'pen', 'in', ('holder',)),
    ('turn the pen upright and put it in the cup', 'insert', 'pen', 'in', ('cup',)),
    ('open the top drawer of the cabinet', 'open', 'top drawer of the cabinet', '', ()),
    ('pull the drawer open by its handle', 'open', 'drawer by its handle', '', ()),
    ('slide open the drawer', 'open', 'drawer', '', ()),
    ('close the cabinet door', 'close', 'cabinet door', '', ()),
    ('swing the door shut', 'close', 'door', '', ()),
    ('the box is open, please close it', 'close', 'box', '', ()),
    ('open the box and put the ball in it', 'open_and_put', 'ball', 'in', ('box',)),
    ('put the ball in the box; its lid must be opened', 'open_and_put', 'ball', 'in', ('box',)),
]
DEEDS_NOT_SAID = [
    ('pour the tea', 'nothing to pour into'),
    ('fill the cup', 'names no object'),
    ('use the cup', "of 'use'"),
    ('pull the drawer', "of 'pull'"),
    ('open', 'names no object'),
    ('close it', "nobody says what 'it' is"),
    ('hang the mug next to the plate', 'names nothing to hang it on'),
    ('insert the pen', 'names no place'),
    ('open the box and put the ball in the bowl', 'more than one thing'),
    ('open the drawer and close the door', 'more than one thing'),
]


@pytest.mark.parametrize(('text', 'action', 'thing', 'relation', 'references'), DEEDS)
def test_pouring_hanging_inserting_opening_and_closing_are_read(
    text, action, thing, relation, references
):
    read = parse_instruction(text)
    assert (read.action, read.object) == (action, thing)
    assert (read.relation, read.references) == (relation, references)


@pytest.mark.parametrize(('text', 'why'), DEEDS_NOT_SAID)
def test_what_such_a_deed_does_not_say_is_named(text, why):
    with pytest.raises(InstructionNotUnderstoodError, match=why):
        parse_instruction(text)


def test_words_of_these_deeds_elsewhere_mean_something_else():
    read = parse_instruction('slide the mug out of the way')
    assert (read.action, read.relation) == ('push', 'aside')
    read = parse_instruction('put the mug close to the water bottle, please')
    assert (read.action, read.relation, read.references) == ('put', 'next_to', ('water bottle',))
    read = parse_instruction('pick up the mug that is close to the open box')
    assert (read.action, read.object) == ('lift', 'mug that is close to the open box')


@pytest.mark.parametrize(('text', 'thing', 'relation', 'reference'), PUTS + CHAINS)
def test_a_put_has_object_relation_and_reference(text, thing, relation, reference):
    read = parse_instruction(text)
    assert (read.action, read.object, read.relation) == ('put', thing, relation)
    assert read.references == (reference,)


def test_between_refers_to_two_things():
    read = parse_instruction('put the cube between the bowl and the plate')
    assert (read.relation, read.references) == ('between', ('bowl', 'plate'))


@pytest.mark.parametrize(('text', 'thing'), LIFTS)
def test_a_lift_keeps_relations_in_the_object(text, thing):
    read = parse_instruction(text)
    assert (read.action, read.object, read.relation, read.references) == ('lift', thing, '', ())


@pytest.mark.parametrize(('text', 'thing', 'relation', 'references'), PUSHES)
def test_a_push_has_a_direction(text, thing, relation, references):
    read = parse_instruction(text)
    assert (read.action, read.object, read.relation) == ('push', thing, relation)
    assert read.references == references


@pytest.mark.parametrize('text', UPRIGHTS)
def test_every_way_to_say_upright(text):
    read = parse_instruction(text)
    assert (read.action, read.object, read.relation) == ('turn_upright', 'mug', '')


@pytest.mark.parametrize(
    'text',
    [
        'pick up the blue flashlight and put it next to the whisk',
        'Pick up the blue flashlight, then place it beside the whisk.',
        'grab the blue flashlight and lay it near the whisk',
        'take the blue flashlight and put next to the whisk',
    ],
)
def test_picking_up_and_putting_counts_as_one(text):
    read = parse_instruction(text)
    assert (read.action, read.object) == ('put', 'blue flashlight')
    assert (read.relation, read.references) == ('next_to', ('whisk',))


@pytest.mark.parametrize(
    'text',
    [
        'PUT THE RED CUBE ON THE PLATE',
        'Could you please put the red cube on the plate now, please?',
        'robot, put the red cube on the plate!',
        'okay, now just put the red cube on the plate',
        'put\tthe\n red cube\x00 on\x1b the plate',
        'put the “red cube” on the plate',
        'ｐｕｔ the red cube on the plate',
        'put the red\u200b cube on the plate',
    ],
)
def test_courtesies_case_and_odd_characters_change_nothing(text):
    read = parse_instruction(text)
    assert (read.object, read.relation, read.references) == ('red cube', 'on', ('plate',))
    assert read.text.isprintable()


@pytest.mark.parametrize('text', ['', '   ', '\n\t\x00', '...', '!?', '\u200b'])
def test_no_words_are_an_empty_instruction(text):
    with pytest.raises(EmptyInstructionError):
        parse_instruction(text)


def test_a_hundred_kilobytes_are_refused_without_being_read():
    start = time.perf_counter()
    with pytest.raises(InstructionTooLongError, match='100000 characters, at most 500'):
        parse_instruction('put ' * 25_000)
    assert time.perf_counter() - start < 0.05


def test_the_longest_instruction_is_read():
    text = 'put the cube on the plate'
    assert parse_instruction(text + ' ' * (MAX_LENGTH - len(text))).object == 'cube'


@pytest.mark.parametrize(('text', 'why'), MISUNDERSTOOD)
def test_what_is_not_understood_says_what_is_missing(text, why):
    with pytest.raises(InstructionNotUnderstoodError, match=why):
        parse_instruction(text)


def test_messages_quote_a_bounded_part_of_the_text():
    with pytest.raises(InstructionNotUnderstoodError) as caught:
        parse_instruction('frobnicate ' + 'x' * 480)
    assert len(str(caught.value)) < 250
    with pytest.raises(InstructionNotUnderstoodError) as caught:
        parse_instruction('put the ' + 'very ' * 90 + 'a and b on c')
    assert len(str(caught.value)) < 250


def test_something_else_than_text_is_invalid():
    with pytest.raises(InvalidInputError, match='NoneType'):
        parse_instruction(None)


def test_any_words_end_in_a_result_or_a_typed_error():
    import random

    words = [
        'put',
        'pick',
        'up',
        'the',
        'red',
        'cube',
        'on',
        'in',
        'left',
        'of',
        'and',
        'it',
        'that',
    ]
    words += ['is', ',', '.', 'to', 'next', 'push', 'upright', 'away', 'from']
    words += ['pour', 'water', 'fill', 'use', 'open', 'close', 'hang', 'stand', 'with', ';', 'lid']
    draw = random.Random(0)
    for _ in range(3000):
        text = ' '.join(draw.choices(words, k=draw.randint(1, 14)))
        try:
            read = parse_instruction(text)
        except FlowManipError:
            continue
        assert read.object
        assert all(read.references)
