# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_mujoco.fixtures import FixtureBody, FixtureJoint, FixturePart, FixtureSpec
from flow_manip_mujoco.fixtures.furniture import door_cabinet, drawer_cabinet, oven, toolbox
from flow_manip_mujoco.fixtures.parts import HANDLE_CLEARANCE, HANDLE_RADIUS
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.tasks.conditions import lies_inside

RED, BLUE = (0.7, 0.1, 0.1), (0.1, 0.1, 0.7)
PLACE = (0.45, -0.25, 1.2)
FURNITURE = {
    'drawers': (drawer_cabinet('drawers', 2, rgb=RED, front_rgb=BLUE), 'drawer0', 0.10),
    'oven': (oven('oven', rgb=RED), 'door', 1.0),
    'left_cabinet': (door_cabinet('left_cabinet', rgb=RED, door_rgb=BLUE, hinge=1), 'door', 1.0),
    'right_cabinet': (
        door_cabinet('right_cabinet', rgb=RED, door_rgb=BLUE, hinge=-1),
        'door',
        1.0,
    ),
    'toolbox': (toolbox('toolbox', rgb=RED, lid_rgb=BLUE), 'lid', 1.2),
}
EACH = pytest.mark.parametrize(('fixture', 'part', 'value'), FURNITURE.values(), ids=FURNITURE)


def stand(cell, fixture, part, value, objects=()):
    """Reset the cell with one fixture at its place and one joint at a value."""
    body = fixture.body_name(part)
    scene = Scene(objects, 0, {fixture.name: PLACE}, (fixture,), {body: value})
    cell.reset(0, scene)
    return body


@EACH
def test_a_joint_stays_where_it_is_left(cell, fixture, part, value):
    for start in (0.0, value):
        body = stand(cell, fixture, part, start)
        cell.step(1000)
        tolerance = 0.001 if part.startswith('drawer') else 0.01
        assert cell.fixture_joints()[body] == pytest.approx(start, abs=tolerance)


@EACH
def test_a_part_s_pose_is_that_of_its_joint(cell, fixture, part, value):
    body = stand(cell, fixture, part, value)
    joint = fixture.body(part).joint
    measured = cell.fixture_joints()[body]
    expected = cell.body_pose(fixture.name) @ joint.transform(measured)
    np.testing.assert_allclose(cell.body_pose(body), expected, atol=1e-9)
    np.testing.assert_allclose(cell.body_pose(fixture.name)[:2, 3], PLACE[:2], atol=1e-12)


@EACH
def test_positive_values_open_towards_the_front_or_up(cell, fixture, part, value):
    body = fixture.body(part)
    moved = transform_points(body.joint.transform(value), np.array(body.grip)) - body.grip
    assert moved[2 if part == 'lid' else 0] > 0.04


@EACH
def test_a_pull_of_twelve_newtons_opens_and_one_newton_does_not(cell, fixture, part, value):
    for force, opens in ((1.0, False), (12.0, True)):
        body = stand(cell, fixture, part, 0.0)
        grip = np.array(fixture.body(part).grip)
        for _ in range(250):
            T = cell.body_pose(body)
            ahead = fixture.body(part).joint.transform(0.01)
            way = transform_points(ahead, grip) - grip
            cell.data.qfrc_applied[:] = 0.0
            mujoco.mj_applyFT(
                cell.model,
                cell.data,
                force * T[:3, :3] @ way / np.linalg.norm(way),
                np.zeros(3),
                transform_points(T, grip),
                cell.model.body(body).id,
                cell.data.qfrc_applied,
            )
            cell.step(1)
        travel = 0.05 if part.startswith('drawer') else 0.3
        assert (cell.fixture_joints()[body] > travel) == opens


@EACH
def test_a_handle_leaves_room_for_a_hand(cell, fixture, part, value):
    body = fixture.body(part)
    bar = next(p for p in body.parts if p.kind == 'capsule')
    np.testing.assert_allclose(bar.position, body.grip)
    assert 0.012 <= 2 * bar.size[0] <= 0.020
    assert 2 * (bar.size[0] + bar.size[1]) >= 0.10
    assert HANDLE_CLEARANCE >= 0.03
    assert bar.size[0] == HANDLE_RADIUS
    # Nothing but the posts at its ends is around the middle of the bar.
    middle = np.array(body.grip)
    for other in (p for p in body.parts if p.kind == 'box'):
        outside = np.abs(np.array(other.position) - middle) - np.array(other.size)
        assert np.linalg.norm(np.maximum(outside, 0.0)) >= 0.035, other


