# SPDX-License-Identifier: Apache-2.0
"""Handles on fronts, gentle rims, regions by part words, and the choice by a contact hint."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from flow_manip_core.errors import InvalidInputError, NoGraspError
from flow_manip_core.observation import Mask
from flow_manip_core.plan import Grasp
from flow_manip_core.transforms import make_transform, rotation_about, transform_points
from flow_manip_planning.grasp.candidate import Candidate, hand_rotation
from flow_manip_planning.grasp.choice import by_contact, contact_of
from flow_manip_planning.grasp.completion import complete_object, ObjectShape
from flow_manip_planning.grasp.hand import hand_boxes, opening_for, opening_of
from flow_manip_planning.grasp.protrusions import (
    _cross_section,
    find_front,
    find_protrusions,
    hands_on,
)
from flow_manip_planning.grasp.regions import find_region, holds_region
from flow_manip_planning.grasp.rims import find_rims, find_walls, rim_hands, SHEET, wall_hands
from flow_manip_planning.grasp.rods import find_rod, rod_hands
from flow_manip_planning.surroundings import perceive

NOISE = 0.001  # [m]


def grid(x, y, z, step=0.003):
    """Return the points of a box-shaped grid; a number instead of a range fixes that axis."""
    axes = [np.arange(*v, step) if isinstance(v, tuple) else np.array([v]) for v in (x, y, z)]
    return np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 3)


def drawer(rng, knob=False):
    """Return the seen points of a drawer's front in the plane x = 0 with its handle at +x."""
    front = grid(0.0, (-0.12, 0.12), (0.0, 0.12))
    if knob:
        handle = grid(0.03, (-0.012, 0.012), (0.05, 0.074))
        posts = grid((0.0, 0.03), 0.0, 0.062)
    else:
        handle = grid(0.04, (-0.06, 0.06), (0.056, 0.068))
        posts = np.concatenate([grid((0.0, 0.04), y, 0.062) for y in (-0.06, 0.06)])
    points = np.concatenate([front, handle, posts])
    return points + rng.normal(scale=NOISE, size=points.shape)


@pytest.mark.parametrize('yaw', [0.0, 0.7, 2.5])
def test_a_drawers_bar_is_found_and_measured(yaw):
    pose = make_transform([0.5, 0.1, 0.05], rotation_about([0, 0, 1], yaw))
    points = transform_points(pose, drawer(np.random.default_rng(0)))
    camera = transform_points(pose, np.array([1.0, 0.2, 0.6]))
    front = find_front(points, camera)
    np.testing.assert_allclose(front.normal, pose[:3, 0], atol=0.02)
    (bar,) = find_protrusions(points, front, 0.08)
    assert bar.length == pytest.approx(0.12, abs=0.012)
    assert bar.width == pytest.approx(0.012, abs=0.006)
    assert bar.height == pytest.approx(0.04, abs=0.004)
    assert abs(bar.along @ pose[:3, 1]) > 0.99
    middle = transform_points(pose, np.array([0.0, 0.0, 0.0605]))
    assert np.linalg.norm(bar.middle - middle) < 0.005
    assert not bar.is_knob


def test_hands_close_across_the_bar_clear_of_the_front(context):
    gripper = context.robot.gripper
    points = drawer(np.random.default_rng(1))
    front = find_front(points, np.array([1.0, 0.0, 0.5]))
    (bar,) = find_protrusions(points, front, gripper.max_width)
    hands = hands_on(bar, front, gripper)
    assert [hand.score for hand in hands] == sorted((h.score for h in hands), reverse=True)
    straight = hands[0].rotation
    np.testing.assert_allclose(straight[:, 2], [-1, 0, 0], atol=0.03)
    assert abs(straight[2, 1]) > 0.99
    assert len({round(float(h.rotation[2, 2]), 1) for h in hands}) >= 4
    for hand in hands:
        fingers = hand_boxes(gripper, opening_for(hand.width, gripper))[:2]
        corners = np.concatenate([f.corners for f in fingers]) @ hand.rotation.T + hand.tcp
        assert (corners @ front.normal).min() > front.offset + 0.006
        # The bar lies between the fingers: 4 cm off the front and 6 cm up.
        local = (np.array([0.034, hand.tcp[1], 0.062]) - hand.tcp) @ hand.rotation
        assert abs(local[1]) < 0.008
        assert local[2] < gripper.tip_offset


