# SPDX-License-Identifier: Apache-2.0
"""The node as its users see it. Simulated time runs four times as fast as the wall's."""

import os
import subprocess
import sys
import threading

from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory, GripperCommand
from control_msgs.msg import JointTolerance
from flow_manip_msgs.srv import GetSimulationState
import numpy as np
import pytest
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from flow_manip_core.camera import project_from
from flow_manip_core.errors import ConfigurationError
from flow_manip_core.transforms import transform_distance
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.panda import ARM_JOINTS
from flow_manip_mujoco.ros.simulation_node import SimulationNode
from flow_manip_ros.conversions import (
    camera_from_info,
    color_from_image,
    depth_from_image,
    duration_from_seconds,
    seconds_from_stamp,
    stamp_from_seconds,
    transform_from_msg,
)
from flow_manip_ros.qos import LATCHED
from tf2_ros import Buffer, TransformListener

pytestmark = pytest.mark.ros

ARM = 'panda_arm_controller/follow_joint_trajectory'
GRIPPER = 'panda_hand_controller/gripper_cmd'
FAST = {'real_time_factor': 4.0, 'scene': 'red_cube,white_plate'}


def send(ros, action, name, goal):
    """Send a goal and return its handle once the server has answered."""
    client = ActionClient(ros.node, action, name)
    assert client.wait_for_server(timeout_sec=10.0)
    future = client.send_goal_async(goal)
    ros.wait_until(future.done)
    return future.result()


def result_of(ros, handle, timeout=30.0):
    future = handle.get_result_async()
    ros.wait_until(future.done, timeout)
    return future.result().status, future.result().result


def motion(goals, times, **more):
    """Build a goal through positions at times, at rest at each."""
    trajectory = JointTrajectory(joint_names=list(ARM_JOINTS))
    for q, t in zip(goals, times):
        trajectory.points.append(
            JointTrajectoryPoint(
                positions=[float(v) for v in q],
                velocities=[0.0] * 7,
                accelerations=[0.0] * 7,
                time_from_start=duration_from_seconds(t),
            )
        )
    return FollowJointTrajectory.Goal(trajectory=trajectory, **more)


def joints(node):
    return np.array([node.cell.joint_positions()[name] for name in ARM_JOINTS])


def test_clock_joints_frames_and_truth_tell_one_story(ros):
    clock = ros.collect(Clock, '/clock', qos_profile_sensor_data)
    states = ros.collect(JointState, 'joint_states', qos_profile_sensor_data)
    truth = ros.collect(TFMessage, 'simulation_node/ground_truth/poses')
    buffer = Buffer()
    listener = TransformListener(buffer, ros.node)
    node = ros.start(SimulationNode, FAST)
    ros.wait_until(lambda: len(clock) > 50 and len(states) > 50 and len(truth) > 2)
    times = [seconds_from_stamp(message.clock) for message in clock]
    assert np.diff(times).min() > 0
    assert np.median(np.diff(times)) == pytest.approx(0.01)
    assert list(states[-1].name)[:7] == list(ARM_JOINTS)
    np.testing.assert_allclose(states[-1].position[:7], node.cell.home, atol=1e-3)
    assert len(states[-1].velocity) == len(states[-1].effort) == 9
    poses = {t.child_frame_id: transform_from_msg(t.transform) for t in truth[-1].transforms}
    assert poses.keys() == {'red_cube', 'white_plate'}
    for name, pose in poses.items():
        assert transform_distance(pose, node.cell.object_pose(name))[0] < 1e-4
    now = node.get_clock().now().__class__()  # zero: the latest there is
    ros.wait_until(lambda: buffer.can_transform('world', 'panda_leftfinger', now))
    links = node.cell.link_poses()
    for frame in ('panda_link7', 'panda_hand', 'panda_hand_tcp', 'panda_leftfinger'):
        seen = transform_from_msg(buffer.lookup_transform('world', frame, now).transform)
        metres, radians = transform_distance(seen, links[frame])
        assert max(metres, 0.1 * radians) < 1e-4, frame
    assert listener is not None


