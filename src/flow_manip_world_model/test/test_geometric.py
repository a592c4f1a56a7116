# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import re

import numpy as np
import pytest

from flow_manip_core.errors import InvalidInputError, NoAcceptableFlowError
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_world_model.flow.rule_based import RuleBasedFlow
from flow_manip_world_model.points import farthest_points
from flow_manip_world_model.selection import Ranking, SELECTORS
from flow_manip_world_model.selection.geometric import GeometricSelection

PUT = 'put the cube on the plate'


@pytest.fixture(scope='module')
def select(context):
    return GeometricSelection(GeometricSelection.Config(), context)


@pytest.fixture(scope='module')
def scene(shapes):
    things = {
        'cube': shapes['box'](0.45, -0.15, (0.04, 0.04, 0.04)),
        'plate': shapes['bowl'](0.5, 0.12, 0.09, 0.015),
        'tower': shapes['box'](0.48, -0.01, (0.05, 0.05, 0.12)),
        'bottle': shapes['cylinder'](0.64, -0.22, 0.03, 0.18, lying=True, yaw=0.7),
    }
    return shapes['table'](things, noise=0.001).observe()


@pytest.fixture(scope='module')
def good(context, scene):
    """Return the generator's best flow for `PUT`."""
    observation, masks = scene
    generator = RuleBasedFlow(RuleBasedFlow.Config(), context)
    return generator.generate(observation, PUT, [masks['cube'], masks['plate']])[0]


def rank(select, scene, candidates, text=PUT, name='cube'):
    observation, masks = scene
    return select.rank(observation, text, masks[name], candidates)


def straight(scene, name, *offsets, seconds=4.0, turn=None):
    """Return a flow of a thing's points through offsets, minimum-jerk between them."""
    observation, masks = scene
    points = masks[name].points(observation)
    points = points[farthest_points(points, 100)]
    s = np.linspace(0.0, 1.0, 41)
    smooth = s**3 * (10 - 15 * s + 6 * s**2)
    stops = np.array([[0.0, 0.0, 0.0], *offsets])
    at = np.linspace(0.0, 1.0, len(stops))
    moves = np.stack([np.interp(smooth, at, stops[:, i]) for i in range(3)], axis=1)
    middle = points.mean(axis=0)
    transforms = np.array(
        [
            make_transform(middle + move, turn(share) if turn else None) @ make_transform(-middle)
            for move, share in zip(moves, smooth)
        ]
    )
    return flow_from_transforms(points, transforms, s * seconds)


def with_points(flow, change):
    points = flow.points.astype(float).copy()
    change(points)
    return replace(flow, points=points)


def teleporting(flow):
    return with_points(flow, lambda p: p.__setitem__(slice(20, None), p[-1]))


def morphing(flow):
    def grow(points):
        factor = np.linspace(1.0, 2.5, len(points))[:, None, None]
        middle = points.mean(axis=1, keepdims=True)
        points[:] = middle + (points - middle) * factor

    return with_points(flow, grow)


def still(flow):
    return with_points(flow, lambda p: p.__setitem__(slice(None), p[0]))


def underground(flow):
    def sink(points):
        points[..., 2] -= np.linspace(0.0, 0.08, len(points))[:, None]

    return with_points(flow, sink)


def floating(flow):
    def rise(points):
        points[..., 2] += np.linspace(0.0, 0.15, len(points))[:, None]

    return with_points(flow, rise)


def rushing(flow):
    return replace(flow, times=flow.times / 40.0)


def leaving(flow):
    def wander(points):
        points[..., 1] -= np.linspace(0.0, 1.0, len(points))[:, None] ** 2 * 0.7

    return with_points(flow, wander)


def elsewhere(flow):
    return with_points(flow, lambda p: p.__iadd__([0.12, 0.02, 0.0]))


def floating_start(flow):
    ray = np.array([1.15, 0.0, 0.75]) - flow.points[0].mean(axis=0)
    return with_points(flow, lambda p: p.__iadd__(0.1 * ray))


def invisible(flow):
    confidence = flow.confidence.copy()
    confidence[15:, 20:] = 0.0
    return replace(flow, confidence=confidence)


BAD = {
    teleporting: r'jumps \d+ mm between steps',
    morphing: r'changes its shape by \d+ mm',
    still: r'stands still: its farthest point moves 0 mm',
    underground: r'goes \d+ mm into the support at step',
    floating: r'ends \d+ mm above what is below it',
    rushing: r'moves at [\d.]+ m/s|jumps',
    leaving: r'leaves the workspace by \d+ mm',
    elsewhere: r'moves something else: \d+ % of its points',
    floating_start: r'starts \d+ mm before or behind',
    invisible: r'\d+ % of its points are visible at step',
}


def test_the_table_of_selectors_knows_it():
    assert SELECTORS.load('geometric') is GeometricSelection


