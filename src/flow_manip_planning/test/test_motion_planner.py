# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    InCollisionError,
    InvalidInputError,
    NoPathError,
    UnreachableError,
)
from flow_manip_core.transforms import make_transform
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.inverse_kinematics import random_starts, solve_ik_multistart
from flow_manip_planning.motion_planner import create_motion_planner
from flow_manip_planning.motion_planner.escape import first_worse, leave_contact
from flow_manip_planning.motion_planner.free_ik import free_configurations, plan_to_pose
from flow_manip_planning.motion_planner.polishing import polish_corners, spread
from flow_manip_planning.motion_planner.roboplan_planner import RoboplanConfig, RoboplanPlanner
from flow_manip_planning.motion_planner.rounding import round_corners
from flow_manip_planning.motion_planner.rrt_connect import search
from flow_manip_planning.path_optimization import DistanceField
from flow_manip_planning.surroundings import fill_columns, Surroundings

VOXEL, WIDTH = 0.008, 0.04


def block(x, y, size, height):
    side = np.arange(-size / 2, size / 2, 0.003)
    grid = np.stack(np.meshgrid(x + side, y + side, [height]), axis=-1).reshape(-1, 3)
    return fill_columns(grid, 0.0, VOXEL)


def world_with(robot, *obstacles):
    cloud = np.concatenate(obstacles) if obstacles else np.empty((0, 3))
    return CollisionWorld(robot, Surroundings(0.0, cloud, np.empty((0, 3)), VOXEL))


def hand_down_at(robot, x, y, z):
    """Return a configuration with the fingers pointing down at x, y, z of the base."""
    target = robot.T_world_base @ make_transform([x, y, z], np.diag([1.0, -1.0, -1.0]))
    seeds = np.concatenate(
        [robot.home[None], random_starts(robot.chain, 5, np.random.default_rng(0))]
    )
    q, solved = solve_ik_multistart(robot.chain, target[None], seeds, robot.home)
    return q[0][solved[0]][0]


def densely(corners, step=0.01):
    """Return the (N, J) configurations of a polyline."""
    parts = [corners[:1]]
    for a, b in pairwise(corners):
        count = int(np.abs(b - a).max() / step) + 2
        parts.append(np.linspace(a, b, count)[1:])
    return np.concatenate(parts)


@pytest.fixture(scope='module')
def motion(context):
    return RoboplanPlanner(RoboplanConfig(), context)


@pytest.fixture(scope='module')
def walled(robot):
    wall = np.concatenate([block(0.5, y, 0.02, 0.45) for y in np.arange(-0.06, 0.07, 0.02)])
    return world_with(robot, wall)


@pytest.fixture(scope='module')
def blocked(robot):
    return world_with(robot, block(0.5, 0.0, 0.1, 0.1))


def test_free_motion_goes_around_a_wall_and_repeats_with_its_seed(robot, motion, walled):
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    path = motion.plan(start, goal, walled, width=WIDTH, seed=3)
    np.testing.assert_allclose(path[[0, -1]], [start, goal])
    assert len(path) > 2
    assert walled.first_collision(densely(path), WIDTH) is None
    np.testing.assert_array_equal(path, motion.plan(start, goal, walled, width=WIDTH, seed=3))


def test_where_nothing_stands_between_the_way_is_straight(robot, motion, blocked):
    start, goal = hand_down_at(robot, 0.4, -0.25, 0.2), hand_down_at(robot, 0.6, -0.2, 0.25)
    path = motion.plan(start, goal, blocked, width=WIDTH)
    np.testing.assert_array_equal(path, [start, goal])


def test_a_held_object_is_carried_around_what_the_empty_hand_passes_over(robot, motion):
    hanging = np.stack(
        np.meshgrid([-0.01, 0.0, 0.01], [-0.01, 0.0, 0.01], np.arange(0, 0.12, 0.005)), axis=-1
    ).reshape(-1, 3)
    world = world_with(robot, block(0.53, 0.0, 0.12, 0.2))
    start, goal = hand_down_at(robot, 0.5, -0.2, 0.24), hand_down_at(robot, 0.5, 0.2, 0.24)
    empty = motion.plan(start, goal, world, width=0.02, seed=1)
    world.hold_object(hanging)
    assert world.first_collision(densely(empty), 0.02) is not None
    carried = motion.plan(start, goal, world, width=0.02, seed=1)
    assert world.first_collision(densely(carried), 0.02) is None


def test_corners_are_rounded_as_far_as_nothing_is_hit(robot, motion, walled):
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    path = motion.plan(start, goal, walled, width=WIDTH, seed=0)
    curve = round_corners(path, walled, WIDTH)
    at = curve(np.linspace(0, 1, 400))
    np.testing.assert_allclose(at[[0, -1]], path[[0, -1]], atol=1e-12)
    assert walled.first_collision(at, WIDTH) is None
    assert np.abs(np.diff(at, n=2, axis=0)).max() < 0.02