@EACH
def test_it_is_solid_and_drawn_where_it_is(cell, fixture, part, value):
    body = stand(cell, fixture, part, value)
    observation = cell.observe()
    points = cell.true_mask(fixture.name).points(observation)
    inside = transform_points(invert_transform(cell.body_pose(fixture.name)), points)
    half = np.array(fixture.size) / 2 + 0.04
    assert (np.abs(inside[:, :2]) < half[:2]).all()
    assert inside[:, 2].max() < fixture.size[2] + 0.01
    assert cell.true_mask(body).pixels.sum() > 1000


def test_what_falls_into_an_open_drawer_lies_in_it(cell):
    fixture = FURNITURE['drawers'][0]
    body = stand(cell, fixture, 'drawer0', 0.16, ('red_cube',))
    assert not lies_inside(cell, 'red_cube', body)
    joint = cell.data.joint('red_cube')
    place = transform_points(cell.body_pose(body), np.array([-0.0, 0.05, 0.0]))
    joint.qpos[:3] = [*place[:2], 0.25]
    cell.step(600)
    assert lies_inside(cell, 'red_cube', body)
    assert cell.fixture_joints()[body] > 0.15
    with pytest.raises(InvalidInputError, match='no part of a fixture'):
        lies_inside(cell, 'red_cube', 'drawers')


def test_objects_keep_clear_of_fixtures_and_of_what_they_hide(cell):
    fixture = FURNITURE['oven'][0]
    for seed in range(6):
        cell.reset(seed, Scene(('red_can', 'blue_cube'), 0, {'oven': PLACE}, (fixture,)))
        T = invert_transform(cell.body_pose('oven'))
        (x0, y0), (x1, y1) = fixture.area
        for spec in cell.objects:
            x, y, _ = transform_points(T, cell.object_pose(spec.name)[:3, 3])
            beyond = np.hypot(max(x0 - x, x - x1, 0.0), max(y0 - y, y - y1, 0.0))
            assert beyond > spec.footprint_radius + cell.config.layout.clearance - 2e-3
            assert cell.object_mask(spec.name).pixels.sum() > 150


def test_a_fixture_without_a_place_is_given_one_by_the_seed(cell):
    box = FURNITURE['toolbox'][0]
    places = []
    for seed in (1, 1, 2):
        cell.reset(seed, Scene(fixtures=(box,)))
        places.append(cell.body_pose('toolbox'))
    np.testing.assert_array_equal(places[0], places[1])
    assert np.abs(places[0] - places[2]).max() > 0.01


def test_two_fixtures_of_one_name_are_not_taken_for_each_other(cell):
    small = drawer_cabinet('drawers', 1, rgb=RED, front_rgb=BLUE)
    for fixture in (FURNITURE['drawers'][0], small, replace(small, size=small.size)):
        cell.reset(0, Scene((), 0, {'drawers': PLACE}, (fixture,)))
        assert len(cell.fixture_joints()) == len(fixture.moving)


def test_what_makes_no_sense_is_refused(cell):
    box = FURNITURE['toolbox'][0]
    with pytest.raises(ConfigurationError, match='names an object twice'):
        Scene(fixtures=(box, box))
    with pytest.raises(ConfigurationError, match="joint 'toolbox_lid' at 3"):
        Scene(fixtures=(box,), joints={'toolbox_lid': 3.0})
    with pytest.raises(ConfigurationError, match="joint 'drawer' at 0"):
        Scene(fixtures=(box,), joints={'drawer': 0.0})
    with pytest.raises(ConfigurationError, match='no unit vector'):
        FixtureJoint('hinge', (0.0, 0.0, 2.0))
    with pytest.raises(ConfigurationError, match="not 'weld'"):
        FixtureJoint('weld', (0.0, 0.0, 1.0))
    with pytest.raises(ConfigurationError, match='bodies of fixture'):
        FixtureSpec('rack', 'rack', (FixtureBody('hook'),), (0.1, 0.1, 0.1))
    with pytest.raises(InvalidInputError, match="has no 'door'"):
        box.body('door')
    with pytest.raises(InvalidInputError, match="no object 'oven'"):
        cell.body_pose('oven')


def test_a_thing_cannot_be_pushed_through_a_fixture(cell):
    wall = FixtureSpec(
        'wall',
        'wall',
        (FixtureBody(parts=(FixturePart('box', (0.01, 0.2, 0.05), (0.0, 0.0, 0.05)),)),),
        (0.02, 0.4, 0.1),
    )
    places = {'wall': (0.5, 0.0, 0.0), 'red_cube': (0.45, 0.0, 0.0)}
    cell.reset(0, Scene(('red_cube',), 0, places, (wall,)))
    for _ in range(200):
        cell.data.joint('red_cube').qvel[0] = 0.3
        cell.step(1)
    assert cell.object_pose('red_cube')[0, 3] == pytest.approx(0.49 - 0.0225, abs=2e-3)
