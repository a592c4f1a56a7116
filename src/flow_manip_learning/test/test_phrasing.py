# SPDX-License-Identifier: Apache-2.0
"""What is said means one thing only, and the test's words are not the training's."""

import numpy as np
import pytest

from flow_manip_core.instruction import parse_instruction
from flow_manip_learning.simulated.colours import draw_colours, held_out_colours
from flow_manip_learning.simulated.deeds import _STEPS
from flow_manip_learning.simulated.objects import HELD_OUT_KINDS, KINDS
from flow_manip_learning.simulated.phrases import DEEDS, NOUNS
from flow_manip_learning.simulated.phrasing import say, Thing
from flow_manip_mujoco.objects import COLOURS
from flow_manip_mujoco.tasks import TASKS

RED_CUBE = Thing('cube_0', 'cube', 'red')
BLUE_CUBE = Thing('cube_1', 'cube', 'blue')
PLATE = Thing('plate_2', 'plate', 'white')
DRAWERS = (
    Thing('chest_drawer0', 'top drawer', whole='chest'),
    Thing('chest_drawer1', 'bottom drawer', whole='chest'),
)


def spoken(deed, about, things, held_out=False, count=200):
    said = (
        say(deed, about, things, np.random.default_rng(i), held_out=held_out) for i in range(count)
    )
    return [text for text in said if text is not None]


@pytest.mark.parametrize('key', sorted(DEEDS))
def test_no_way_to_say_it_is_in_both_pools(key):
    ways = DEEDS[key]
    assert not set(ways.train) & set(ways.held_out)
    assert len(set(ways.train)) == len(ways.train) >= 3
    assert len(set(ways.held_out)) == len(ways.held_out) >= 2
    assert all('{o}' in way or '{r}' in way for way in (*ways.train, *ways.held_out))


def test_held_out_words_are_nowhere_among_the_tasks_own():
    own = ' | '.join(phrase for task in TASKS.values() for phrase in task.phrasings)
    verbs = ('deposit', 'hoist', 'nudge', 'suspend', 'dangle', 'sprinkle', 'scoot', 'unclose')
    assert not [verb for verb in verbs if verb in own]
    for ways in DEEDS.values():
        assert not set(ways.held_out) & {p for t in TASKS.values() for p in t.phrasings}


def test_no_noun_is_in_both_pools():
    for noun, ways in NOUNS.items():
        assert not set(ways.train) & set(ways.held_out), noun


def test_everything_that_can_stand_on_the_table_has_a_noun():
    assert set(KINDS) | set(HELD_OUT_KINDS) <= set(NOUNS)
    nouns = {spec.noun for t in TASKS.values() for spec in t.make_trial(1).scene.specs}
    assert nouns <= set(NOUNS)


def test_every_step_of_every_task_can_be_said():
    assert set(_STEPS) == set(TASKS)
    for name, steps in _STEPS.items():
        assert len(steps) == len(TASKS[name].make_trial(1).steps)
        assert all((action, relation) in DEEDS for action, relation, _ in steps)


def test_of_two_things_of_a_kind_the_colour_is_always_said():
    texts = spoken(('lift', ''), ['cube_0'], [RED_CUBE, BLUE_CUBE, PLATE])
    assert texts
    assert all('red' in text and 'blue' not in text for text in texts)


def test_a_lone_thing_is_called_with_and_without_its_colour():
    texts = spoken(('lift', ''), ['cube_0'], [RED_CUBE, PLATE])
    share = np.mean(['red' in text for text in texts])
    assert 0.6 < share < 0.9


def test_colours_are_always_said_where_that_is_asked_for():
    watering = [
        Thing('can_0', 'watering can', 'red'),
        Thing('plant', 'plant'),
    ]
    for seed in range(60):
        rng = np.random.default_rng(seed)
        assert 'red' in say(('lift', ''), ['cube_0'], [RED_CUBE, PLATE], rng, with_colour=True)
        text = say(('pour', 'on'), ['can_0', 'plant'], watering, rng, with_colour=True)
        # 'water the plant' names no can: it is not chosen then.
        assert text is None or 'red' in text


def test_sizes_are_said_before_colours():
    texts = spoken(('lift', ''), ['cube_0'], [RED_CUBE, BLUE_CUBE])
    assert any('small red cube' in text for text in texts)
    assert not [text for text in texts if 'red small' in text]