def test_a_way_through_a_wall_cannot_be_rounded(robot, walled):
    ends = np.stack([hand_down_at(robot, 0.5, y, 0.1) for y in (-0.25, 0.25)])
    with pytest.raises(NoPathError, match=r'rounded, even by 0.015 rad.*mm inside obstacles'):
        round_corners(ends, walled, WIDTH)


def test_a_goal_in_collision_is_named_with_what_it_touches(robot, motion, blocked):
    above, inside = hand_down_at(robot, 0.5, 0.0, 0.3), hand_down_at(robot, 0.5, 0.0, 0.05)
    with pytest.raises(
        NoPathError, match=r'goal .* in collision: panda_\w+ is 1\d mm inside obstacles'
    ):
        motion.plan(above, inside, blocked, width=WIDTH)


def test_too_few_samples_give_up_with_the_numbers(robot, context, walled):
    planner = RoboplanPlanner(RoboplanConfig(samples=5), context)
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    with pytest.raises(
        NoPathError, match=r'no way found with 5 samples in \d\.\d\d s over 1\.\d+ rad'
    ):
        planner.plan(start, goal, walled, width=WIDTH, seed=0)


def test_time_ends_a_search_that_samples_would_not(robot, context, walled):
    planner = RoboplanPlanner(RoboplanConfig(samples=10**9, seconds=1e-6), context)
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    with pytest.raises(NoPathError, match=r'no way found .* s over 1\.\d+ rad'):
        planner.plan(start, goal, walled, width=WIDTH)


@pytest.mark.parametrize('poll', [2, 3, 4, 5, 6])
def test_a_cancel_is_seen_at_every_edge_of_the_search(robot, motion, walled, poll):
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    polls = iter(range(1, 1000))
    with pytest.raises(CancelledError):
        motion.plan(start, goal, walled, width=WIDTH, cancelled=lambda: next(polls) == poll)
    assert next(polls) == poll + 1


@pytest.mark.parametrize('end', ['start', 'goal'])
def test_an_end_beyond_a_joint_limit_is_named(robot, motion, blocked, end):
    beyond = robot.home.copy()
    beyond[3] = 0.1
    ends = {'start': robot.home, 'goal': robot.home, end: beyond}
    with pytest.raises(NoPathError, match=f'{end} .* panda_joint4 0.1698 rad beyond'):
        motion.plan(ends['start'], ends['goal'], blocked, width=WIDTH)


def test_ends_that_are_no_configurations_are_refused(robot, motion, blocked):
    with pytest.raises(InvalidInputError, match='expected 7 finite values'):
        motion.plan(robot.home[:6], robot.home, blocked, width=WIDTH)
    with pytest.raises(InvalidInputError, match='goal'):
        motion.plan(robot.home, robot.home * np.nan, blocked, width=WIDTH)


@pytest.mark.parametrize('z', [0.1, 0.085, 0.07])
def test_a_start_in_contact_backs_out_along_the_tool(robot, blocked, z):
    start = hand_down_at(robot, 0.5, 0.0, z)
    assert blocked.collides(start, WIDTH)
    way = leave_contact(blocked, start, WIDTH)
    np.testing.assert_array_equal(way[0], start)
    assert not blocked.collides(way[-1], WIDTH)
    assert first_worse(blocked, densely(way), WIDTH) is None
    tips = robot.chain.tip(densely(way))[:, :3, 3]
    np.testing.assert_allclose(tips[:, :2], tips[:1, :2].repeat(len(tips), 0), atol=2e-3)
    # Free is above 96 mm + 8.8 mm of finger; it stops at the first 5 mm step above.
    assert 0.1048 <= tips[-1, 2] - robot.T_world_base[2, 3] <= 0.1048 + 0.006


def test_a_start_that_cannot_back_out_goes_to_the_nearest_free_configuration(robot):
    # A post beside the open finger that goes on upwards: neither back nor up leaves it.
    start = hand_down_at(robot, 0.5, 0.0, 0.3)
    beside = robot.chain.tip(start)[:3, 3] + np.array([0.0, 0.058, 0.0])
    post = np.stack(
        np.meshgrid([-0.004, 0.004], [0.0, 0.008], np.arange(-0.02, 0.2, 0.008)), axis=-1
    ).reshape(-1, 3)
    world = world_with(robot, beside + post)
    assert world.collides(start, 0.08)
    way = leave_contact(world, start, 0.08, seed=1)
    assert len(way) == 2
    assert 0 < np.abs(way[1] - start).max() <= 0.15
    assert np.linalg.norm(robot.chain.tip(way)[1, :2, 3] - robot.chain.tip(start)[:2, 3]) > 1e-3
    assert first_worse(world, densely(way), 0.08) is None


