# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.observation import Observation
from flow_manip_core.transforms import make_transform
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.inverse_kinematics import solve_ik
from flow_manip_planning.surroundings import (
    fill_columns,
    fit_support,
    flying_pixels,
    seen_through,
    support_height,
    Surroundings,
    thin_out,
)


def plane(slope, height, count=6000, seed=0):
    rng = np.random.default_rng(seed)
    points = np.empty((count, 3))
    points[:, :2] = rng.uniform(-0.3, 0.3, (count, 2)) + np.array([0.5, 0.0])
    points[:, 2] = height + (points[:, :2] - [0.5, 0.0]) @ np.asarray(slope)
    points[:, 2] += 0.001 * rng.normal(size=count)
    return points


@pytest.mark.parametrize('slope', [(0.0, 0.0), (0.087, 0.0), (-0.05, 0.1)])
def test_a_leaning_floor_is_found_among_things_that_stand_on_it(slope):
    things = plane(slope, 0.06, 1200, seed=1)
    scene = fit_support(
        np.concatenate([plane(slope, -0.27), things]), -0.268, np.array([0.5, 0.0])
    )
    assert scene.support_height == pytest.approx(-0.27, abs=0.002)
    np.testing.assert_allclose(scene.slope, slope, atol=0.01)
    at = np.array([[0.6, 0.1, 9.0]])
    assert scene.support_at(at)[0] == pytest.approx(-0.27 + 0.1 * sum(slope), abs=0.003)
    normal = scene.T_world_support[:3, 2]
    assert normal @ [1, 0, slope[0]] == pytest.approx(0, abs=0.01)


def test_too_few_points_or_a_wall_leave_the_support_level():
    few = fit_support(plane((0.1, 0.0), 0.0, 50), 0.0, np.array([0.5, 0.0]))
    assert few.slope == (0.0, 0.0)
    steep = fit_support(plane((0.9, 0.0), 0.0), 0.0, np.array([0.5, 0.0]))
    assert steep.slope == (0.0, 0.0)


@pytest.mark.parametrize(
    ('slope', 'origin', 'hit'),
    [
        ((0.0, 0.0), (0.0, 0.0), False),
        ((0.2, 0.0), (0.5, 0.1), False),  # leans, but not under the hand
        ((0.2, 0.0), (0.0, 0.1), True),  # has risen by 0.1 m where the hand is
        ((-0.2, 0.0), (0.0, 0.1), False),
    ],
)
def test_a_leaning_support_is_hit_where_it_is(robot, slope, origin, hit):
    down = make_transform([0.5, 0.1, 0.09], np.diag([1.0, -1.0, -1.0]))[None]
    q = solve_ik(robot.chain, down, robot.home[None]).q[0]
    nothing = np.empty((0, 3))
    # Low enough at the arm's foot that only the hand can touch it.
    scene = Surroundings(0.0, nothing, nothing, 0.008, slope, origin)
    assert CollisionWorld(robot, scene).collides(q, 0.04) is hit


def test_the_height_with_most_points_wins_near_the_expected_one():
    table, shelf = plane((0, 0), 0.012), plane((0, 0), 0.2, 20000)
    assert support_height(np.concatenate([table, shelf]), 0.0) == pytest.approx(0.012, abs=0.001)
    assert support_height(table[:50], 0.3) == 0.3


def test_columns_reach_from_the_seen_top_to_the_floor_and_noise_is_dropped():
    top = np.array([[0.101, 0.101, 0.05], [0.102, 0.103, 0.05], [0.5, 0.5, 0.3]])
    cells = fill_columns(top, 0.0, 0.01)
    np.testing.assert_allclose(cells[:, :2], np.tile([0.105, 0.105], (5, 1)))
    np.testing.assert_allclose(sorted(cells[:, 2]), [0.005, 0.015, 0.025, 0.035, 0.045])


def looking_down(depth):
    """Return a camera 1 m above the origin that looks straight down, its depths (H, W) [m]."""
    height, width = depth.shape
    T_world_camera = make_transform([0.0, 0.0, 1.0], np.diag([1.0, -1.0, -1.0]))
    return Observation(
        color=np.zeros((height, width, 3), np.uint8),
        depth=depth.astype(np.float32),
        camera=CameraModel.from_fov(width, height, 0.6),
        T_world_camera=T_world_camera,
        frame_id='world',
        stamp=0.0,
        joint_positions={},
    )


def test_what_the_camera_sees_through_is_free():
    depth = np.ones((120, 160))
    depth[:, :80] = 0.8  # something 0.2 m high on the left
    depth[:20] = np.nan
    observation = looking_down(depth)
    middle_left, middle_right = [-0.1, 0.0, 0.1], [0.1, 0.0, 0.1]
    on_the_floor, unknown = [0.1, 0.0, 0.004], [0.1, 0.27, 0.1]
    centers = np.array([middle_left, middle_right, on_the_floor, unknown, [0.0, 0.0, 2.0]])
    free = seen_through(centers, observation, 0.008)
    np.testing.assert_array_equal(free, [False, True, False, False, False])
    # At the edge a part of the cube is behind what is seen.
    assert not seen_through(np.array([[0.001, 0.0, 0.1]]), observation, 0.008)[0]


def test_pixels_between_two_surfaces_are_flying():
    depth = np.full((9, 9), 1.0, dtype=np.float32)
    depth[:, :4] = 0.8
    assert not flying_pixels(depth).any()
    depth[:, 4] = 0.9
    assert flying_pixels(depth)[:, 4].all()
    assert flying_pixels(depth).sum() == 9


def test_thinning_keeps_one_point_per_cube():
    points = np.random.default_rng(0).uniform(0, 0.1, (5000, 3))
    assert len(thin_out(points, 0.05)) == 8
