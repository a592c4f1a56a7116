# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import importlib.util
from pathlib import Path

import mujoco
import numpy as np
import pytest

from flow_manip_core.errors import (
    BadTrajectoryError,
    CancelledError,
    InvalidInputError,
    ToleranceViolatedError,
)
from flow_manip_mujoco.arm import arm_spline, CellArm, CellGripper
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.panda import TCP_SITE
from flow_manip_mujoco.splines import JointState, SplineTrajectory, stopping_trajectory
from flow_manip_mujoco.tracking import ToleranceConfig

_spec = importlib.util.spec_from_file_location('reaching', Path(__file__).with_name('reaching.py'))
reaching = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reaching)
downward_pose, joints_of, smooth_motion, solve_ik = (
    reaching.downward_pose,
    reaching.joints_of,
    reaching.smooth_motion,
    reaching.solve_ik,
)


def fastest(cell, start, end):
    """Return the shortest rest-to-rest quintic within the robot's limits."""
    way = np.abs(end - start)
    robot = cell.context.robot
    by_velocity = 1.875 * way / np.array(robot.max_velocity)
    by_acceleration = np.sqrt(5.774 * way / np.array(robot.max_acceleration))
    return smooth_motion(start, end, float(max(by_velocity.max(), by_acceleration.max())))


def test_a_motion_at_the_limits_is_tracked_within_half_a_degree_and_two_millimetres(cell):
    rng = np.random.default_rng(0)
    scratch, site = mujoco.MjData(cell.model), cell.model.site(TCP_SITE).id
    for _ in range(3):
        place = rng.uniform([0.35, -0.3, 0.05], [0.65, 0.3, 0.4])
        goal = solve_ik(cell, downward_pose(place, rng.uniform(-1, 1)), cell.home)
        for start, end in ((cell.home, goal), (goal, cell.home)):
            spline = arm_spline(fastest(cell, start, end))
            begun = cell.time
            cell.arm_controller.follow(spline, begun)
            while cell.time - begun < spline.duration:
                cell.step(5)
                wanted = spline.sample(cell.time - begun).position
                assert np.degrees(np.abs(wanted - joints_of(cell))).max() < 0.5
                scratch.qpos[:7] = wanted
                mujoco.mj_kinematics(cell.model, scratch)
                tip = cell.link_poses()['panda_hand_tcp'][:3, 3]
                assert np.linalg.norm(scratch.site_xpos[site] - tip) < 0.002


def test_cancelling_brings_the_arm_to_rest_within_the_joint_limits(cell):
    goal = solve_ik(cell, downward_pose([0.6, 0.25, 0.1]), cell.home)
    motion = fastest(cell, cell.home, goal)
    arm, begun, references = CellArm(cell), cell.time, []

    def cancelled():
        references.append(cell.arm_controller.reference)
        return cell.time - begun > motion.duration / 2

    with pytest.raises(CancelledError, match='the arm rests'):
        arm.follow(motion, cancelled)
    limit = np.array(cell.context.robot.max_acceleration)
    speed = max(np.abs(r.velocity / limit).max() for r in references)
    assert speed > 0.1, 'it moved at full speed'
    assert cell.time - begun - motion.duration / 2 < speed + 0.15
    accelerations = [np.abs(r.acceleration) for r in references]
    assert (np.array(accelerations) <= limit * 1.001).all()
    still = joints_of(cell)
    cell.step(200)
    assert np.abs(joints_of(cell) - still).max() < 1e-3


def test_cancelled_is_polled_every_20_milliseconds(cell):
    goal = solve_ik(cell, downward_pose([0.5, 0.1, 0.2]), cell.home)
    polls = []
    CellArm(cell).follow(smooth_motion(cell.home, goal, 1.0), lambda: polls.append(cell.time))
    assert np.diff(polls).max() <= 0.0201


def test_an_arm_that_is_blocked_reports_which_joint_and_by_how_much(cell):
    below_table = solve_ik(cell, downward_pose([0.5, 0.0, -0.1]), cell.home)
    arm = CellArm(cell, ToleranceConfig(path=0.05))
    with pytest.raises(ToleranceViolatedError, match=r'panda_joint\d position is 0\.0\d+ rad off'):
        arm.follow(smooth_motion(cell.home, below_table, 2.0))
    assert np.abs(cell.arm_controller.velocities(cell.data)).max() < 0.1


