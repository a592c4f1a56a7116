# SPDX-License-Identifier: Apache-2.0
"""Ways to say what is done: those that training sees, and those kept for the test."""

from __future__ import annotations

from typing import NamedTuple


class Ways(NamedTuple):
    """Ways to say one thing.

    Attributes:
        train: for training.
        held_out: for tests only.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]


NOUNS: dict[str, Ways] = {
    'cube': Ways(('cube', 'small cube'), ('little cube', 'die')),
    'block': Ways(('block', 'brick'), ('wooden block', 'bar')),
    'box': Ways(('box', 'carton'), ('package', 'tall box')),
    'can': Ways(('can', 'tin'), ('canister', 'tin can')),
    'ball': Ways(('ball', 'sphere'), ('round ball',)),
    'bottle': Ways(('bottle', 'flask'), ('tall bottle',)),
    'mug': Ways(('mug', 'cup'), ('coffee mug', 'drinking mug')),
    'cup': Ways(('cup', 'teacup'), ('tea cup', 'little cup')),
    'bowl': Ways(('bowl', 'dish'), ('round bowl', 'basin')),
    'plate': Ways(('plate', 'dish'), ('dinner plate', 'flat plate')),
    'basket': Ways(('basket', 'tray'), ('open container', 'bin')),
    'saucer': Ways(('saucer', 'small plate'), ('little saucer',)),
    'pen': Ways(('pen', 'marker'), ('felt pen', 'felt-tip')),
    'teapot': Ways(('teapot', 'pot'), ('tea pot', 'kettle')),
    'watering can': Ways(('watering can', 'can'), ('sprinkling can', 'garden can')),
    'corn': Ways(('corn', 'corn cob', 'maize'), ('ear of corn', 'cob')),
    'bread': Ways(('bread', 'loaf', 'bread roll'), ('loaf of bread', 'bun')),
    'screwdriver': Ways(('screwdriver', 'tool'), ('hand tool',)),
    'eraser': Ways(('eraser', 'rubber'), ('rubber eraser',)),
    'puck': Ways(('puck', 'disc'), ('round disc', 'flat disc')),
    # Kinds that only tests show.
    'candle': Ways(('candle',), ('wax candle',)),
    'sponge': Ways(('sponge',), ('scrubbing sponge',)),
    'jar': Ways(('jar',), ('glass jar',)),
    # Fixtures and their parts.
    'mug tree': Ways(('mug tree', 'tree', 'peg of the mug tree'), ('mug stand', 'mug holder')),
    'rack': Ways(('rack', 'cup rack', 'hook of the rack'), ('hanging rack', 'hook')),
    'board': Ways(
        ('hole', 'square hole', 'hole of the board', 'hole in the board'),
        ('slot of the board', 'opening in the board'),
    ),
    'pen holder': Ways(('pen holder', 'holder'), ('pencil pot', 'desk holder')),
    'plant': Ways(('plant', 'potted plant'), ('flower', 'cactus')),
    'toolbox': Ways(('toolbox', 'tool box'), ('tool case', 'box for tools')),
    'drawer': Ways(('drawer', 'drawer of the cabinet'), ('sliding drawer', 'cabinet drawer')),
    'top drawer': Ways(
        ('top drawer', 'upper drawer', 'top drawer of the chest'),
        ('highest drawer of the chest', 'topmost drawer'),
    ),
    'middle drawer': Ways(
        ('middle drawer', 'second drawer', 'middle drawer of the chest'),
        ('drawer in the middle', 'central drawer'),
    ),
    'bottom drawer': Ways(
        ('bottom drawer', 'lower drawer', 'bottom drawer of the chest'),
        ('lowest drawer of the chest', 'bottommost drawer'),
    ),
    'oven door': Ways(('oven', 'oven door', 'door of the oven'), ("oven's door", 'small oven')),
    'cabinet door': Ways(
        ('cabinet', 'cabinet door', 'door of the cabinet'), ('cupboard', "cabinet's door")
    ),
    'toolbox lid': Ways(
        ('toolbox', 'lid of the toolbox', 'toolbox lid'), ("toolbox's lid", 'tool case')
    ),
}

_PUT = ('put', 'place', 'set', 'move')
_PUT_HELD = ('deposit', 'lay')


def _putting(relations: tuple[str, ...], held: tuple[str, ...]) -> Ways:
    """Return verbs x relations, and a few longer forms."""
    train = [f'{verb} {{o}} {relation} {{r}}' for verb in _PUT for relation in relations]
    train += [f'pick up {{o}} and put it {relations[0]} {{r}}', f'{{o}} goes {relations[0]} {{r}}']
    test = [f'{verb} {{o}} {relation} {{r}}' for verb in _PUT_HELD for relation in relations]
    test += [f'{verb} {{o}} {relation} {{r}}' for verb in _PUT[:2] for relation in held]
    test += [
        f'{{o}} belongs {relations[0]} {{r}}',
        f'take {{o}} and leave it {relations[0]} {{r}}',
        f'{{o}} should end up {relations[0]} {{r}}',
        f'carry {{o}} over so that it is {relations[0]} {{r}}',
    ]
    return Ways(tuple(train), tuple(test))


DEEDS: dict[tuple[str, str], Ways] = {
    ('put', 'on'): _putting(('on', 'onto', 'on top of'), ('down on', 'upon')),
    ('put', 'in'): _putting(('in', 'into', 'inside'), ('within',)),
    ('put', 'next_to'): _putting(('next to', 'beside', 'near'), ('alongside', 'close by')),
    ('put', 'left_of'): _putting(
        ('to the left of', 'left of'), ('on the left side of', 'leftwards of')
    ),
    ('put', 'right_of'): _putting(
        ('to the right of', 'right of'), ('on the right side of', 'rightwards of')
    ),
    ('put', 'behind'): _putting(('behind',), ('at the back of', 'to the rear of')),
    ('put', 'in_front_of'): _putting(('in front of',), ('before', 'at the front of')),
    ('put', 'between'): Ways(
        (
            'put {o} between {r} and {r2}',
            'place {o} between {r} and {r2}',
            'move {o} between {r} and {r2}',
            'set {o} down between {r} and {r2}',
        ),
        (
            'put {o} in the gap between {r} and {r2}',
            'bring {o} in between {r} and {r2}',
            '{o} should stand midway from {r} to {r2}',
        ),
    ),
    ('put', 'down'): Ways(
        (
            'put {o} on the table',
            'place {o} on the table',
            'set {o} down on the table',
            'move {o} onto the table',
        ),
        (
            'take {o} out and leave it on the tabletop',
            'unload {o} onto the table',
            '{o} belongs on the table',
        ),
    ),
    ('lift', ''): Ways(
        ('lift {o}', 'lift up {o}', 'pick up {o}', 'raise {o}', 'take {o}', 'grab {o}'),
        (
            'hold {o} up in the air',
            'hoist {o}',
            'get {o} off the table',
            'bring {o} up',
            'elevate {o}',
        ),
    ),
    ('push', 'left'): Ways(
        ('push {o} to the left', 'slide {o} left', 'move {o} to the left', 'shift {o} left'),
        ('nudge {o} leftwards', 'drag {o} over to the left', 'scoot {o} to the left side'),
    ),
    ('push', 'right'): Ways(
        ('push {o} to the right', 'slide {o} right', 'move {o} to the right', 'shift {o} right'),
        ('nudge {o} rightwards', 'drag {o} over to the right', 'scoot {o} to the right side'),
    ),
    ('push', 'away'): Ways(
        ('push {o} away', 'slide {o} backwards', 'push {o} to the back', 'move {o} away'),
        ('shove {o} farther back', 'drag {o} to the rear', 'send {o} away from the camera'),
    ),
    ('push', 'towards'): Ways(
        ('push {o} to the front', 'slide {o} forwards', 'pull {o} closer', 'move {o} closer'),
        ('drag {o} nearer', 'bring {o} towards the camera', 'shove {o} to the front edge'),
    ),
    ('push', 'aside'): Ways(
        ('push {o} aside', 'move {o} aside', 'push {o} out of the way'),
        ('shunt {o} to one side', 'clear {o} out of the way'),
    ),
    ('push', 'away_from'): Ways(
        ('push {o} away from {r}', 'slide {o} away from {r}', 'move {o} away from {r}'),
        ('get {o} farther from {r}', 'drag {o} off from {r}'),
    ),
    ('push', 'towards_to'): Ways(
        ('push {o} towards {r}', 'slide {o} towards {r}', 'push {o} closer to {r}'),
        ('drag {o} up to {r}', 'shove {o} in the direction of {r}'),
    ),
    ('turn_upright', ''): Ways(
        ('turn {o} upright', 'stand {o} up', 'set {o} upright', 'stand {o} upright'),
        ('{o} has fallen over, right it', 'tip {o} back onto its base', 'erect {o}'),
    ),
    ('open', 'slide'): Ways(
        ('open {o}', 'pull {o} open', 'pull out {o}', 'slide {o} open', 'pull open {o}'),
        ('draw {o} out', 'get {o} open', '{o} should be open', 'I need something out of {o}'),
    ),
    ('close', 'slide'): Ways(
        ('close {o}', 'shut {o}', 'push {o} in', 'push {o} shut', 'slide {o} shut'),
        ('get {o} closed', '{o} should be shut', 'shove {o} back in'),
    ),
    ('open', 'hinge'): Ways(
        ('open {o}', 'open up {o}', 'swing {o} open', 'pull {o} open'),
        ('get {o} open', '{o} should be open', 'I need to look inside {o}', 'unclose {o}'),
    ),
    ('close', 'hinge'): Ways(
        ('close {o}', 'shut {o}', 'swing {o} shut', 'push {o} shut'),
        ('get {o} closed', '{o} should be shut', '{o} must not stay open'),
    ),
    ('hang', 'on'): Ways(
        ('hang {o} on {r}', 'put {o} on {r}', 'hang {o} up on {r}', 'place {o} on {r}'),
        (
            'let {o} dangle from {r}',
            'suspend {o} from {r}',
            '{o} should hang from {r}',
            'hook {o} onto {r}',
        ),
    ),
    ('insert', 'in'): Ways(
        ('insert {o} into {r}', 'put {o} in {r}', 'place {o} into {r}', 'stick {o} into {r}'),
        ('fit {o} into {r}', '{o} belongs in {r}', 'plug {r} with {o}', 'lower {o} into {r}'),
    ),
    ('pour', 'in'): Ways(
        (
            'pour tea from {o} into {r}',
            'fill {r} from {o}',
            'pour from {o} into {r}',
            'use {o} to fill {r}',
            'pour tea into {r}',
        ),
        (
            'empty {o} into {r}',
            'serve tea in {r} with {o}',
            '{r} needs tea out of {o}',
            'tip {o} over {r}',
        ),
    ),
    ('pour', 'on'): Ways(
        (
            'water {r} with {o}',
            'pour water from {o} on {r}',
            'use {o} to water {r}',
            'give {r} water with {o}',
            'water {r}',
        ),
        (
            'sprinkle {r} with {o}',
            '{r} looks thirsty, take {o}',
            'tip {o} over {r}',
            'let water run from {o} onto {r}',
        ),
    ),
}

FRAMES = Ways(
    ('{}', '{}', '{}', 'please {}', '{} please', 'could you {}', 'can you {}', 'now {}'),
    ('{}', 'robot, {}', 'would you kindly {}', 'I want you to {}', '{}, thank you'),
)
"""Round a way that begins with a verb."""
