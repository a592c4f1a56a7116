# SPDX-License-Identifier: Apache-2.0
"""What geometric selection says about motions as dreams have them: noisy, wrong in many ways."""

from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.errors import ConfigurationError, NoAcceptableFlowError
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_world_model.points import farthest_points
from flow_manip_world_model.selection.end_checks import joint_error
from flow_manip_world_model.selection.facts import moving_part, robust_poses
from flow_manip_world_model.selection.geometric import GeometricSelection
from flow_manip_world_model.selection.limits import GeometricConfig
from flow_manip_world_model.selection.shape_checks import stretches
from flow_manip_world_model.selection.wording import read_wording, Wording

STEPS, NUM_POINTS = 41, 100
UNKNOWN = 'waltz with the box'  # no check of the end applies


@pytest.fixture(scope='module')
def scene(shapes):
    things = {
        'box': shapes['box'](0.45, -0.05, (0.06, 0.08, 0.05)),
        'plate': shapes['bowl'](0.5, 0.2, 0.09, 0.02),
        'pole': shapes['box'](0.62, -0.2, (0.03, 0.03, 0.2)),
    }
    return shapes['table'](things, noise=0.001).observe()


@pytest.fixture(scope='module')
def select(context):
    return GeometricSelection(GeometricConfig(), context)


def smooth(count=STEPS):
    s = np.linspace(0.0, 1.0, count)
    return s**3 * (10 - 15 * s + 6 * s**2)


def moved(scene, *stops, turn=None, share=1.0, noise=0.0, seed=0, name='box'):
    """Return a dream of a thing that goes through offsets, a share of the way, with noise."""
    observation, masks = scene
    points = masks[name].points(observation)
    points = points[farthest_points(points, NUM_POINTS)]
    middle = points.mean(axis=0)
    path = np.array([[0.0, 0.0, 0.0], *stops])
    at = smooth() * share
    offsets = np.stack(
        [np.interp(at, np.linspace(0, 1, len(path)), path[:, i]) for i in range(3)], axis=1
    )
    poses = [
        make_transform(middle + o, turn(s) if turn else None) @ make_transform(-middle)
        for o, s in zip(offsets, at)
    ]
    flow = flow_from_transforms(points, np.array(poses), np.linspace(0.0, 2.5, STEPS))
    return shaken(flow, noise, seed) if noise else flow


def shaken(flow, noise, seed):
    rng = np.random.default_rng(seed)
    error = noise * rng.normal(size=flow.points.shape)
    error[0] *= 0.3
    return replace(flow, points=flow.points + error)


def rank(select, scene, flows, text=UNKNOWN, name='box'):
    return select.rank(scene[0], text, scene[1][name], flows)


ASIDE = [[0.0, 0.0, 0.1], [0.05, -0.1, 0.1], [0.05, -0.1, 0.0]]


def test_noise_of_a_dream_is_no_reason_for_a_veto(select, scene):
    ranking = rank(select, scene, [moved(scene, *ASIDE, noise=0.004)])
    assert ranking.vetoes == ('',)


def test_the_motion_that_others_agree_with_wins(select, scene):
    same = [moved(scene, *ASIDE, noise=0.003, seed=k) for k in range(3)]
    other = [
        moved(scene, [0, 0, 0.1], [-0.1, 0.08, 0.1], [-0.1, 0.08, 0.0]),
        moved(scene, [0, 0, 0.12], [0.1, 0.1, 0.12]),
    ]
    ranking = rank(select, scene, [*other, *same])
    assert set(ranking.order[:3]) == {2, 3, 4}


def test_two_candidates_are_not_asked_about_each_other(select, scene):
    alone = rank(select, scene, [moved(scene, *ASIDE)]).scores[0]
    two = rank(select, scene, [moved(scene, *ASIDE), moved(scene, [0.0, 0.1, 0.1])])
    assert two.scores[0] == pytest.approx(alone)


def test_a_motion_that_stops_short_ranks_below_those_that_go_on(select, scene):
    short = [moved(scene, *ASIDE, share=0.5, noise=0.002, seed=k) for k in range(3)]
    whole = [moved(scene, *ASIDE, noise=0.002, seed=10 + k) for k in range(3)]
    ranking = rank(select, scene, [*short, *whole])
    assert set(ranking.order[:3]) == {3, 4, 5}


def test_a_jump_cut_is_vetoed_even_if_it_is_small(select, scene):
    whole = moved(scene, *ASIDE)
    points = whole.points.copy()
    points[20:] += [0.0, -0.07, 0.0]
    ranking = rank(select, scene, [replace(whole, points=points), whole])
    assert 'times the steps around it' in ranking.vetoes[0]