def test_free_motion_starts_in_contact_and_ends_elsewhere(robot, motion, blocked):
    start, goal = hand_down_at(robot, 0.5, 0.0, 0.08), hand_down_at(robot, 0.5, 0.3, 0.1)
    path = motion.plan(start, goal, blocked, width=WIDTH)
    np.testing.assert_allclose(path[[0, -1]], [start, goal])
    assert first_worse(blocked, densely(path), WIDTH) is None
    curve = round_corners(path, blocked, WIDTH)
    assert first_worse(blocked, curve(np.linspace(0, 1, 300)), WIDTH) is None


def test_a_way_that_goes_deeper_or_back_into_contact_is_worse(robot, blocked):
    levels = [hand_down_at(robot, 0.5, 0.0, z) for z in (0.09, 0.1, 0.15)]
    out = densely(np.stack(levels))
    assert first_worse(blocked, out, WIDTH) is None
    back = np.concatenate([out, out[::-1]])
    assert len(out) < first_worse(blocked, back, WIDTH) < len(back)
    assert first_worse(blocked, out[::-1], WIDTH) is not None
    deeper = densely(np.stack([levels[0], hand_down_at(robot, 0.5, 0.0, 0.06)]))
    assert 0 < first_worse(blocked, deeper, WIDTH) < len(deeper) - 1
    still = np.stack([levels[0], levels[0]])
    assert first_worse(blocked, still, WIDTH) == 1


def test_a_start_deep_in_the_table_names_links_and_depths(robot, motion, blocked):
    # Inverse kinematics knows no table.
    sunk = hand_down_at(robot, 0.5, 0.3, -0.08)
    with pytest.raises(NoPathError) as caught:
        motion.plan(sunk, robot.home, blocked, width=WIDTH)
    text = str(caught.value)
    assert 'start of the free motion is in collision' in text
    assert 'panda_hand is 4' in text
    assert 'mm inside table' in text
    assert 'any of 300 configurations within 0.15 rad' in text


def test_an_escape_sees_a_cancel(robot, blocked):
    start = hand_down_at(robot, 0.5, 0.0, 0.08)
    with pytest.raises(CancelledError):
        leave_contact(blocked, start, WIDTH, cancelled=lambda: True)


def test_planners_are_built_by_name_and_unknown_keys_are_refused(context):
    assert isinstance(create_motion_planner(None, context), RoboplanPlanner)
    built = create_motion_planner(
        {'backend': 'roboplan', 'roboplan': {'samples': 100}, 'moveit': {'attempts': 2}}, context
    )
    assert isinstance(built, RoboplanPlanner)
    with pytest.raises(ConfigurationError, match="did you mean 'samples'"):
        create_motion_planner({'roboplan': {'sampels': 100}}, context)
    with pytest.raises(ConfigurationError, match="unknown key 'robplan'"):
        create_motion_planner({'robplan': {'samples': 100}}, context)
    with pytest.raises(ConfigurationError, match='samples is 0'):
        create_motion_planner({'roboplan': {'samples': 0}}, context)
    with pytest.raises(BackendError, match="did you mean 'moveit'"):
        create_motion_planner({'backend': 'moveti'}, context)


def test_a_polished_way_is_smoother_and_keeps_its_distance(robot, context, walled):
    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    plain = RoboplanPlanner(RoboplanConfig(polish=False), context)
    corners = plain.plan(start, goal, walled, width=WIDTH, seed=3)
    smooth = polish_corners(corners, walled, WIDTH)
    np.testing.assert_array_equal(smooth[[0, -1]], corners[[0, -1]])
    assert walled.first_collision(densely(smooth), WIDTH) is None

    def sharpest(path):
        edges = np.diff(path, axis=0)
        edges /= np.linalg.norm(edges, axis=1, keepdims=True)
        return np.degrees(np.arccos(np.clip((edges[1:] * edges[:-1]).sum(axis=1), -1, 1)).max())

    assert sharpest(smooth) < 0.5 * sharpest(corners)

    def clearance(path):
        field = DistanceField(walled.surroundings)
        centers = robot.sphere_centers(robot.chain.forward(densely(path)).joints)
        moving = robot.spheres.joints >= 1
        distance, _ = field.query(centers[:, moving])
        return (distance - robot.spheres.radii[moving]).min()

    assert clearance(smooth) > clearance(corners)