def test_pictures_come_with_their_camera_at_its_rate(ros):
    color = ros.collect(Image, 'cameras/scene/color/image_raw', qos_profile_sensor_data)
    depth = ros.collect(Image, 'cameras/scene/depth/image_rect', qos_profile_sensor_data)
    info = ros.collect(CameraInfo, 'cameras/scene/color/camera_info', qos_profile_sensor_data)
    buffer = Buffer()
    listener = TransformListener(buffer, ros.node)
    node = ros.start(SimulationNode, FAST)
    ros.wait_until(lambda: len(color) > 5 and len(depth) > 5 and len(info) > 5, timeout=20.0)
    assert color[0].encoding == 'rgb8'
    assert depth[0].encoding == '32FC1'
    assert color[0].header.frame_id == 'scene_color_optical_frame'
    stamps = {seconds_from_stamp(m.header.stamp) for m in color}
    assert len(stamps & {seconds_from_stamp(m.header.stamp) for m in depth}) >= 3
    gaps = np.diff([seconds_from_stamp(m.header.stamp) for m in info])
    assert gaps.min() == pytest.approx(1 / 15, abs=0.011)
    camera = camera_from_info(info[-1])
    frame = 'scene_color_optical_frame'
    now = node.get_clock().now().__class__()
    ros.wait_until(lambda: buffer.can_transform('world', frame, now))
    T_world_camera = transform_from_msg(buffer.lookup_transform('world', frame, now).transform)
    centre = node.cell.object_pose('red_cube')[:3, 3] + [0.0, 0.0, 0.0225]
    u, v = np.rint(project_from(camera, T_world_camera, centre)).astype(int)
    r, g, b = color_from_image(color[-1])[v, u]
    assert r > 2 * g
    assert r > 2 * b
    along_axis = (np.linalg.inv(T_world_camera) @ [*centre, 1.0])[2]
    assert depth_from_image(depth[-1])[v, u] == pytest.approx(along_axis, abs=0.035)
    assert listener is not None


def test_depth_is_noisy_if_asked_for(ros):
    depth = ros.collect(Image, 'cameras/scene/depth/image_rect', qos_profile_sensor_data)
    node = ros.start(SimulationNode, {**FAST, 'depth_noise': True, 'noise.dropout': 0.2})
    ros.wait_until(lambda: len(depth) > 1, timeout=20.0)
    lost = np.isnan(depth_from_image(depth[-1])).mean()
    assert lost == pytest.approx(0.2, abs=0.02)
    assert node.get_parameter('noise.dropout').value == 0.2


def test_the_camera_is_left_to_another_node_if_told_so(ros):
    info = ros.collect(CameraInfo, 'cameras/scene/color/camera_info', qos_profile_sensor_data)
    frames = ros.collect(TFMessage, '/tf_static', LATCHED)
    node = ros.start(SimulationNode, {**FAST, 'publish_camera': False})
    ros.wait_until(lambda: frames and node.runner.time > 2.0)
    assert not info
    children = {t.child_frame_id for message in frames for t in message.transforms}
    assert 'panda_hand_tcp' in children
    assert 'scene_link' not in children


def test_a_trajectory_is_followed_and_ends_at_its_goal(ros):
    node = ros.start(SimulationNode, FAST)
    goal = node.cell.home + np.array([0.4, 0.2, -0.2, 0.3, 0.1, 0.2, -0.3])
    feedback = []
    client = ActionClient(ros.node, FollowJointTrajectory, ARM)
    assert client.wait_for_server(timeout_sec=10.0)
    future = client.send_goal_async(
        motion([node.cell.home, goal], [0.0, 1.5]), lambda message: feedback.append(message)
    )
    ros.wait_until(future.done)
    status, result = result_of(ros, future.result())
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert result.error_code == result.SUCCESSFUL
    np.testing.assert_allclose(joints(node), goal, atol=0.005)
    assert len(feedback) > 5
    worst = max(np.abs(m.feedback.error.positions).max() for m in feedback)
    assert np.degrees(worst) < 0.5
    assert list(feedback[0].feedback.joint_names) == list(ARM_JOINTS)


def test_a_first_waypoint_in_the_future_is_approached_from_where_the_arm_is(ros):
    node = ros.start(SimulationNode, FAST)
    status, _ = result_of(
        ros, send(ros, FollowJointTrajectory, ARM, motion([node.cell.home + 0.2], [1.0]))
    )
    assert status == GoalStatus.STATUS_SUCCEEDED
    np.testing.assert_allclose(joints(node), node.cell.home + 0.2, atol=0.005)


