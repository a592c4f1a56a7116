# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    DegenerateFlowError,
    InCollisionError,
    LimitsError,
    NoGraspError,
    NoPathError,
    UnreachableError,
)
from flow_manip_core.plan import Grasp
from flow_manip_core.transforms import interpolate_transforms, make_transform
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.flow_planner import create_flow_planner
from flow_manip_planning.flow_planner.rigid_path import RigidPathPlanner
from flow_manip_planning.flow_planner.settings import RigidPathConfig
from flow_manip_planning.grasp.hand import opening_for
from flow_manip_planning.inverse_kinematics import solve_ik
from flow_manip_planning.surroundings import perceive


@pytest.fixture(scope='module')
def cluttered(tabletop, scenes):
    """A cube that is carried past a can, and a plan for it."""
    cube = scenes.thing(0.5, 0.05, (0.05, 0.05, 0.05), 0.4)
    can = scenes.thing(0.6, 0.17, (0.035, 0.12))
    observation, masks = tabletop.look(cube, can)
    flow = scenes.flow(observation, masks[0], cube.pose[:3, 3], (0.05, -0.2, 0), turn=0.5)
    return observation, masks[0], flow


@pytest.fixture(scope='module')
def plan(planner, cluttered):
    return planner.plan(*cluttered, seed=1)


def moves(plan):
    return [segment for segment in plan.segments if segment.trajectory is not None]


def densely(trajectory, count=200):
    return np.array([trajectory.sample(t) for t in np.linspace(0, trajectory.duration, count)])


def test_segments_come_in_the_order_of_execution(plan):
    assert [s.name for s in plan.segments] == [
        'open', 'transfer', 'approach', 'grasp', 'follow', 'release', 'retreat', 'home'
    ]  # fmt: skip
    grasp = plan.segments[3]
    assert grasp.expect_object
    assert grasp.gripper_width < plan.grasp.width < plan.segments[0].gripper_width
    assert [s.name for s in plan.segments if s.holding] == ['follow']


def test_motion_starts_where_the_arm_is_and_never_jumps(plan, context, cluttered):
    current = [cluttered[0].joint_positions[name] for name in context.robot.joint_names]
    for segment in moves(plan):
        np.testing.assert_allclose(segment.trajectory.positions[0], current, atol=1e-6)
        assert np.abs(segment.trajectory.velocities[[0, -1]]).max() == 0
        current = segment.trajectory.positions[-1]
    np.testing.assert_allclose(current, context.robot.home, atol=1e-6)


def test_every_point_is_within_the_limits(plan, context, robot):
    for segment in moves(plan):
        trajectory = segment.trajectory
        assert trajectory.joint_names == context.robot.joint_names
        assert (np.abs(trajectory.velocities) <= context.robot.max_velocity).all()
        assert (np.abs(trajectory.accelerations) <= context.robot.max_acceleration).all()
        assert (trajectory.positions >= robot.chain.lower).all()
        assert (trajectory.positions <= robot.chain.upper).all()


def nearest_on_path(path, hand):
    """Return distance [m] and turn [rad] from a hand pose to the nearest pose of a dense path."""
    away = np.linalg.norm(path[:, :3, 3] - hand[:3, 3], axis=1)
    turn = Rotation.from_matrix(path[:, :3, :3].swapaxes(1, 2) @ hand[:3, :3]).magnitude()
    best = (away + 0.1 * turn).argmin()
    return away[best], turn[best]


def test_the_hand_carries_the_object_along_its_flow(plan, robot):
    follow = next(s.trajectory for s in plan.segments if s.name == 'follow')
    fine = interpolate_transforms(
        plan.times, plan.object_poses, np.linspace(0, plan.times[-1], 4000)
    )
    wanted = fine @ plan.grasp.T_world_tcp
    errors = np.array([nearest_on_path(wanted, T) for T in robot.chain.tip(densely(follow))])
    assert errors[:, 0].max() < 0.002
    assert np.degrees(errors[:, 1].max()) < 1.0
    hand = robot.chain.tip(follow.positions[[0, -1]])
    np.testing.assert_allclose(hand[0], wanted[0], atol=2e-3)
    np.testing.assert_allclose(hand[1], wanted[-1], atol=2e-3)