def test_an_arm_that_cannot_arrive_may_end_within_the_tolerance_of_the_motion(cell):
    below_table = solve_ik(cell, downward_pose([0.5, 0.0, -0.008]), cell.home)
    motion = smooth_motion(cell.home, below_table, 2.0)
    CellArm(cell).follow(motion, goal_tolerance=0.06)
    off = np.abs(joints_of(cell) - below_table).max()
    assert ToleranceConfig().goal < off < 0.06
    cell.arm_controller.reset(joints_of(cell))
    CellArm(cell).follow(smooth_motion(joints_of(cell), cell.home, 2.0))
    with pytest.raises(ToleranceViolatedError, match=r'off the goal .* limits 0\.0100 rad'):
        CellArm(cell).follow(motion)


def test_a_trajectory_of_other_joints_is_refused(cell):
    motion = smooth_motion(cell.home, cell.home, 1.0)
    names = ('joint1', *motion.joint_names[1:])
    with pytest.raises(BadTrajectoryError, match='joint1'):
        CellArm(cell).follow(replace(motion, joint_names=names))


def test_joints_may_come_in_any_order(cell):
    goal = cell.home + 0.1 * np.arange(7) / 7
    motion = smooth_motion(cell.home, goal, 1.0)
    order = [3, 1, 0, 2, 6, 5, 4]
    shuffled = replace(
        motion,
        joint_names=tuple(motion.joint_names[i] for i in order),
        positions=motion.positions[:, order],
        velocities=motion.velocities[:, order],
        accelerations=motion.accelerations[:, order],
    )
    CellArm(cell).follow(shuffled)
    np.testing.assert_allclose(joints_of(cell), goal, atol=2e-3)


@pytest.mark.parametrize('kind', ['linear', 'cubic', 'quintic'])
def test_a_spline_passes_through_its_waypoints_and_their_derivatives(kind):
    rng = np.random.default_rng(3)
    times = np.array([0.0, 0.3, 0.9, 1.4])
    q, v, a = rng.normal(size=(3, 4, 7))
    given = {'linear': (q,), 'cubic': (q, v), 'quintic': (q, v, a)}[kind]
    spline = SplineTrajectory(times, *given)
    for i, time in enumerate(times[:-1]):
        here = spline.sample(time + 1e-9)
        for value, wanted in zip((here.position, here.velocity, here.acceleration), given):
            np.testing.assert_allclose(value, wanted[i], atol=1e-4)
    before, after = spline.sample(0.5 - 1e-6), spline.sample(0.5 + 1e-6)
    slope = (after.position - before.position) / 2e-6
    np.testing.assert_allclose(slope, spline.sample(0.5).velocity, atol=1e-5)


def test_stopping_keeps_every_joint_within_its_acceleration():
    limit = np.array([5.0, 3.75, 5.0, 5.0, 7.5, 10.0, 10.0])
    state = JointState(np.zeros(7), np.array([2.0, -1.5, 0.3, 0.0, 1.0, -2.0, 0.1]), np.zeros(7))
    spline = stopping_trajectory(state, limit)
    assert spline.duration == pytest.approx(0.4)
    for time in np.linspace(1e-6, spline.duration - 1e-6, 50):
        assert (np.abs(spline.sample(time).acceleration) <= limit * (1 + 1e-6)).all()
    assert np.abs(spline.sample(spline.duration).velocity).max() == 0.0


def test_a_trajectory_that_does_not_increase_in_time_is_refused():
    with pytest.raises(BadTrajectoryError, match='do not increase'):
        SplineTrajectory([0.0, 1.0, 1.0], np.zeros((3, 7)))