def test_a_knob_is_taken_from_several_sides(context):
    points = drawer(np.random.default_rng(2), knob=True)
    front = find_front(points, np.array([1.0, 0.0, 0.5]))
    (knob,) = find_protrusions(points, front, 0.08)
    assert knob.is_knob
    hands = hands_on(knob, front, context.robot.gripper)
    closings = [hand.rotation[:, 1] for hand in hands if hand.rotation[0, 2] < -0.99]
    angles = {round(float(np.degrees(np.arctan2(c[2], c[1])) % 180) / 30) % 6 for c in closings}
    assert len(angles) >= 4


def test_a_plain_front_and_what_is_no_front_have_no_handle():
    rng = np.random.default_rng(3)
    plain = grid(0.0, (-0.1, 0.1), (0.0, 0.1))
    plain = plain + rng.normal(scale=NOISE, size=plain.shape)
    camera = np.array([1.0, 0.0, 0.5])
    assert find_protrusions(plain, find_front(plain, camera), 0.08) == []
    ball = rng.normal(size=(500, 3))
    ball = 0.05 * ball / np.linalg.norm(ball, axis=1, keepdims=True)
    assert find_front(ball, camera) is None


def test_what_is_wider_than_the_gripper_is_no_handle():
    points = np.concatenate(
        [grid(0.0, (-0.12, 0.12), (0.0, 0.2)), grid(0.03, (-0.05, 0.05), (0.05, 0.15))]
    )
    front = find_front(points, np.array([1.0, 0.0, 0.5]))
    assert find_protrusions(points, front, 0.08) == []


def dish(slope, radius=0.09, flat=0.065):
    """Return the shape of a plate: a disc and a rim that rises outwards by `slope` [rad]."""
    r, a = np.meshgrid(np.arange(0.004, radius, 0.003), np.linspace(0, 2 * np.pi, 150))
    z = 0.006 + np.maximum(r - flat, 0.0) * np.tan(slope)
    points = np.stack([0.5 + r * np.cos(a), r * np.sin(a), z], axis=-1).reshape(-1, 3)
    count = len(points)
    up = np.tile([0.0, 0.0, 1.0], (count, 1))
    return ObjectShape(points, up, np.ones(count, bool), 0.0, np.zeros(count, bool))


def test_the_slope_of_a_plates_rim_is_read_off_its_section():
    rims = find_rims(dish(0.45), 0.011)
    assert len(rims) >= 20
    for rim in rims:
        assert rim.slope == pytest.approx(0.45, abs=0.06)
        assert np.hypot(rim.edge[0] - 0.5, rim.edge[1]) == pytest.approx(0.088, abs=0.004)
        away = (rim.edge - [0.5, 0.0, 0.0])[:2]
        assert away @ rim.outward[:2] > 0.97 * np.linalg.norm(away)


@pytest.mark.parametrize('slope', [0.0, 1.2])
def test_flat_discs_and_steep_walls_are_no_gentle_rims(slope):
    assert find_rims(dish(slope), 0.011) == []


def test_a_rims_hand_leans_until_its_upper_finger_holds(context):
    gripper, friction = context.robot.gripper, np.radians(42)
    rim = find_rims(dish(0.45), 0.011)[0]
    normal = np.cos(rim.slope) * np.array([0, 0, 1.0]) - np.sin(rim.slope) * rim.outward
    for hand in rim_hands(rim, gripper, friction):
        closing = hand.rotation[:, 1]
        assert closing @ normal > np.cos(friction) - 1e-6
        assert hand.rotation[:, 2] @ rim.outward <= 1e-9
        tips = (rim.edge - hand.tcp) @ hand.rotation
        assert tips[2] < gripper.tip_offset
        assert hand.opening < hand.width + 0.01
        assert opening_of(hand.grasp(False), gripper) == pytest.approx(hand.opening)