def test_the_flows_own_times_are_kept_when_the_arm_can(plan):
    follow = next(s.trajectory for s in plan.segments if s.name == 'follow')
    assert plan.times[-1] <= follow.duration < plan.times[-1] + 0.5


def test_the_approach_is_straight_along_the_grasp(plan, robot):
    approach = next(s.trajectory for s in plan.segments if s.name == 'approach')
    tips = robot.chain.tip(densely(approach))[:, :3, 3]
    axis = plan.grasp.T_world_tcp[:3, 2]
    way = plan.grasp.T_world_tcp[:3, 3] - tips
    aside = np.linalg.norm(way - (way @ axis)[:, None] * axis, axis=1)
    assert aside.max() < 0.001
    assert (way @ axis).max() == pytest.approx(0.1, abs=0.001)


def test_nothing_is_hit_between_the_checked_points(plan, robot, context, cluttered):
    observation, mask, _ = cluttered
    world = CollisionWorld(robot, perceive(observation, mask, context, robot))
    for segment in moves(plan):
        width = plan.grasp.width
        if not segment.holding:
            width = opening_for(plan.grasp.width, context.robot.gripper)
        assert world.first_collision(densely(segment.trajectory, 400), width) is None


def test_the_same_seed_gives_the_same_plan(planner, cluttered, plan):
    again = planner.plan(*cluttered, seed=1)
    for one, other in zip(moves(plan), moves(again)):
        np.testing.assert_array_equal(one.trajectory.positions, other.trajectory.positions)


def test_a_lift_ends_holding_the_object(tabletop, scenes, planner):
    can = scenes.thing(0.5, -0.1, (0.033, 0.1))
    observation, (mask,) = tabletop.look(can)
    flow = scenes.flow(observation, mask, can.pose[:3, 3], (0, 0, 0.15), lift=0.0)
    plan = planner.plan(observation, mask, flow)
    assert [s.name for s in plan.segments][-2:] == ['grasp', 'follow']


def test_a_push_along_the_table_is_a_slide_while_holding(tabletop, scenes, planner, robot):
    box = scenes.thing(0.5, 0.1, (0.05, 0.06, 0.07))
    observation, (mask,) = tabletop.look(box)
    flow = scenes.flow(observation, mask, box.pose[:3, 3], (0.0, -0.15, 0), lift=0.0)
    plan = planner.plan(observation, mask, flow)
    follow = next(s.trajectory for s in plan.segments if s.name == 'follow')
    heights = robot.chain.tip(follow.positions)[:, 2, 3]
    assert np.ptp(heights) < 0.002
    assert 'release' in [s.name for s in plan.segments]


def test_a_hasty_flow_is_slowed_to_the_limits(tabletop, scenes, planner, context):
    cube = scenes.thing(0.5, 0.1, (0.05, 0.05, 0.05))
    observation, (mask,) = tabletop.look(cube)
    flow = scenes.flow(observation, mask, cube.pose[:3, 3], (0, -0.2, 0), seconds=0.2)
    plan = planner.plan(observation, mask, flow)
    follow = next(s.trajectory for s in plan.segments if s.name == 'follow')
    assert follow.duration > 0.5
    assert (np.abs(follow.velocities) <= context.robot.max_velocity).all()


def context_with_base_at(context, x):
    base = replace(context.rig.base, translation=(x, 0.0, 0.0))
    return replace(context, rig=replace(context.rig, base=base))


def test_an_object_out_of_reach_is_unreachable_and_says_why(tabletop, scenes, context, proposer):
    far = scenes.thing(0.74, 0.34, (0.05, 0.05, 0.05))
    observation, (mask,) = tabletop.look(far)
    short = RigidPathPlanner(RigidPathConfig(), context_with_base_at(context, -0.3), proposer)
    flow = scenes.flow(observation, mask, far.pose[:3, 3], (-0.1, -0.1, 0))
    with pytest.raises(
        UnreachableError, match=r'none of \d+ grasps works: .*\d+ grasp out of reach'
    ):
        short.plan(observation, mask, flow)