def test_cancelling_brings_the_arm_to_rest_and_the_next_goal_is_taken(ros):
    node = ros.start(SimulationNode, {**FAST, 'real_time_factor': 1.0})
    far = node.cell.home + np.array([1.2, 0.3, 0, 0, 0, 0, 0])
    handle = send(ros, FollowJointTrajectory, ARM, motion([far], [2.0]))
    ros.wait_until(lambda: abs(node.cell.joint_velocities()['panda_joint1']) > 0.5)
    done = handle.cancel_goal_async()
    ros.wait_until(done.done)
    assert len(done.result().goals_canceling) == 1
    status, _ = result_of(ros, handle)
    assert status == GoalStatus.STATUS_CANCELED
    assert np.abs(list(node.cell.joint_velocities().values())[:7]).max() < 0.05
    assert np.abs(joints(node) - far).max() > 0.1, 'it did not run on to the goal'
    back = send(ros, FollowJointTrajectory, ARM, motion([node.cell.home], [1.5]))
    assert result_of(ros, back)[0] == GoalStatus.STATUS_SUCCEEDED


def test_a_new_goal_takes_the_arm_over_and_aborts_the_running_one(ros):
    node = ros.start(SimulationNode, {**FAST, 'real_time_factor': 2.0})
    first = send(ros, FollowJointTrajectory, ARM, motion([node.cell.home + 0.5], [3.0]))
    second = send(ros, FollowJointTrajectory, ARM, motion([node.cell.home - 0.1], [1.0]))
    status, result = result_of(ros, first)
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error_code == result.INVALID_GOAL
    assert 'replaced' in result.error_string
    assert result_of(ros, second)[0] == GoalStatus.STATUS_SUCCEEDED
    np.testing.assert_allclose(joints(node), node.cell.home - 0.1, atol=0.005)


def test_a_path_that_cannot_be_kept_is_given_up_with_the_joint_and_the_numbers(ros):
    node = ros.start(SimulationNode, FAST)
    goal = motion([node.cell.home + 0.5], [0.1])  # five times the joints' speed
    goal.path_tolerance = [JointTolerance(name='panda_joint1', position=0.02)]
    status, result = result_of(ros, send(ros, FollowJointTrajectory, ARM, goal))
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error_code == result.PATH_TOLERANCE_VIOLATED
    assert 'panda_joint' in result.error_string
    assert 'limit' in result.error_string


def test_a_goal_that_is_not_reached_in_time_is_given_up(ros):
    node = ros.start(SimulationNode, FAST)
    goal = motion([node.cell.home + 1.2 * np.eye(7)[0]], [0.05])
    names = list(ARM_JOINTS)
    goal.path_tolerance = [JointTolerance(name=n, position=-1.0) for n in names]
    goal.goal_time_tolerance = duration_from_seconds(0.05)
    status, result = result_of(ros, send(ros, FollowJointTrajectory, ARM, goal))
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error_code == result.GOAL_TOLERANCE_VIOLATED


@pytest.mark.parametrize('broken', ['names', 'order', 'nan', 'moving end', 'past', 'tolerance'])
def test_a_trajectory_that_makes_no_sense_is_rejected(ros, broken):
    node = ros.start(SimulationNode, FAST)
    goal = motion([node.cell.home, node.cell.home], [1.0, 2.0])
    points = goal.trajectory.points
    if broken == 'names':
        goal.trajectory.joint_names[0] = 'elbow'
    elif broken == 'order':
        points[1].time_from_start = duration_from_seconds(0.5)
    elif broken == 'nan':
        points[0].positions[2] = float('nan')
    elif broken == 'moving end':
        points[1].velocities[0] = 0.3
    elif broken == 'past':
        ros.wait_until(lambda: node.runner.time > 3.0)
        goal.trajectory.header.stamp = stamp_from_seconds(0.01)
    else:
        goal.goal_tolerance = [JointTolerance(name='elbow', position=0.1)]
    assert not send(ros, FollowJointTrajectory, ARM, goal).accepted


def grip(position, effort=20.0):
    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = position, effort
    return goal


def test_the_gripper_s_position_is_that_of_one_finger(ros):
    node = ros.start(SimulationNode, FAST)
    status, result = result_of(ros, send(ros, GripperCommand, GRIPPER, grip(0.01)))
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert result.reached_goal
    assert not result.stalled
    assert result.position == pytest.approx(0.01, abs=0.001)
    assert node.cell.gripper_controller.status.width == pytest.approx(0.02, abs=0.002)