def cup(radius=0.031, height=0.064, solid=False):
    """Return what a camera at x = 1.5 sees of a cup at (0.5, 0): outside near, inside far."""
    z, a = np.meshgrid(np.arange(0.004, height, 0.003), np.linspace(0, 2 * np.pi, 60))
    outward = np.stack([np.cos(a), np.sin(a), np.zeros_like(a)], axis=-1).reshape(-1, 3)
    near = outward[:, 0] > 0
    points = np.where(near[:, None], radius, radius - SHEET) * outward + [0.5, 0.0, 0.0]
    points[:, 2] = z.ravel()
    normals = np.where(near[:, None], outward, -outward)
    if solid:
        lid = grid((0.48, 0.52), (-0.02, 0.02), height)
        points = np.concatenate([points, lid])
        normals = np.concatenate([normals, np.tile([0.0, 0.0, 1.0], (len(lid), 1))])
    seen = np.ones(len(points), bool)
    return ObjectShape(points, normals, seen, 0.0, ~seen)


def test_an_upright_wall_is_found_around_a_cup_in_the_middle_of_its_sheet():
    walls = find_walls(cup(), 0.01)
    assert len(walls) >= 20
    for wall in walls:
        away = wall.edge[:2] - [0.5, 0.0]
        assert np.linalg.norm(away) == pytest.approx(0.031 - 0.5 * SHEET, abs=0.0025)
        assert wall.edge[2] == pytest.approx(0.062, abs=0.004)
        assert away @ wall.outward[:2] > 0.93 * np.linalg.norm(away)


def test_what_is_solid_or_flat_has_no_upright_wall():
    assert find_walls(cup(solid=True), 0.01) == []
    assert find_walls(cup(height=0.02), 0.01) == []


def test_a_walls_hands_close_square_to_it_with_one_finger_inside(context):
    gripper = context.robot.gripper
    wall = find_walls(cup(), 0.01)[0]
    hands = wall_hands(wall, gripper)
    assert len({tuple(np.round(hand.rotation[:, 2], 3)) for hand in hands}) >= 5
    for hand in hands:
        assert abs(hand.rotation[:, 1] @ wall.outward) == pytest.approx(1.0)
        at = (wall.edge - hand.tcp) @ hand.rotation
        assert at[1] == pytest.approx(0.0, abs=1e-9)
        # The tips are below the edge, the palm is far from it.
        assert at[2] < gripper.tip_offset - 0.01
        assert at[2] > gripper.tip_offset - 0.9 * gripper.finger_length


def test_a_lying_pen_is_taken_squarely_across_from_several_tilts(tabletop, scenes, proposer):
    pen = scenes.thing(0.5, 0.1, (0.145, 0.018, 0.018), 0.7)
    observation, (mask,) = tabletop.look(pen)
    grasps = proposer.propose(observation, mask, max_grasps=40)
    for grasp in grasps[:10]:
        local = pen.pose[:3, :3].T @ grasp.T_world_tcp[:3, :3]
        assert abs(local[1, 1]) > np.cos(np.radians(4))
        assert abs((pen.pose[:3, :3].T @ (grasp.T_world_tcp[:3, 3] - pen.pose[:3, 3]))[1]) < 0.005
        assert grasp.width == pytest.approx(0.018, abs=0.006)
    leaning = {round(float(g.T_world_tcp[:3, 2] @ pen.pose[:3, 0]), 1) for g in grasps}
    assert leaning >= {-0.5, 0.0, 0.5}


def test_what_stands_or_is_thick_or_bent_is_no_lying_rod(tabletop, scenes, context):
    def rod_of(*things):
        observation, masks = tabletop.look(*things)
        mask = Mask(np.logical_or.reduce([m.pixels for m in masks]), 'thing')
        scene = perceive(observation, mask, context, None)
        return find_rod(complete_object(observation, mask, scene))

    across = rod_of(scenes.thing(0.5, 0.0, (0.02, 0.12, 0.02)))
    assert abs(across.axis[1]) > 0.999
    # The camera is coarse: a mask loses a pixel of 3 mm on each side.
    assert 0.010 < across.width < 0.024
    assert 0.105 < across.length < 0.125
    assert rod_of(scenes.thing(0.5, 0.0, (0.02, 0.02, 0.12))) is None
    assert rod_of(scenes.thing(0.5, 0.0, (0.12, 0.06, 0.02))) is None
    bent = scenes.thing(0.5, 0.0, (0.1, 0.015, 0.02)), scenes.thing(0.55, 0.05, (0.015, 0.1, 0.02))
    assert rod_of(*bent) is None