def test_a_flow_that_leaves_the_workspace_is_unreachable(tabletop, scenes, planner):
    cube = scenes.thing(0.5, 0.1, (0.05, 0.05, 0.05))
    observation, (mask,) = tabletop.look(cube)
    flow = scenes.flow(observation, mask, cube.pose[:3, 3], (0.6, 0, 0))
    with pytest.raises(UnreachableError, match='outside the workspace'):
        planner.plan(observation, mask, flow)


def test_a_flow_through_a_wall_is_in_collision(tabletop, scenes, planner):
    cube = scenes.thing(0.5, 0.15, (0.05, 0.05, 0.05))
    wall = scenes.thing(0.5, 0.0, (0.2, 0.03, 0.12))
    observation, masks = tabletop.look(cube, wall)
    flow = scenes.flow(observation, masks[0], cube.pose[:3, 3], (0, -0.3, 0), lift=0.02)
    with pytest.raises(InCollisionError, match=r'runs into the scene at \d'):
        planner.plan(observation, masks[0], flow)


def test_a_walled_in_object_cannot_be_grasped(tabletop, scenes, planner):
    cube = scenes.thing(0.5, 0.0, (0.05, 0.05, 0.03))
    walls = [
        scenes.thing(0.5, 0.055, (0.16, 0.04, 0.12)),
        scenes.thing(0.5, -0.055, (0.16, 0.04, 0.12)),
        scenes.thing(0.44, 0.0, (0.04, 0.16, 0.12)),
        scenes.thing(0.555, 0.0, (0.04, 0.16, 0.02)),
    ]
    observation, masks = tabletop.look(cube, *walls)
    flow = scenes.flow(observation, masks[0], cube.pose[:3, 3], (0, 0, 0.15), lift=0.0)
    with pytest.raises((InCollisionError, NoGraspError), match='collision'):
        planner.plan(observation, masks[0], flow)


class OneGrasp:
    """Proposes what it is told to."""

    def __init__(self, *grasps):
        self.grasps = list(grasps)

    def propose(self, observation, mask, **kwargs):
        return self.grasps


def test_a_grasp_whose_arm_would_be_in_an_obstacle_is_in_collision(tabletop, scenes, context):
    cube = scenes.thing(0.5, 0.0, (0.05, 0.05, 0.05))
    tower = scenes.thing(0.5, 0.09, (0.05, 0.08, 0.3))
    observation, masks = tabletop.look(cube, tower)
    sideways = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    grasp = Grasp(make_transform([0.5, 0.0, 0.025], sideways), 0.05, 1.0)
    planner = RigidPathPlanner(RigidPathConfig(), context, OneGrasp(grasp))
    flow = scenes.flow(observation, masks[0], cube.pose[:3, 3], (0, 0, 0.1), lift=0.0)
    with pytest.raises(InCollisionError, match='1 grasp in collision'):
        planner.plan(observation, masks[0], flow)


def test_an_arm_that_stopped_in_contact_moves_out_of_it_first(
    tabletop, scenes, context, planner, robot
):
    cube = scenes.thing(0.5, 0.1, (0.05, 0.05, 0.05))
    observation, (mask,) = tabletop.look(cube)
    # The tips are 9 mm into the table.
    sunk = make_transform([0.4, -0.2, -0.002], np.diag([1.0, -1.0, -1.0]))[None]
    low = solve_ik(robot.chain, sunk, robot.home[None]).q[0]
    bent = dict(zip(context.robot.joint_names, low))
    observation = replace(observation, joint_positions=bent)
    assert CollisionWorld(robot, perceive(observation, mask, context, robot)).collides(low, 0.08)
    flow = scenes.flow(observation, mask, cube.pose[:3, 3], (0, 0, 0.1), lift=0.0)
    transfer = planner.plan(observation, mask, flow, seed=1).segments[1].trajectory
    np.testing.assert_allclose(transfer.positions[0], low, atol=1e-9)
    heights = robot.chain.tip(densely(transfer))[:, 2, 3]
    assert heights.min() >= -0.003