def test_a_word_that_fits_another_thing_of_the_same_colour_is_not_used():
    bowl = Thing('bowl_3', 'bowl', 'white')
    texts = spoken(('push', 'left'), ['plate_2'], [PLATE, bowl])
    assert texts
    assert not [text for text in texts if text.endswith('dish') or ' dish ' in text]


def test_what_cannot_be_told_apart_is_not_said():
    twin = Thing('cube_9', 'cube', 'red')
    assert spoken(('lift', ''), ['cube_0'], [RED_CUBE, twin]) == []
    nameless = Thing('cube_9', 'cube')
    assert spoken(('lift', ''), ['cube_0'], [RED_CUBE, nameless]) == []


@pytest.mark.parametrize('held_out', [False, True])
def test_drawers_are_told_apart_by_their_place(held_out):
    for body, other in (('chest_drawer0', 'bottom'), ('chest_drawer1', 'top')):
        texts = spoken(('open', 'slide'), [body], DRAWERS, held_out)
        assert texts
        assert not [text for text in texts if other in text]


def test_a_part_may_be_called_like_its_fixture_and_the_fixture_stays_itself():
    things = [Thing('toolbox', 'toolbox'), Thing('toolbox_lid', 'toolbox lid', whole='toolbox')]
    things.append(Thing('screwdriver', 'screwdriver', 'red'))
    assert spoken(('open', 'hinge'), ['toolbox_lid'], things)
    assert spoken(('put', 'in'), ['screwdriver', 'toolbox'], things)


def test_the_pools_are_kept_apart_in_what_is_said():
    about, things = ['cube_0', 'plate_2'], [RED_CUBE, PLATE]
    train = set(spoken(('put', 'on'), about, things, count=600))
    held = set(spoken(('put', 'on'), about, things, held_out=True, count=600))
    assert len(train) > 50
    assert len(held) > 50
    assert not train & held


def test_the_training_words_for_free_motions_mean_what_is_done():
    """The rule parser is no judge of style, but what it understands must agree."""
    things = [RED_CUBE, PLATE, Thing('basket_3', 'basket', 'green')]
    understood = 0
    for (action, relation), _ in DEEDS.items():
        if action not in ('put', 'lift', 'turn_upright'):
            continue
        about = ['cube_0', 'basket_3', 'plate_2'][: 1 + len(relation.split()) * bool(relation)]
        if relation == 'between':
            about = ['cube_0', 'basket_3', 'plate_2']
        for text in spoken((action, relation), about, things, count=40):
            try:
                parsed = parse_instruction(text)
            except Exception:
                continue
            if parsed.action in ('put', 'lift', 'turn_upright'):
                understood += 1
                meant = 'on' if relation == 'down' else relation  # on the table
                assert (parsed.action, parsed.relation) == (action, meant), text
    assert understood > 300


def test_every_noun_has_two_colours_that_only_tests_show():
    counts = dict.fromkeys(COLOURS, 0)
    for noun in KINDS:
        held = held_out_colours(noun)
        assert len(held) == 2
        for colour in held:
            counts[colour] += 1
    # No colour is out of training altogether.
    assert max(counts.values()) < len(KINDS) / 2


def test_training_never_draws_a_held_out_colour_and_the_test_does():
    specs = [KINDS[noun] for noun in ('cube', 'mug', 'bowl', 'corn')]
    for seed in range(100):
        rng = np.random.default_rng(seed)
        train = draw_colours(specs, rng)
        test = draw_colours(specs, rng, [specs[1].name])
        for spec in specs[:3]:
            assert train[spec.name] not in held_out_colours(spec.noun)
            is_held = test[spec.name] in held_out_colours(spec.noun)
            assert is_held == (spec is specs[1])
        assert train[specs[3].name] == ''


def test_things_of_a_kind_never_share_a_colour():
    from dataclasses import replace

    specs = [replace(KINDS['can'], name=f'can_{i}') for i in range(4)]
    specs.append(replace(KINDS['mug'], name='mug'))
    for seed in range(50):
        colours = draw_colours(specs, np.random.default_rng(seed))
        assert len(set(colours.values())) == len(specs)