def test_what_polishing_would_push_into_something_stays_as_it_was(robot, context, walled):
    class Crowded(CollisionWorld):
        def edge_collides(self, start, end, width):
            return True

    start, goal = hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)
    plain = RoboplanPlanner(RoboplanConfig(polish=False), context)
    corners = plain.plan(start, goal, walled, width=WIDTH, seed=3)
    assert polish_corners(corners, Crowded(robot, walled.surroundings), WIDTH) is corners


def test_a_straight_way_needs_no_polish(robot, blocked):
    ends = np.stack([robot.home, robot.home + 0.1])
    assert polish_corners(ends, blocked, WIDTH) is ends


def test_even_points_lie_on_the_way(robot):
    corners = np.array([[0.0, 0.0], [1.0, 0.2], [1.0, 1.0]])
    points = spread(corners)
    np.testing.assert_array_equal(points[[0, -1]], corners[[0, -1]])
    steps = np.abs(np.diff(points, axis=0)).max(axis=1)
    assert steps.max() <= 0.1 + 1e-9
    on_first = points[points[:, 0] < 1.0 - 1e-9]
    np.testing.assert_allclose(on_first[:, 1], 0.2 * on_first[:, 0])


def tip_pose(robot, x, y, z):
    return robot.T_world_base @ make_transform([x, y, z], np.diag([1.0, -1.0, -1.0]))


def test_inverse_kinematics_leaves_out_what_touches_something(robot, walled):
    pose = tip_pose(robot, 0.5, 0.2, 0.15)
    found = free_configurations(walled, pose, robot.home, width=WIDTH)
    assert len(found) > 1
    np.testing.assert_allclose(
        robot.chain.tip(found), np.broadcast_to(pose, (len(found), 4, 4)), atol=1.5e-3
    )
    assert walled.first_collision(found, WIDTH) is None
    away = np.abs(found - robot.home).max(axis=1)
    assert (np.diff(away) >= 0).all()


def test_a_pose_inside_an_obstacle_says_what_is_touched(robot, blocked):
    with pytest.raises(InCollisionError, match=r'all \d+ config.*panda_\w+ and obstacles'):
        free_configurations(blocked, tip_pose(robot, 0.5, 0.0, 0.05), robot.home, width=WIDTH)


def test_a_pose_out_of_reach_is_unreachable(robot, blocked):
    with pytest.raises(UnreachableError, match=r'26 starts brings the hand to \(1\.\d+, '):
        far = tip_pose(robot, 1.5, 0.0, 0.05)
        far[0, 3] = 1.5
        free_configurations(blocked, far, robot.home, width=WIDTH)


def test_a_way_to_a_hand_pose_ends_there(robot, motion, walled):
    start, pose = hand_down_at(robot, 0.5, -0.25, 0.1), tip_pose(robot, 0.5, 0.25, 0.1)
    path = plan_to_pose(motion, start, pose, walled, width=WIDTH, seed=1)
    np.testing.assert_allclose(robot.chain.tip(path[-1]), pose, atol=1.5e-3)
    assert walled.first_collision(densely(path), WIDTH) is None


def test_no_way_to_any_posture_has_no_path(robot, context, walled):
    planner = RoboplanPlanner(RoboplanConfig(samples=1, seconds=1e-6), context)
    start, pose = hand_down_at(robot, 0.5, -0.25, 0.1), tip_pose(robot, 0.5, 0.25, 0.1)
    with pytest.raises(NoPathError, match='no way to any of 2 postures; last: no way found'):
        plan_to_pose(planner, start, pose, walled, width=WIDTH, max_tries=2)


def test_the_search_goes_around_a_wall_with_a_gap():
    def free(a, b):
        line = np.linspace(a, b, 60)
        return not ((np.abs(line[:, 0]) < 0.05) & (line[:, 1] < 0.8)).any()

    rng = np.random.default_rng(0)
    found = search(
        np.array([-0.5, 0.0]), np.array([0.5, 0.0]), lambda: rng.uniform(-1, 1, 2), free,
        step=0.3, samples=2000, go_on=lambda: True,
    )  # fmt: skip
    np.testing.assert_array_equal(found.path[[0, -1]], [[-0.5, 0.0], [0.5, 0.0]])
    assert all(free(a, b) for a, b in pairwise(found.path))
    assert np.linalg.norm(np.diff(found.path, axis=0), axis=1).max() <= 0.3 + 1e-9
    assert (found.path[:, 1] > 0.79).any()
    assert len(found.path) <= found.samples < 2000


def test_the_search_ends_where_no_gap_is():
    def free(a, b):
        return (a[0] > 0) == (b[0] > 0)

    rng = np.random.default_rng(0)
    found = search(
        np.array([-0.5, 0.0]), np.array([0.5, 0.0]), lambda: rng.uniform(-1, 1, 2), free,
        step=0.3, samples=200, go_on=lambda: True,
    )  # fmt: skip
    assert found.path is None
    assert found.samples == 200