@pytest.mark.parametrize(('spoil', 'reason'), BAD.items(), ids=[f.__name__ for f in BAD])
def test_a_spoilt_flow_is_vetoed_with_the_numbers(select, scene, good, spoil, reason):
    ranking = rank(select, scene, [spoil(good), good])
    assert re.search(reason, ranking.vetoes[0])
    assert ranking.vetoes[1] == ''
    assert ranking.order == (1,)
    assert ranking.scores[0] == 0.0


def test_a_good_flow_scores_high(select, scene, good):
    assert rank(select, scene, [good]).scores[0] > 0.8


def test_all_good_ones_are_ranked_and_all_bad_ones_left_out(select, scene, good):
    candidates = [spoil(good) for spoil in BAD] + [good]
    ranking = rank(select, scene, candidates)
    assert ranking.best == len(BAD)
    assert ranking.order == (len(BAD),)


def test_when_all_are_vetoed_every_reason_is_told(select, scene, good):
    with pytest.raises(NoAcceptableFlowError, match=r'all 2 candidates.*1: stands.*2: goes') as e:
        rank(select, scene, [still(good), underground(good)])
    assert e.value.code == 601


def test_no_candidates_are_refused(select, scene):
    with pytest.raises(InvalidInputError, match='no candidates'):
        rank(select, scene, [])


def test_slightly_shaking_ranks_below_smooth(select, scene, good):
    rng = np.random.default_rng(0)

    def shake(points):
        points[1:] += 0.004 * rng.normal(size=(len(points) - 1, 1, 3))

    ranking = rank(select, scene, [with_points(good, shake), good])
    assert ranking.order == (1, 0)


def test_slightly_morphing_ranks_below_rigid(select, scene, good):
    rng = np.random.default_rng(0)
    ranking = rank(
        select,
        scene,
        [with_points(good, lambda p: p.__iadd__(0.003 * rng.normal(size=p.shape))), good],
    )
    assert ranking.order == (1, 0)


def test_through_the_tower_is_vetoed_and_over_it_is_not(select, scene):
    goal = [0.05, 0.27, 0.006]
    through = straight(scene, 'cube', [0.0, 0.0, 0.02], [0.05, 0.27, 0.02], goal)
    ranking = rank(
        select,
        scene,
        [through, straight(scene, 'cube', [0, 0, 0.17], [0.05, 0.27, 0.17], goal, seconds=6.0)],
    )
    assert 'goes through something' in ranking.vetoes[0]
    assert ranking.order == (1,)


def test_a_lift_must_rise(select, scene):
    up = straight(scene, 'cube', [0.0, 0.0, 0.12])
    aside = straight(scene, 'cube', [0.0, -0.1, 0.0])
    ranking = rank(select, scene, [aside, up], 'lift the cube')
    assert 'rises by 0 mm' in ranking.vetoes[0]
    assert ranking.order == (1,)


def test_a_push_goes_where_it_was_told_and_stays_down(select, scene):
    left = straight(scene, 'cube', [0.0, -0.1, 0.0])
    right = straight(scene, 'cube', [0.0, 0.08, 0.0])
    lifted = straight(scene, 'cube', [0.0, -0.05, 0.1], [0.0, -0.1, 0.0])
    ranking = rank(select, scene, [right, lifted, left], 'push the cube to the left')
    assert 'degrees away from left' in ranking.vetoes[0]
    assert 'should be pushed' in ranking.vetoes[1]
    assert ranking.order == (2,)


def test_turning_upright_must_tilt(select, scene):
    axis = [-np.sin(0.7), np.cos(0.7), 0.0]
    tilted = straight(
        scene, 'bottle', [0, 0, 0.1], turn=lambda s: rotation_about(axis, -s * np.pi / 2)
    )
    spun = straight(scene, 'bottle', [0, 0, 0.1], turn=lambda s: rotation_about([0, 0, 1], s))
    ranking = rank(select, scene, [spun, tilted], 'turn the bottle upright', 'bottle')
    assert 'tilts by 0 degrees' in ranking.vetoes[0]
    assert ranking.order == (1,)


def test_an_instruction_beyond_the_grammar_is_still_ranked(select, scene, good):
    assert rank(select, scene, [still(good), good], 'waltz with the cube').order == (1,)


def test_another_frame_is_vetoed(select, scene, good):
    ranking = rank(select, scene, [replace(good, frame_id='camera'), good])
    assert "in the frame 'camera'" in ranking.vetoes[0]


def test_equals_keep_the_generators_order(select, scene, good):
    assert rank(select, scene, [good, good, good]).order == (0, 1, 2)


def test_a_ranking_that_contradicts_itself_is_refused():
    with pytest.raises(InvalidInputError, match='does not hold the acceptable'):
        Ranking(np.array([0.5, 0.0]), ('', 'bad'), (0, 1))
    with pytest.raises(InvalidInputError, match='2 vetoes with scores'):
        Ranking(np.array([0.5]), ('', ''), (0, 1))