def test_a_cancelled_gripper_stops_and_one_out_of_range_is_rejected(ros):
    node = ros.start(SimulationNode, {**FAST, 'real_time_factor': 1.0})
    handle = send(ros, GripperCommand, GRIPPER, grip(0.0))
    ros.wait_until(lambda: node.cell.gripper_controller.status.width < 0.07)
    handle.cancel_goal_async()
    assert result_of(ros, handle)[0] == GoalStatus.STATUS_CANCELED
    assert node.cell.gripper_controller.status.width > 0.02
    assert not send(ros, GripperCommand, GRIPPER, grip(0.08)).accepted


def test_a_reset_sets_the_table_anew_and_the_clock_goes_on(ros):
    clock = ros.collect(Clock, '/clock', qos_profile_sensor_data)
    node = ros.start(SimulationNode, FAST)
    ros.wait_until(lambda: node.runner.time > 1.0)
    handle = send(ros, FollowJointTrajectory, ARM, motion([node.cell.home + 0.3], [100.0]))
    node.set_parameters([Parameter('seed', value=5), Parameter('scene', value='tabletop')])
    response = ros.call(Trigger, 'simulation_node/reset', Trigger.Request())
    assert response.success
    assert 'pink_bowl' in response.message
    assert len(node.cell.objects) == 8
    assert result_of(ros, handle)[0] == GoalStatus.STATUS_ABORTED
    count = len(clock)
    ros.wait_until(lambda: len(clock) > count + 10)
    assert np.diff([seconds_from_stamp(m.clock) for m in clock]).min() >= 0
    node.set_parameters([Parameter('scene', value='golden_calf')])
    response = ros.call(Trigger, 'simulation_node/reset', Trigger.Request())
    assert not response.success
    assert "no object 'golden_calf'" in response.message
    assert len(node.cell.objects) == 8


def test_its_state_makes_a_copy_that_looks_the_same_and_time_goes_on(ros):
    node = ros.start(SimulationNode, {**FAST, 'seed': 3})
    ros.wait_until(lambda: node.runner.time > 0.2)
    request = GetSimulationState.Request()
    response = ros.call(GetSimulationState, 'simulation_node/get_simulation_state', request)
    assert response.error_code == response.NONE, response.error_msg
    copy = SimulatedCell.from_state(response.state, node.cell.context)
    assert [spec.name for spec in copy.objects] == ['red_cube', 'white_plate']
    assert copy.time > 0.1
    for name, pose in node.cell.object_poses().items():
        assert transform_distance(pose, copy.object_pose(name))[0] < 1e-4
    told = copy.time
    ros.wait_until(lambda: node.cell.time > told + 0.2)
    copy.close()


def test_it_can_be_stopped_started_and_cleaned_up(ros):
    node = ros.start(SimulationNode, FAST)
    node.trigger_deactivate()
    stopped = node.runner.time
    node.trigger_activate()
    ros.wait_until(lambda: node.runner.time > stopped)
    node.trigger_deactivate()
    node.trigger_cleanup()
    node.trigger_configure()
    node.trigger_activate()
    ros.wait_until(lambda: node.runner.time > 0.1)
    node.trigger_deactivate()
    node.trigger_cleanup()


def test_a_terminated_process_ends_cleanly_and_quietly(ros, tmp_path):
    clock = ros.collect(Clock, '/clock', qos_profile_sensor_data)
    environment = os.environ | {
        'ROS_DOMAIN_ID': str(ros.domain_id),
        'PYTHONPATH': os.pathsep.join(p for p in sys.path if p),
    }
    process = subprocess.Popen(
        [sys.executable, '-c', 'from flow_manip_mujoco.ros.simulation_node import main; main()'],
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ros.wait_until(lambda: len(clock) > 10, timeout=30.0)
        # Answered only when the node spins, after it was activated. An answer can be lost while
        # the two are still finding each other.
        client = ros.node.create_client(Trigger, 'simulation_node/reset')
        answers = []
        ros.wait_until(client.service_is_ready)

        def is_answered():
            answers.append(client.call_async(Trigger.Request()))
            threading.Event().wait(0.2)
            return any(answer.done() for answer in answers)

        ros.wait_until(is_answered, timeout=30.0)
        process.terminate()
        _, log = process.communicate(timeout=20.0)
    finally:
        process.kill()
    assert process.returncode == 0, log
    assert 'on the table' in log
    assert 'rror' not in log, log
    assert 'Traceback' not in log, log


def test_an_unknown_parameter_is_refused_with_the_nearest_one(ros):
    with pytest.raises(ConfigurationError, match="did you mean 'real_time_factor'"):
        ros.start(SimulationNode, {'real_time_facter': 1.0})
