# SPDX-License-Identifier: Apache-2.0
import numpy as np

from flow_manip_core.transforms import make_transform, transform_distance
from flow_manip_planning.inverse_kinematics import follow_poses
from flow_manip_planning.path_optimization import DistanceField, PathOptimizer
from flow_manip_planning.surroundings import Surroundings

EMPTY = Surroundings(0.0, np.empty((0, 3)), np.empty((0, 3)), 0.008)


def line_path(robot, steps=40):
    start = robot.chain.tip(robot.home)
    targets = np.array([make_transform([0, 0.008 * k, -0.004 * k]) @ start for k in range(steps)])
    q, solved = follow_poses(robot.chain, targets[None, 1:], robot.home[None], robot.home[None])
    assert solved.all()
    return np.concatenate([robot.home[None], q[0]]), targets


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


def test_the_gradient_is_the_derivative_of_the_cost(robot):
    path, targets = line_path(robot, 12)
    rng = np.random.default_rng(1)
    path[1:-1] += 0.02 * rng.normal(size=path[1:-1].shape)
    obstacles = robot.sphere_centers(robot.chain.forward(path[6]).joints)[20:24] + 0.05
    optimizer = PathOptimizer(robot, Surroundings(-0.5, obstacles, np.empty((0, 3)), 0.008))
    # The distance grid is piecewise constant: leave its term out of the comparison.
    optimizer._collision_terms = lambda poses: (
        np.zeros((10, 7, 7)), np.zeros((10, 7)), 0.0
    )  # fmt: skip
    _, _, gradient = optimizer._linearise(path, targets)
    for _ in range(10):
        step, joint = rng.integers(10), rng.integers(7)
        costs = []
        for sign in (1, -1):
            moved = path.copy()
            moved[step + 1, joint] += sign * 1e-6
            costs.append(optimizer._linearise(moved, targets)[0])
        # Half the derivative: the cost is the sum of squares, not half of it. The pose residual's
        # own Jacobian is exact only at zero rotation error, so a few per cent remain.
        numeric = (costs[0] - costs[1]) / 4e-6
        assert abs(numeric - gradient[step, joint]) < 0.05 * np.abs(gradient).max()


def test_distances_are_those_to_the_nearest_obstacle_or_the_table():
    scene = Surroundings(0.0, np.array([[0.5, 0.0, 0.2]]), np.empty((0, 3)), 0.008)
    distance, slope = DistanceField(scene).query(np.array([[0.6, 0.0, 0.2], [0.5, 0.0, 0.03]]))
    np.testing.assert_allclose(distance, [0.1, 0.03], atol=0.017)
    assert slope[0, 0] > 0.9
    np.testing.assert_allclose(slope[1], [0, 0, 1])


def test_an_obstacle_pushes_the_elbow_away(robot):
    path, targets = line_path(robot)
    middle = robot.chain.forward(path[20])
    elbow = middle.joints[3, :3, 3]
    cloud = elbow + [0.0, 0.10, 0.0] + 0.02 * np.random.default_rng(0).normal(size=(200, 3))
    scene = Surroundings(-0.5, cloud, np.empty((0, 3)), 0.008)
    field = DistanceField(scene)

    def clearance(q):
        return field.query(robot.sphere_centers(robot.chain.forward(q).joints))[0].min()

    polished = PathOptimizer(robot, scene).polish(path, targets)
    assert clearance(polished[1:-1]) >= clearance(path[1:-1])
