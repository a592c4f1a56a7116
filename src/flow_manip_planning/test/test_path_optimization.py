# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.errors import CancelledError
from flow_manip_core.transforms import invert_transform, make_transform, transform_distance
from flow_manip_planning.inverse_kinematics import follow_poses
from flow_manip_planning.path_optimization import (
    DistanceField,
    DREAM2FLOW,
    Held,
    linear_path,
    PathOptimizer,
    pose_targets,
    reduce_points,
    Weights,
)
from flow_manip_planning.path_optimization.bands import band_of, Bend, solve_damped
from flow_manip_planning.path_optimization.collision import farthest_points, SelfTerm
from flow_manip_planning.path_optimization.terms import Normal, SingularityTerm, State
from flow_manip_planning.surroundings import Surroundings

NOTHING = np.empty((0, 3))
EMPTY = Surroundings(-0.5, NOTHING, NOTHING, 0.008)


def line_path(robot, steps=40):
    start = robot.chain.tip(robot.home)
    targets = np.array([make_transform([0, 0.008 * k, -0.004 * k]) @ start for k in range(steps)])
    q, solved = follow_poses(robot.chain, targets[None, 1:], robot.home[None], robot.home[None])
    assert solved.all()
    return np.concatenate([robot.home[None], q[0]]), targets


def object_in_hand(robot, count=150, seed=0):
    """Return points of a box in the hand at home, in the world and in the hand's frame."""
    local = np.random.default_rng(seed).uniform(-0.04, 0.04, (count, 3))
    grasp = robot.chain.tip(robot.home)
    return local @ grasp[:3, :3].T + grasp[:3, 3], local


def seen_points(targets, local, hidden, seed=0):
    """Return (K, N, 3) tracked points of a carried body, most of them hidden and then nonsense."""
    rng = np.random.default_rng(seed)
    points = np.einsum('kij,nj->kni', targets[:, :3, :3], local) + targets[:, None, :3, 3]
    visible = rng.uniform(size=points.shape[:2]) >= hidden
    points[~visible] = rng.normal(size=(int((~visible).sum()), 3))
    return points, visible.astype(float)


def numeric_gradient(cost, q, step, joint, h=1e-6):
    """Return half the central difference of a cost over one entry."""
    costs = []
    for sign in (1, -1):
        moved = q.copy()
        moved[step, joint] += sign * h
        costs.append(cost(moved))
    return (costs[0] - costs[1]) / (4 * h)


def test_a_shaken_path_becomes_smooth_and_keeps_its_poses_and_ends(robot):
    path, targets = line_path(robot)
    shaken = path.copy()
    shaken[1:-1] += 0.05 * np.random.default_rng(0).normal(size=shaken[1:-1].shape)
    polished = PathOptimizer(robot, EMPTY).polish(shaken, targets)
    np.testing.assert_array_equal(polished[[0, -1]], shaken[[0, -1]])
    bend = [np.abs(np.diff(p, n=2, axis=0)).max() for p in (shaken, polished)]
    assert bend[1] < 0.1 * bend[0]
    for q, target in zip(polished, targets):
        metres, radians = transform_distance(robot.chain.tip(q), target)
        assert metres < 5e-4
        assert radians < 2e-3