def test_tilted_hands_on_a_rod_keep_clear_of_what_it_lies_on(tabletop, scenes, context):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.14, 0.018, 0.018)))
    shape = complete_object(observation, mask, perceive(observation, mask, context, None))
    gripper = context.robot.gripper
    hands = rod_hands(find_rod(shape), gripper, shape.bottom, 0.004)
    for hand in hands:
        for box in hand_boxes(gripper, opening_for(hand.width, gripper)):
            assert (box.corners @ hand.rotation.T + hand.tcp)[:, 2].min() > 0.003


def test_a_plate_on_the_table_is_taken_by_its_rim(tabletop, proposer, context):
    # The scene's things are boxes and cylinders: a plate is drawn into the depth of an empty one.
    observation, _ = tabletop.look()
    T, camera = observation.T_world_camera, observation.camera
    rays = camera.lift(np.ones(observation.depth.shape, np.float32)) @ T[:3, :3].T
    depth = observation.depth.astype(float)
    for _ in range(30):  # where the ray meets the dish, found by walking
        points = T[:3, 3] + depth[..., None] * rays
        r = np.hypot(points[..., 0] - 0.5, points[..., 1])
        height = np.where(r < 0.09, 0.006 + np.maximum(r - 0.068, 0.0) * 0.5, 0.0)
        depth += 0.5 * (points[..., 2] - height) / -rays[..., 2]
    plate = r < 0.089
    seen = replace(observation, depth=depth.astype(np.float32))
    mask = Mask(plate & np.isfinite(seen.depth), 'plate')
    grasps = proposer.propose(seen, mask)
    gripper = context.robot.gripper
    for grasp in grasps:
        tcp = grasp.T_world_tcp[:3, 3]
        assert np.hypot(tcp[0] - 0.5, tcp[1]) == pytest.approx(0.09, abs=0.012)
        boxes = hand_boxes(gripper, opening_of(grasp, gripper))
        corners = transform_points(grasp.T_world_tcp, np.concatenate([b.corners for b in boxes]))
        assert corners[:, 2].min() > 0.0


def bottle():
    """Return a bottle's whole surface: body to 10 cm, neck of a third of the width to 17 cm."""
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi, 60), np.arange(0.0, 0.17, 0.003))
    radius = np.where(height < 0.1, 0.03, np.where(height < 0.12, 0.02, 0.011))
    out = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    points = radius[..., None] * out + np.stack([0 * height, 0 * height, height], axis=-1)
    points, out = points.reshape(-1, 3), out.reshape(-1, 3)
    count = len(points)
    return ObjectShape(points, out, np.ones(count, bool), 0.0, np.zeros(count, bool))


CAMERA = np.array([1.0, 0.0, 0.5])


@pytest.mark.parametrize(
    ('part', 'low', 'high'),
    [('neck', 0.1, 0.17), ('top', 0.127, 0.17), ('base', 0.0, 0.051), ('body', 0.034, 0.145)],
)
def test_the_parts_of_a_bottle_are_its_heights(part, low, high):
    shape = bottle()
    heights = shape.points[find_region(part, shape, CAMERA), 2]
    assert heights.min() == pytest.approx(low, abs=0.008)
    assert heights.max() == pytest.approx(high, abs=0.008)


@pytest.mark.parametrize(
    ('part', 'message'),
    [('handle', "'bottle' shows no handle: 0 of its"), ('ear', "no part 'ear'")],
)
def test_a_part_that_is_not_there_is_refused(part, message):
    with pytest.raises(NoGraspError, match=message):
        find_region(part, bottle(), CAMERA, 'bottle')


def test_a_cube_has_no_neck(tabletop, scenes, context, proposer):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.05, 0.05, 0.05)))
    with pytest.raises(NoGraspError, match="'thing 0' shows no neck"):
        proposer.propose(observation, mask, part='neck')


def test_a_handle_is_what_no_finger_wide_disc_reaches(tabletop, scenes, context):
    # A mug as seen from above is a disc with a thin bar: a cylinder and a narrow box.
    can, bar = scenes.thing(0.5, 0.0, (0.036, 0.085)), scenes.thing(0.5, 0.05, (0.01, 0.04, 0.06))
    observation, masks = tabletop.look(can, bar)
    both = Mask(masks[0].pixels | masks[1].pixels, 'mug')
    shape = complete_object(observation, both, perceive(observation, both, context, None))
    region = find_region('handle', shape, observation.T_world_camera[:3, 3], 'mug')
    handle = shape.points[region]
    assert (handle[:, 1] > 0.032).all()
    assert (np.abs(handle[:, 0] - 0.5) < 0.015).all()


