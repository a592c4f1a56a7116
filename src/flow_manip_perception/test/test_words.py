# SPDX-License-Identifier: Apache-2.0
import pytest

from flow_manip_core.errors import PhraseNotUnderstoodError
from flow_manip_perception.words import parse_phrase


@pytest.mark.parametrize(
    ('text', 'noun', 'colors'),
    [
        ('the red cube', 'cube', ('red',)),
        ('a Grey coffee mug', 'mug', ('gray',)),
        ('blue', 'thing', ('blue',)),
        ('the violet one', 'thing', ('purple',)),
        ('red and white box', 'box', ('red', 'white')),
        ('flashlight', 'flashlight', ()),
        ('whisk', 'tool', ()),
    ],
)
def test_nouns_and_colours(text, noun, colors):
    phrase = parse_phrase(text)
    assert (phrase.noun, phrase.colors) == (noun, colors)


def test_relations_nest_to_the_right():
    phrase = parse_phrase('the cube left of the bowl on the white plate')
    name, (bowl,) = phrase.relations[0]
    assert (phrase.noun, name, bowl.noun) == ('cube', 'left_of', 'bowl')
    name, (plate,) = bowl.relations[0]
    assert (name, plate.noun, plate.colors) == ('on', 'plate', ('white',))


def test_between_has_two_references():
    (name, referred), *_ = parse_phrase('the mug between the bowl and the plate').relations
    assert name == 'between'
    assert [phrase.noun for phrase in referred] == ['bowl', 'plate']


@pytest.mark.parametrize(
    ('text', 'places', 'sizes'),
    [
        ('leftmost cube', (('right', -1),), ()),
        ('the cube on the left', (('right', -1),), ()),
        ('the nearest mug', (('ahead', -1),), ()),
        ('the biggest bowl', (), (('size', 1),)),
        ('small cube', (), (('size', -1),)),
        ('the tall bottle on the right', (('right', 1),), (('height', 1),)),
    ],
)
def test_superlatives_and_sides(text, places, sizes):
    phrase = parse_phrase(text)
    assert (phrase.places, phrase.sizes) == (places, sizes)


def test_nearest_to_something():
    phrase, sign = parse_phrase('the cube nearest to the bowl').nearest_to
    assert (phrase.noun, sign) == ('bowl', -1)


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('', 'names no object'),
        ('the', 'names no object'),
        ('two cubes', 'several objects'),
        ('cubes', 'several objects'),
        ('boxes', 'several objects'),
        ('the second cube', 'several objects'),
        ('the gren cube', "did you mean 'green'"),
        ('the zorgon', 'known nouns'),
        ('the shiny cube', "'shiny' is not known"),
        ('cube between the bowl', 'two things'),
        ('cube on cube on cube on cube on cube on cube', 'too many relations'),
        ('x' * 100_000, 'at most 300'),
    ],
)
def test_what_cannot_be_read_says_why(text, why):
    with pytest.raises(PhraseNotUnderstoodError, match=why) as caught:
        parse_phrase(text)
    assert len(str(caught.value)) < 1200