def grasp(cell, name, height, effort, yaw=0.0):
    """Grasp an object at (0.5, 0.1), lift it by 0.2 m; return the reading and the slip [m]."""
    cell.reset(0, Scene((name,), 0, {name: (0.5, 0.1, 0.3)}))
    arm, gripper = CellArm(cell), CellGripper(cell)
    above = solve_ik(cell, downward_pose([0.5, 0.1, height + 0.12], 0.3 + yaw), cell.home)
    at = solve_ik(cell, downward_pose([0.5, 0.1, height], 0.3 + yaw), above)
    arm.follow(smooth_motion(cell.home, above, 1.5))
    arm.follow(smooth_motion(above, at, 0.8))
    reading = gripper.move(0.0, effort)
    held = np.linalg.inv(cell.link_poses()['panda_hand_tcp']) @ cell.object_pose(name)
    up = solve_ik(cell, downward_pose([0.5, 0.1, height + 0.2], 0.3 + yaw), above)
    arm.follow(smooth_motion(at, up, 1.0))
    cell.step(500)
    now = np.linalg.inv(cell.link_poses()['panda_hand_tcp']) @ cell.object_pose(name)
    return reading, float(np.linalg.norm(now[:3, 3] - held[:3, 3]))


@pytest.mark.parametrize(
    ('name', 'height', 'width'),
    [
        ('red_cube', 0.022, 0.045),
        ('purple_block', 0.02, 0.045),
        ('orange_box', 0.09, 0.040),
        ('red_can', 0.06, 0.062),
        ('orange_ball', 0.03, 0.056),
        ('green_bottle', 0.145, 0.026),
        ('white_mug', 0.07, 0.072),
    ],
)
def test_a_grasped_object_is_lifted_by_friction_without_slipping(cell, name, height, width):
    reading, slip = grasp(cell, name, height, effort=30.0)
    assert reading.stalled
    assert reading.width == pytest.approx(width, abs=0.002)
    assert cell.object_pose(name)[2, 3] > 0.18
    assert slip < 0.001


def test_a_grip_without_force_lets_the_object_slip(cell):
    _, slip = grasp(cell, 'red_can', 0.06, effort=0.3)
    assert slip > 0.02 or cell.object_pose('red_can')[2, 3] < 0.1


def test_the_grip_presses_with_the_force_asked_for(cell):
    for effort in (10.0, 40.0):
        grasp(cell, 'red_cube', 0.022, effort)
        assert cell.gripper_controller.status.effort == pytest.approx(effort, rel=0.05)


def test_the_thin_wall_of_a_mug_is_pressed_with_the_force_asked_for(cell):
    cell.reset(0, Scene(('white_mug',), 0, {'white_mug': (0.5, 0.1, 0.0)}))
    arm, gripper = CellArm(cell), CellGripper(cell)
    wall = [0.5, 0.1 + 0.034, 0.08]
    above = solve_ik(cell, downward_pose([*wall[:2], 0.2], 0.0), cell.home)
    at = solve_ik(cell, downward_pose(wall, 0.0), above)
    arm.follow(smooth_motion(cell.home, above, 1.5))
    gripper.move(0.03, 40.0)
    arm.follow(smooth_motion(above, at, 0.8))
    reading = gripper.move(0.0, 40.0)
    assert reading.stalled
    assert reading.width == pytest.approx(0.004, abs=0.002)
    assert cell.gripper_controller.status.effort == pytest.approx(40.0, rel=0.05)


def test_a_hand_that_closes_on_nothing_arrives_without_stalling(cell):
    reading = CellGripper(cell).move(0.0, 20.0)
    assert not reading.stalled
    assert reading.width == pytest.approx(0.0, abs=0.002)


def test_the_fingers_move_at_the_gripper_s_speed(cell):
    begun = cell.time
    CellGripper(cell).move(0.02, 20.0)
    ideal = 0.06 / cell.context.robot.gripper.speed
    assert ideal - 0.02 < cell.time - begun < ideal + 0.2


def test_a_cancelled_grip_stays_where_it_is(cell):
    gripper, begun = CellGripper(cell), cell.time
    with pytest.raises(CancelledError):
        gripper.move(0.0, 20.0, lambda: cell.time - begun > 0.3)
    width = gripper.width()
    cell.step(200)
    assert 0.03 < width < 0.07
    assert gripper.width() == pytest.approx(width, abs=0.005)


@pytest.mark.parametrize(('width', 'effort'), [(np.nan, 1.0), (-0.1, 1.0), (0.02, -1.0)])
def test_a_grip_that_makes_no_sense_is_refused(cell, width, effort):
    with pytest.raises(InvalidInputError, match='gripper width'):
        CellGripper(cell).move(width, effort)