def crowded(robot, path):
    """Return an optimiser with every residual active near a path, and its problem."""
    weights = Weights(singularity_floor=0.2, singularity=3.0, self_clearance=0.2, rest=1.0)
    middle = robot.chain.forward(path[len(path) // 2])
    cloud = middle.joints[3, :3, 3] + 0.09
    cloud = cloud + 0.03 * np.random.default_rng(3).normal(size=(300, 3))
    scene = Surroundings(0.45, cloud, NOTHING, 0.008, slope=(0.05, -0.02), origin=(0.4, 0.1))
    world, _ = object_in_hand(robot)
    held = Held(robot.chain.tip(path[0]), world, DistanceField(scene))
    return PathOptimizer(robot, scene, weights, held)


def test_the_gradient_is_the_derivative_of_the_cost(robot):
    path, targets = line_path(robot, 12)
    rng = np.random.default_rng(1)
    path[1:-1] += 0.05 * rng.normal(size=path[1:-1].shape)
    _, local = object_in_hand(robot)
    points, seen = seen_points(targets, local, 0.5)
    reduced = reduce_points(local, points, seen).scaled(10.0)
    times = np.cumsum(rng.uniform(0.5, 1.5, 12))
    problem = crowded(robot, path).problem(reduced, times)
    _, _, gradient = problem.linearise(path)
    for step in range(10):
        for joint in range(7):
            numeric = numeric_gradient(
                lambda q: problem.linearise(q)[0], path, step + 1, joint, 1e-7
            )
            assert gradient[step, joint] == pytest.approx(
                numeric, rel=1e-3, abs=2e-3 * np.abs(gradient).max()
            )


@pytest.mark.parametrize('name', ['PointsTerm', 'SingularityTerm', 'SceneTerm', 'SelfTerm'])
def test_every_term_has_its_own_exact_gradient(robot, name):
    path, targets = line_path(robot, 12)
    path[1:-1] += 0.05 * np.random.default_rng(2).normal(size=path[1:-1].shape)
    problem = crowded(robot, path).problem(pose_targets(targets, 20.0))
    terms = [term for term in problem.terms if type(term).__name__ == name]
    assert terms
    q = path[1:-1]

    def summed(q):
        normal = Normal(np.zeros((len(q), 7, 7)), np.zeros((len(q), 7)))
        for term in terms:
            term.add(State.at(robot.chain, q), normal)
        return normal

    gradient = summed(q).gradient
    assert np.abs(gradient).max() > 0
    for joint in range(7):
        numeric = numeric_gradient(lambda q: summed(q).cost, q, 5, joint, 1e-7)
        assert gradient[5, joint] == pytest.approx(
            numeric, rel=1e-4, abs=1e-5 * np.abs(gradient).max()
        )


def test_four_points_stand_for_all_of_them(robot):
    rng = np.random.default_rng(0)
    local, targets = rng.normal(size=(200, 3)), rng.normal(size=(3, 200, 3))
    weights = rng.uniform(size=(3, 200))
    reduced = reduce_points(local, targets, weights)
    poses = robot.chain.tip(rng.uniform(-1, 1, (3, 7)))
    moved = np.einsum('kij,nj->kni', poses[:, :3, :3], local) + poses[:, None, :3, 3]
    full = (weights * ((moved - targets) ** 2).sum(axis=-1)).sum(axis=-1)
    short = (reduced.residuals(poses) ** 2).sum(axis=(1, 2)) + reduced.rest
    np.testing.assert_allclose(short, full, rtol=1e-10)


@pytest.mark.parametrize('count', [0, 1, 2, 3])
def test_few_points_cost_what_they_cost_and_nothing_else(robot, count):
    rng = np.random.default_rng(count)
    local, targets = rng.normal(size=(5, 3)), rng.normal(size=(1, 5, 3))
    weights = (np.arange(5) < count).astype(float)[None]
    reduced = reduce_points(local, targets, weights)
    pose = robot.chain.tip(robot.home)[None]
    moved = local @ pose[0, :3, :3].T + pose[0, :3, 3]
    full = (weights[0] * ((moved - targets[0]) ** 2).sum(axis=-1)).sum()
    short = (reduced.residuals(pose) ** 2).sum() + reduced.rest.sum()
    assert short == pytest.approx(full, rel=1e-9, abs=1e-12)


def test_the_band_is_the_dense_matrix_and_its_solution_the_dense_one():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(6, 3, 3))
    blocks, gradient = half @ half.swapaxes(1, 2), rng.normal(size=(6, 3))
    bend = Bend.of_steps(8, np.cumsum(rng.uniform(0.5, 2, 8)))
    second = np.zeros((6, 8))
    for row, stencil in enumerate(bend.stencils):
        second[row, row : row + 3] = stencil
    dense = np.kron(4.0 * second[:, 1:-1].T @ second[:, 1:-1], np.eye(3))
    for step, block in enumerate(blocks):
        dense[3 * step : 3 * step + 3, 3 * step : 3 * step + 3] += block
    band = band_of(blocks, bend, 4.0)
    for offset, row in enumerate(band):
        np.testing.assert_allclose(row[: 18 - offset], np.diagonal(dense, -offset), atol=1e-12)
    damped = dense + 0.1 * np.diag(1 + np.diagonal(dense))
    np.testing.assert_allclose(
        solve_damped(band, gradient, 0.1).ravel(), np.linalg.solve(damped, gradient.ravel())
    )


def test_bends_of_uneven_times_vanish_on_a_straight_line():
    times = np.array([0.0, 0.1, 0.5, 0.6, 2.0])
    values = np.outer(times, [1.0, -2.0])
    np.testing.assert_allclose(Bend.of_steps(5, times).apply(values), 0.0, atol=1e-12)


def test_distances_are_those_to_the_nearest_obstacle_or_the_table():
    scene = Surroundings(0.0, np.array([[0.5, 0.0, 0.2]]), NOTHING, 0.008)
    distance, slope = DistanceField(scene).query(np.array([[0.6, 0.0, 0.2], [0.5, 0.0, 0.03]]))
    np.testing.assert_allclose(distance, [0.1, 0.03], atol=0.017)
    assert slope[0, 0] > 0.9
    np.testing.assert_allclose(slope[1], [0, 0, 1])


def test_distances_are_negative_inside_and_point_the_way_out():
    grid = np.stack(np.meshgrid(*[np.arange(-0.08, 0.081, 0.008)] * 3), axis=-1).reshape(-1, 3)
    field = DistanceField(Surroundings(-1.0, grid, NOTHING, 0.008), 0.01)
    distance, slope = field.query(np.array([[0.05, 0.0, 0.0], [0.0, 0.12, 0.0], [9.0, 9, 9]]))
    assert distance[0] == pytest.approx(-0.034, abs=0.012)
    assert slope[0, 0] > 0.9
    assert distance[1] == pytest.approx(0.036, abs=0.012)
    assert distance[2] > 5


def test_the_quick_test_never_misses_what_is_near():
    rng = np.random.default_rng(0)
    cloud = rng.uniform(-0.3, 0.3, (400, 3))
    field = DistanceField(Surroundings(-0.2, cloud, NOTHING, 0.008))
    points, reach = rng.uniform(-0.5, 0.5, (5000, 3)), rng.uniform(0.01, 0.09, 5000)
    near = field.query(points)[0] < reach
    assert near.any()
    assert field.may_be_nearer(points, reach)[near].all()


def test_an_obstacle_pushes_the_elbow_away(robot):
    path, targets = line_path(robot)
    elbow = robot.chain.forward(path[20]).joints[3, :3, 3]
    cloud = elbow + [0.0, 0.15, 0.0] + 0.02 * np.random.default_rng(0).normal(size=(200, 3))
    scene = Surroundings(-0.5, cloud, NOTHING, 0.008)
    field = DistanceField(scene)

    def clearance(q):
        centers = robot.sphere_centers(robot.chain.forward(q).joints)
        return (field.query(centers)[0] - robot.spheres.radii).min()

    polished = PathOptimizer(robot, scene).polish(path, targets)
    # The pinned ends are as close as they were given.
    assert clearance(path[15:-15]) < -0.02
    assert clearance(polished[15:-15]) > clearance(path[15:-15]) + 0.02


def test_a_linear_guess_becomes_a_path_on_the_tracked_points(robot):
    path, targets = line_path(robot, 50)
    _, local = object_in_hand(robot)
    points, seen = seen_points(targets, local, 0.0)
    optimizer = PathOptimizer(robot, EMPTY, DREAM2FLOW)
    start = linear_path(path[0], path[-1], 50)
    solution = optimizer.track(start, reduce_points(local, points, seen))
    assert solution.converged
    np.testing.assert_array_equal(solution.q[[0, -1]], path[[0, -1]])
    away = np.linalg.norm(robot.chain.tip(solution.q)[:, :3, 3] - targets[:, :3, 3], axis=1)
    assert away.max() < 5e-4


@pytest.mark.parametrize('hidden', [0.5, 0.7, 0.9])
def test_hidden_points_do_not_matter_where_some_remain(robot, hidden):
    path, targets = line_path(robot, 50)
    _, local = object_in_hand(robot)
    points, seen = seen_points(targets, local, hidden)
    optimizer = PathOptimizer(robot, EMPTY, DREAM2FLOW)
    start = linear_path(path[0], path[-1], 50)
    q = optimizer.track(start, reduce_points(local, points, seen)).q
    away = np.linalg.norm(robot.chain.tip(q)[:, :3, 3] - targets[:, :3, 3], axis=1)
    assert away.max() < 1e-3


def test_where_nothing_is_tracked_the_arm_goes_around_an_obstacle(robot):
    path, targets = line_path(robot, 50)
    world, local = object_in_hand(robot)
    points, _ = seen_points(targets, local, 0.0)
    cloud = targets[25, :3, 3] + np.random.default_rng(0).uniform(-0.05, 0.05, (2000, 3))
    scene = Surroundings(-0.5, cloud, NOTHING, 0.008)
    held = Held(targets[0], world, DistanceField(scene))
    straight = linear_path(path[0], path[-1], 50)
    unseen = reduce_points(local, points, np.zeros(points.shape[:2]))
    optimizer = PathOptimizer(robot, scene, replace(DREAM2FLOW, smoothness=0.3), held)
    q = optimizer.track(straight, unseen, iterations=100).q

    def depth(q):
        terms = optimizer.problem(unseen).terms
        scenes = [t for t in terms if type(t).__name__ == 'SceneTerm']
        return max(replace(t, clearance=0.0).depth(State.at(robot.chain, q)) for t in scenes)

    assert depth(straight) > 0.02
    assert depth(q) == 0.0


def test_results_stay_within_the_joint_limits(robot):
    chain = robot.chain
    start = np.clip(robot.home, chain.lower + 0.02, chain.upper - 0.02)
    end = start.copy()
    end[3], end[5] = chain.upper[3] - 0.01, chain.upper[5] - 0.01
    path = linear_path(start, end, 30)
    targets = chain.tip(path + 0.3 * np.sin(np.linspace(0, np.pi, 30))[:, None])
    solution = PathOptimizer(robot, EMPTY).track(path, pose_targets(targets, 100.0))
    assert (solution.q >= chain.lower).all()
    assert (solution.q <= chain.upper).all()


def test_a_nearly_stretched_arm_bends(robot):
    start = np.array([0.0, 0.0, 0.1, -0.35, 0.0, 1.6, 0.8])
    path = linear_path(start, np.add(start, [0.5, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0]), 30)
    free = reduce_points(NOTHING, np.empty((30, 0, 3)), np.empty((30, 0)))

    def lowest(weight):
        weights = Weights(singularity=weight, singularity_floor=0.05, rest=0.0, smoothness=1.0)
        q = PathOptimizer(robot, EMPTY, weights).track(path, free).q
        return robot.chain.manipulability(q[8:-8]).min()

    assert lowest(0.0) < 0.025
    assert lowest(0.05) > 0.04


def test_a_held_object_is_kept_from_the_arms_own_links(robot):
    long = np.linspace([0, 0, 0], [0, 0, -0.9], 60)
    grasp = robot.chain.tip(robot.home)
    world = long @ grasp[:3, :3].T + grasp[:3, 3]
    held = Held(grasp, world, DistanceField(EMPTY))
    optimizer = PathOptimizer(robot, EMPTY, held=held)
    terms = optimizer.problem(pose_targets(np.tile(grasp, (3, 1, 1)), 1.0)).terms
    term = next(t for t in terms if isinstance(t, SelfTerm))
    folded = robot.home.copy()
    folded[[3, 5]] = -2.9, 0.6
    costs = []
    for candidate in (term, SelfTerm(robot, None, 0.01, 15.0)):
        normal = Normal(np.zeros((1, 7, 7)), np.zeros((1, 7)))
        candidate.add(State.at(robot.chain, folded[None]), normal)
        costs.append(normal.cost)
    assert costs[0] > costs[1]


def test_the_same_problem_has_the_same_answer(robot):
    path, targets = line_path(robot, 30)
    _, local = object_in_hand(robot)
    points, seen = seen_points(targets, local, 0.5)
    start = linear_path(path[0], path[-1], 30)
    answers = [
        PathOptimizer(robot, EMPTY).track(start, reduce_points(local, points, seen)).q
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*answers)


def test_optimising_stops_when_told_to(robot):
    path, targets = line_path(robot, 30)
    with pytest.raises(CancelledError):
        PathOptimizer(robot, EMPTY).track(path, pose_targets(targets, 1.0), cancelled=lambda: True)


def test_farthest_points_spread_over_the_object():
    points = np.array([[0, 0, 0], [1, 0, 0], [0.1, 0, 0], [0.5, 0, 0], [0.9, 0, 0]], float)
    assert set(farthest_points(points, 3)) == {0, 1, 3}
    assert len(farthest_points(points, 9)) == 5
    assert len(farthest_points(NOTHING, 3)) == 0


def test_manipulability_costs_nothing_above_its_floor(robot):
    term = SingularityTerm(robot.chain, 1.0, 0.01)
    normal = Normal(np.zeros((1, 7, 7)), np.zeros((1, 7)))
    term.add(State.at(robot.chain, robot.home[None]), normal)
    assert normal.cost == 0.0
    hand = invert_transform(robot.chain.tip(robot.home)) @ robot.chain.tip(robot.home)
    np.testing.assert_allclose(hand, np.eye(4), atol=1e-12)
