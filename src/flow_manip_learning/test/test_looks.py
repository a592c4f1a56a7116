# SPDX-License-Identifier: Apache-2.0
"""Cameras, lights and surfaces: of the pools they say they are from."""

import numpy as np
import pytest

from flow_manip_core.camera import project_from
from flow_manip_core.robot import load_rig
from flow_manip_core.transforms import is_rigid
from flow_manip_learning.simulated.looks import (
    draw_light,
    draw_surface,
    draw_view,
    HELD_OUT_PATTERNS,
    looking_at,
    PLAIN,
)

RIG = load_rig('tabletop').camera
MIDDLE = np.array([0.52, 0.0, 0.03])


def angles(view):
    """Azimuth and elevation [degrees] and distance [m] from the middle of the table."""
    out = view.T_world_camera[:3, 3] - MIDDLE
    distance = np.linalg.norm(out)
    azimuth = np.degrees(np.arctan2(out[1], out[0]))
    return azimuth, np.degrees(np.arcsin(out[2] / distance)), distance


def views(held_out, share=0.0, count=150):
    rng = np.random.default_rng(3)
    return [
        draw_view(RIG, (256, 192), rng, rig_share=share, held_out=held_out) for _ in range(count)
    ]


def test_a_camera_looks_at_the_middle_of_the_table_the_right_way_up():
    pose = looking_at(MIDDLE, 0.3, 0.7, 1.0)
    assert is_rigid(pose)
    ahead = pose[:3, 3] + 1.0 * pose[:3, 2]
    assert np.allclose(ahead, MIDDLE, atol=1e-12)
    assert pose[2, 1] < 0  # its y points down
    assert abs(pose[2, 0]) < 1e-12  # its x lies level


@pytest.mark.parametrize('held_out', [False, True])
def test_every_camera_sees_the_middle_of_the_table(held_out):
    for view in views(held_out, share=0.3):
        u, v = project_from(view.camera, view.T_world_camera, MIDDLE)
        assert 0 < u < 255
        assert 0 < v < 191
        assert is_rigid(view.T_world_camera)


def test_held_out_cameras_are_farther_to_the_side_steeper_or_farther_away():
    # The target itself moves by centimetres, hence the margins.
    def is_out(view):
        azimuth, elevation, distance = angles(view)
        return abs(azimuth) > 38 or elevation > 59 or distance > 1.27

    assert sum(map(is_out, views(True))) >= 145
    assert sum(map(is_out, views(False))) <= 5


def test_some_cameras_are_the_rigs_own():
    drawn = views(False, share=0.3)
    near = [np.linalg.norm(v.T_world_camera[:3, 3] - RIG.pose.matrix[:3, 3]) < 0.08 for v in drawn]
    own = [view.kind == 'rig' for view in drawn]
    assert 0.2 < np.mean(own) < 0.4
    assert all(n for n, o in zip(near, own) if o)


def test_patterns_of_the_test_are_not_those_of_training():
    rng = np.random.default_rng(0)
    train = {draw_surface(rng, own_share=0.2).kind for _ in range(80)}
    test = {draw_surface(rng, own_share=0.2, held_out=True).kind for _ in range(40)}
    assert train == {*PLAIN, 'own'}
    assert test == set(HELD_OUT_PATTERNS)


def test_lights_of_the_test_come_from_lower_down_than_those_of_training():
    rng = np.random.default_rng(0)

    def steepest(**options):
        lights = (draw_light(rng, own_share=0.0, **options) for _ in range(60))
        return [min(-d[2] for d in light.directions.values()) for light in lights]

    assert min(steepest()) > np.cos(np.radians(56.0))
    assert max(steepest(held_out=True)) < np.cos(np.radians(61.0))
    assert draw_light(rng, own_share=1.0) is None


def test_the_same_numbers_draw_the_same_looks():
    a, b = (draw_surface(np.random.default_rng(5), own_share=0.0) for _ in range(2))
    assert np.array_equal(a.pattern, b.pattern)
    one, two = (
        draw_view(RIG, (64, 48), np.random.default_rng(5), rig_share=0.3) for _ in range(2)
    )
    assert np.array_equal(one.T_world_camera, two.T_world_camera)