def test_a_fast_part_of_a_slow_motion_is_no_jump(select, scene):
    swift = moved(scene, [0.0, -0.25, 0.02])
    times = np.linspace(0.0, 1.0, STEPS)
    assert rank(select, scene, [replace(swift, times=times)]).vetoes == ('',)


def test_an_object_that_grows_is_vetoed_below_the_noise_of_its_points(select, scene):
    whole = moved(scene, *ASIDE, noise=0.003)
    middle = whole.points.mean(axis=1, keepdims=True)
    factor = np.linspace(1.0, 1.4, STEPS)[:, None, None]
    ranking = rank(
        select, scene, [replace(whole, points=middle + factor * (whole.points - middle)), whole]
    )
    assert 'changes its size by +' in ranking.vetoes[0] or 'shape' in ranking.vetoes[0]
    assert ranking.order == (1,)


def test_stretch_is_measured_as_made_and_with_its_error():
    rng = np.random.default_rng(3)
    start = rng.uniform(-0.05, 0.05, size=(200, 3))
    points = np.stack([start, start * [1.0, 1.3, 1.0]]) + 0.002 * rng.normal(size=(2, 200, 3))
    stretch, error = stretches(points, np.ones((2, 200), bool), np.ones(200, bool))
    assert stretch[1] == pytest.approx(0.3, abs=0.03)
    assert 0.0 < error[1] < 0.03


def test_a_flat_thing_tells_nothing_about_its_thickness():
    rng = np.random.default_rng(3)
    start = rng.uniform(-0.05, 0.05, size=(200, 3)) * [1.0, 1.0, 0.01]
    points = np.stack([start, start * [1.0, 1.0, 9.0]])
    stretch, _ = stretches(points, np.ones((2, 200), bool), np.ones(200, bool))
    assert abs(stretch[1]) < 0.01


def test_a_part_that_stands_still_is_told_from_the_part_that_moves():
    rng = np.random.default_rng(0)
    start = rng.uniform(size=(60, 3)) * 0.2
    points = np.tile(start, (STEPS, 1, 1))
    points[:, :20] += smooth()[:, None, None] * [0.1, 0.0, 0.0]
    points += 0.002 * rng.normal(size=points.shape)
    body = moving_part(points, np.ones(points.shape[:2], bool))
    assert body[:20].all()
    assert not body[20:].any()


def test_a_drawer_in_a_mask_of_the_whole_cabinet_is_one_motion(select, scene):
    flow = moved(scene, [-0.06, 0.0, 0.0], noise=0.002)
    points = flow.points.copy()
    still = points[0, :, 0] > np.median(points[0, :, 0])
    points[:, still] = flow.points[0, still]
    assert rank(select, scene, [replace(flow, points=points)]).vetoes == ('',)


def test_a_rigid_object_may_not_leave_a_part_behind(context, scene):
    strict = GeometricSelection(GeometricConfig(shape='rigid'), context)
    flow = moved(scene, [-0.1, 0.0, 0.05])
    points = flow.points.copy()
    still = points[0, :, 0] > np.median(points[0, :, 0])
    points[:, still] = flow.points[0, still]
    with pytest.raises(NoAcceptableFlowError, match='changes its'):
        rank(strict, scene, [replace(flow, points=points)])


def test_cloth_may_bend_but_not_stretch(context, scene):
    soft = GeometricSelection(GeometricConfig(shape='deformable'), context)
    flow = moved(scene, [0.0, 0.0, 0.12])
    x = flow.points[0, :, 0] - flow.points[0, :, 0].mean()
    bent, torn = flow.points.astype(float), flow.points.astype(float)
    angle = np.linspace(0.0, 25.0, STEPS)[:, None] * x  # curls around the y axis
    bent[..., 2] += np.abs(np.sin(angle) * x)
    torn[..., 0] += np.linspace(0.0, 2.0, STEPS)[:, None] * x
    ranking = rank(soft, scene, [replace(flow, points=bent), replace(flow, points=torn)])
    assert ranking.vetoes[0] == ''
    assert 'changes its shape' in ranking.vetoes[1]


def test_poses_are_fitted_in_spite_of_points_that_go_elsewhere():
    rng = np.random.default_rng(1)
    start = rng.uniform(-0.05, 0.05, size=(60, 3))
    pose = make_transform([0.1, 0.0, 0.05], rotation_about([0, 0, 1], 0.6))
    end = start @ pose[:3, :3].T + pose[:3, 3]
    end[:18] = start[:18]
    end[:18, 1] += 0.3
    poses, residuals = robust_poses(np.stack([start, end]), np.ones((2, 60)))
    carried = start @ poses[1, :3, :3].T + poses[1, :3, 3]
    assert np.linalg.norm(carried - end, axis=1)[18:].max() < 3e-4
    assert residuals[1] > 0.01  # but the share that strays is seen