def test_an_arm_that_starts_deep_in_the_table_has_no_path(
    tabletop, scenes, context, proposer, robot
):
    cube = scenes.thing(0.5, 0.1, (0.05, 0.05, 0.05))
    observation, (mask,) = tabletop.look(cube)
    sunk = make_transform([0.4, -0.2, -0.1], np.diag([1.0, -1.0, -1.0]))[None]
    low = solve_ik(robot.chain, sunk, robot.home[None]).q[0]
    bent = dict(zip(context.robot.joint_names, low))
    observation = replace(observation, joint_positions=bent)
    flow = scenes.flow(observation, mask, cube.pose[:3, 3], (0, 0, 0.1), lift=0.0)
    planner = RigidPathPlanner(RigidPathConfig(max_tries=2), context, proposer)
    with pytest.raises(NoPathError, match=r'start .* in collision: panda_hand is 6. mm inside'):
        planner.plan(observation, mask, flow)


def test_motion_that_cannot_be_timed_breaks_limits(cluttered, context, proposer, monkeypatch):
    def refuse(*args, **kwargs):
        raise LimitsError('panda_joint1 would need velocity 9.000, its limit is 2.175')

    monkeypatch.setattr('flow_manip_planning.flow_planner.rigid_path.time_path', refuse)
    planner = RigidPathPlanner(RigidPathConfig(max_tries=1), context, proposer)
    with pytest.raises(LimitsError, match=r'1 limits.*velocity 9\.000'):
        planner.plan(*cluttered)


def test_points_at_one_place_do_not_determine_a_motion(cluttered, planner):
    observation, mask, flow = cluttered
    place = flow.points.copy()
    place[:] = place[:, :1]
    with pytest.raises(DegenerateFlowError, match='on one line'):
        planner.plan(observation, mask, replace(flow, points=place))


def test_a_mirrored_flow_is_refused(cluttered, planner):
    observation, mask, flow = cluttered
    mirrored = flow.points.copy()
    center = mirrored[-1].mean(axis=0)
    mirrored[-1] = center + 6 * (mirrored[-1] - center) * [-1, 1, 1]
    with pytest.raises(DegenerateFlowError, match='points follow one rigid motion'):
        planner.plan(observation, mask, replace(flow, points=mirrored))


def test_planning_stops_at_every_stage_when_told_to(cluttered, planner):
    calls = []
    planner.plan(*cluttered, cancelled=lambda: calls.append(0) or False)
    for at in np.linspace(0, len(calls) - 1, 6).astype(int):
        left = [at]

        def cancelled(left=left):
            left[0] -= 1
            return left[0] < 0

        with pytest.raises(CancelledError):
            planner.plan(*cluttered, cancelled=cancelled)


def test_stages_are_reported_in_order(cluttered, planner):
    reports = []
    planner.plan(*cluttered, on_stage=lambda text, progress: reports.append((text, progress)))
    progress = [p for _, p in reports]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert {'proposing grasps', 'solving inverse kinematics', 'timing'} <= {t for t, _ in reports}


def test_it_is_built_by_name_from_parameters(context, proposer):
    parameters = {'backend': 'rigid_path', 'rigid_path': {'approach_distance': 0.08}}
    assert create_flow_planner(parameters, context, proposer)
    with pytest.raises(ConfigurationError, match="did you mean 'approach_distance'"):
        create_flow_planner(
            {'backend': 'rigid_path', 'rigid_path': {'aproach_distance': 1}}, context, proposer
        )
    with pytest.raises(BackendError, match="did you mean 'rigid_path'"):
        create_flow_planner({'backend': 'rigid_pth'}, context, proposer)