def test_a_mug_is_held_by_the_handle_that_is_asked_for(tabletop, scenes, proposer):
    can, bar = scenes.thing(0.5, 0.0, (0.036, 0.085)), scenes.thing(0.5, 0.05, (0.01, 0.04, 0.06))
    observation, masks = tabletop.look(can, bar)
    both = Mask(masks[0].pixels | masks[1].pixels, 'mug')
    for grasp in proposer.propose(observation, both, part='handle'):
        assert grasp.width < 0.025
        assert contact_of(grasp)[1] > 0.03


def test_both_fingers_must_be_on_the_part():
    region = cKDTree(np.array([[0.0, y, 0.0] for y in (-0.02, 0.02)]))
    rotation = hand_rotation(np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0]))
    at = Candidate(np.zeros(3), rotation, 0.04, 0.5)
    assert holds_region(at, region)
    assert not holds_region(replace(at, tcp=np.array([0.0, 0.02, 0.0])), region)


def grasps_at(*xs):
    return [Grasp(make_transform([x, 0.0, 0.0]), 0.02, 0.9 - 0.1 * i) for i, x in enumerate(xs)]


def places(grasps):
    return [round(float(contact_of(g)[0]), 3) for g in grasps]


def test_without_a_hint_the_order_stays():
    grasps = grasps_at(0.3, 0.1, 0.2)
    assert by_contact(grasps, None, np.zeros((1, 3))) == grasps
    assert by_contact(grasps, None, np.zeros((1, 3)), limit=2) == grasps[:2]


def test_grasps_within_two_centimetres_of_the_thumb_come_first_in_their_order():
    hint, movable = np.array([0.1, 0.0, 0.0]), np.array([[0.1, 0.0, 0.0]])
    ordered = by_contact(grasps_at(0.3, 0.115, 0.1, 0.13), hint, movable)
    assert places(ordered) == [0.115, 0.1, 0.13, 0.3]
    scores = [grasp.score for grasp in ordered]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > 0.5 > scores[2]


def test_without_a_grasp_at_the_thumb_the_nearest_to_the_movable_point_wins():
    # The thumb was seen 5 cm off the object, whose nearest point is at 0.2.
    hint = np.array([0.15, 0.0, 0.0])
    movable = np.array([[x, 0.0, 0.0] for x in (0.2, 0.3, 0.4)])
    assert places(by_contact(grasps_at(0.4, 0.115, 0.21), hint, movable)) == [0.21, 0.115, 0.4]


@pytest.mark.parametrize('hint', [np.zeros(2), np.array([0.0, np.nan, 0.0])])
def test_a_hint_that_is_no_point_is_refused(hint):
    with pytest.raises(InvalidInputError, match='contact'):
        by_contact(grasps_at(0.1), hint, np.zeros((1, 3)))


@pytest.mark.parametrize('end', [-1, 1])
def test_a_long_bar_is_taken_where_the_hint_says(tabletop, scenes, proposer, end):
    observation, (mask,) = tabletop.look(scenes.thing(0.5, 0.0, (0.03, 0.2, 0.04)))
    hint = np.array([0.5, 0.08 * end, 0.03])
    best = proposer.propose(observation, mask, contact=hint)[:4]
    for grasp in best:
        assert np.linalg.norm(contact_of(grasp) - hint) <= 0.02


def test_the_middle_of_a_round_bar_is_found_though_its_underside_is_hidden():
    rng = np.random.default_rng(0)
    # Seen from 50 degrees above: half of the bar's surface, of which 0.012 m of height are used.
    angle = np.radians(rng.uniform(-35.0, 130.0, 120))
    sides, heights = 0.009 * np.sin(angle), 0.04 + 0.009 * np.cos(angle)
    noise = 0.0003 * rng.normal(size=(2, 120))
    seen = 0.5 * (sides.min() + sides.max())
    middle, width = _cross_section(sides + noise[0], heights + noise[1])
    assert abs(middle) < 0.0005 < abs(seen)
    assert width == pytest.approx(0.018, abs=0.001)


def test_a_square_bar_is_taken_as_seen():
    sides = np.repeat(np.linspace(-0.02, 0.02, 30), 3)
    middle, width = _cross_section(sides, np.full(90, 0.04))
    assert middle == pytest.approx(0.0)
    assert width == pytest.approx(0.04)