def test_what_should_be_on_something_may_not_end_on_the_bare_table(select, scene):
    on_plate = moved(scene, [0, 0, 0.1], [0.05, 0.25, 0.1], [0.05, 0.25, 0.015])
    beside = moved(scene, [0, 0, 0.1], [-0.05, -0.2, 0.1], [-0.05, -0.2, 0.0])
    ranking = rank(select, scene, [beside, on_plate], 'put the box on the plate')
    assert 'bare support' in ranking.vetoes[0]
    assert ranking.order == (1,)


def test_hung_up_means_near_something_and_off_the_table(select, scene):
    at_pole = moved(scene, [0, 0, 0.15], [0.14, -0.10, 0.12])
    in_the_air = moved(scene, [0, 0, 0.15], [-0.05, -0.05, 0.2])
    standing = moved(scene, [0, 0, 0.1], [0.13, -0.10, 0.1], [0.13, -0.10, 0.0])
    ranking = rank(select, scene, [in_the_air, standing, at_pole], 'hang the box on the pole')
    assert 'hangs on nothing' in ranking.vetoes[0]
    assert 'not hung up' in ranking.vetoes[1]
    assert ranking.order == (2,)


def test_pouring_tilts_and_may_end_in_the_air(select, scene):
    tilt = moved(scene, [0, 0, 0.15], turn=lambda s: rotation_about([1, 0, 0], s))
    level = moved(scene, [0, 0, 0.15])
    ranking = rank(select, scene, [level, tilt], 'pour from the box on the plate')
    assert 'needed to pour' in ranking.vetoes[0]
    assert ranking.order == (1,)


def test_what_opens_has_a_hinge_or_a_slide(select, scene):
    slides = moved(scene, [0.08, 0.0, 0.0], noise=0.002)
    swings = moved(scene, [0.0, 0.0, 0.0], turn=lambda s: rotation_about([0, 0, 1], s))
    wanders = moved(scene, [0.1, 0.0, 0.1], [0.1, 0.12, 0.1], [-0.1, 0.12, 0.15])
    ranking = rank(select, scene, [wanders, slides, swings], 'open the drawer')
    assert 'off any hinge or slide' in ranking.vetoes[0]
    assert set(ranking.order) == {1, 2}


def test_a_hinge_far_from_the_part_is_found_as_made():
    rng = np.random.default_rng(2)
    part = rng.uniform(size=(50, 3)) * [0.2, 0.02, 0.3] + [0.4, 0.1, 0.0]
    pivot = make_transform([0.35, 0.1, 0.0])
    swing = [
        pivot @ make_transform([0, 0, 0], rotation_about([0, 0, 1], a)) @ np.linalg.inv(pivot)
        for a in np.linspace(0.0, 1.2, STEPS)
    ]
    assert joint_error(np.array(swing), part) < 1e-6
    bent = np.array(swing)
    bent[:, 2, 3] += np.linspace(0.0, 0.1, STEPS) ** 2 * 10
    assert joint_error(bent, part) > 0.01


@pytest.mark.parametrize(
    ('text', 'wording'),
    [
        ('open the toolbox and put the screwdriver in', Wording('open')),
        ('hang the blue mug on the tree', Wording('hang')),
        ('put the mug on the mug tree', Wording('hang')),
        ('pour tea into the cup', Wording('pour')),
        ('insert the block into the hole', Wording('insert')),
        ('stand the red pen in the holder', Wording('insert')),
        ('put the cube on the plate', Wording('put', 'on', True)),
        ('put the cube on the table', Wording('put', 'on', False)),
        ('put the cube next to the plate', Wording('put', 'next_to', False)),
        ('shut the cabinet', Wording('close')),
        ('turn the bottle upright', Wording('turn_upright')),
        ('sing a song', Wording()),
        ('', Wording()),
    ],
)
def test_words_say_what_the_end_should_be(text, wording):
    assert read_wording(text) == wording


def test_an_unknown_kind_of_shape_is_refused():
    with pytest.raises(ConfigurationError, match="shape 'jelly'"):
        GeometricConfig(shape='jelly')


def test_too_few_points_fix_no_motion(select, scene):
    flow = moved(scene, *ASIDE)
    two = ObjectFlow(flow.points[:, :2], flow.confidence[:, :2], flow.times)
    with pytest.raises(NoAcceptableFlowError, match='2 points at step 1 fix none'):
        rank(select, scene, [two])
