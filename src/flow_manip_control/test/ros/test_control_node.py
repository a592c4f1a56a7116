# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import threading
import time

from control_msgs.action import FollowJointTrajectory, GripperCommand
from flow_manip_msgs.action import ExecutePlan
from geometry_msgs.msg import PoseStamped
import numpy as np
import pytest
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState

from flow_manip_control.ros.control_node import ControlNode
from flow_manip_core.errors import (
    BadTrajectoryError,
    CancelledError,
    ControllerRejectedError,
    GraspMissedError,
    InvalidInputError,
    PeerLostError,
    SlipError,
    StaleInputError,
    ToleranceViolatedError,
)
from flow_manip_core.plan import Grasp, Plan, PlanSegment, Trajectory
from flow_manip_core.transforms import make_transform
from flow_manip_ros.calls import call_action
from flow_manip_ros.conversions import msg_from_plan

pytestmark = pytest.mark.ros


class FakeRobot(Node):
    """Joint states at 100 Hz and the two controllers, which do what the test tells them."""

    def __init__(self, robot, context, arm_action=None):
        super().__init__('fake_robot', context=context)
        self.positions = dict(zip(robot.joint_names, robot.home))
        self.positions |= dict.fromkeys(robot.gripper.joint_names, 0.04)
        self.fingers, self.robot = robot.gripper.joint_names, robot
        self.thickness, self.outcome, self.accept = 0.02, FollowJointTrajectory.Result(), True
        self.hold = threading.Event()  # while clear, trajectories end at once
        self.braked = threading.Event()
        self.trajectories, self.on_trajectory = 0, lambda count: None
        self.silent = threading.Event()  # while set, no joint states
        group = ReentrantCallbackGroup()
        self.states = self.create_publisher(JointState, 'joint_states', 5)
        self.create_timer(0.01, self.publish, callback_group=group)
        self.servers = [
            ActionServer(
                self,
                FollowJointTrajectory,
                arm_action or robot.trajectory_action,
                self.follow,
                goal_callback=self.judge,
                cancel_callback=lambda _: CancelResponse.ACCEPT,
                callback_group=group,
            ),
            ActionServer(
                self, GripperCommand, robot.gripper_action, self.grip, callback_group=group
            ),
        ]

    def judge(self, goal):
        return GoalResponse.ACCEPT if self.accept else GoalResponse.REJECT

    def publish(self):
        if self.silent.is_set():
            return
        message = JointState(name=list(self.positions), position=list(self.positions.values()))
        message.header.stamp = self.get_clock().now().to_msg()
        self.states.publish(message)

    def follow(self, goal_handle):
        self.trajectories += 1
        self.on_trajectory(self.trajectories)
        while self.hold.is_set() and not goal_handle.is_cancel_requested:
            self.braked.wait(0.002)
        if goal_handle.is_cancel_requested:
            self.braked.set()
            goal_handle.canceled()
            return FollowJointTrajectory.Result()
        last = goal_handle.request.trajectory.points[-1].positions
        self.positions |= dict(zip(goal_handle.request.trajectory.joint_names, last))
        if self.outcome.error_code:
            goal_handle.abort()
        else:
            goal_handle.succeed()
        return self.outcome

    def grip(self, goal_handle):
        # Fingers take their time, and joint states that are on their way arrive meanwhile.
        self.braked.wait(0.1)
        position = max(goal_handle.request.command.position, self.thickness)
        self.positions |= dict.fromkeys(self.fingers, position)
        goal_handle.succeed()
        return GripperCommand.Result(position=position, stalled=True)


@pytest.fixture
def robot(ros, context, request):
    return ros.add(FakeRobot(context.robot, ros.context, getattr(request, 'param', None)))


@pytest.fixture
def execute(ros, robot):
    # A busy machine may hold up the fake robot for longer than the 0.1 s that a real one is given.
    node = ros.start(ControlNode, {'state_timeout': 1.0})
    client = ActionClient(
        ros.node, ExecutePlan, 'execute_plan', callback_group=ReentrantCallbackGroup()
    )

    def call(plan, **options):
        ros.wait_until(lambda: node.states.age() < 1.0)
        return call_action(client, msg_of(plan), timeout=20.0, **options)

    return call


def msg_of(plan):
    return (
        plan if isinstance(plan, ExecutePlan.Goal) else ExecutePlan.Goal(plan=msg_from_plan(plan))
    )


def make_plan(context, offset=0.0):
    start = np.array(context.robot.home) + offset
    times = np.linspace(0, 2, 41)
    s = (times / 2)[:, None]
    positions = start + 0.2 * (3 * s**2 - 2 * s**3)
    velocities = np.gradient(positions, times, axis=0)
    move = Trajectory(context.robot.joint_names, times, positions, velocities, 0 * velocities)
    segments = (
        PlanSegment('approach', move),
        PlanSegment('grasp', gripper_width=0.0, gripper_effort=20.0, expect_object=True),
    )
    grasp = Grasp(make_transform([0.5, 0, 0.05]), 0.04)
    return Plan('franka', grasp, segments, np.eye(4)[None], np.zeros(1))


def test_a_plan_runs_on_the_controllers(context, robot, execute):
    feedback = []
    result = execute(make_plan(context), on_feedback=feedback.append)
    assert result.error_code == ExecutePlan.Result.NONE
    assert result.segments_done == 2
    assert result.final_gripper_width == pytest.approx(0.04)
    # The last report may come after the result, that is, not at all.
    assert [f.segment for f in feedback] == sorted(f.segment for f in feedback)
    assert feedback[0].name == 'approach'


def test_a_cancel_reaches_the_controller_and_the_next_goal_runs(ros, context, robot, execute):
    robot.hold.set()
    cancel = threading.Event()
    begun = time.monotonic()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(CancelledError):
        execute(make_plan(context), cancelled=cancel.is_set)
    assert robot.braked.is_set()
    assert time.monotonic() - begun < 5.0
    robot.hold.clear()
    assert execute(make_plan(context)).error_code == ExecutePlan.Result.NONE


def test_a_tolerance_violation_keeps_the_controllers_words(context, robot, execute):
    robot.outcome = FollowJointTrajectory.Result(error_code=-5, error_string='joint 3 off by 0.4')
    with pytest.raises(ToleranceViolatedError, match='joint 3 off'):
        execute(make_plan(context))


def test_another_controller_code_is_a_rejection_with_its_number(context, robot, execute):
    robot.outcome = FollowJointTrajectory.Result(error_code=-2, error_string='which joints?')
    with pytest.raises(ControllerRejectedError, match='code -2 which'):
        execute(make_plan(context))


def test_a_controller_that_refuses_the_goal_is_named(context, robot, execute):
    robot.accept = False
    with pytest.raises(ControllerRejectedError, match='panda_arm_controller'):
        execute(make_plan(context))


def test_an_empty_gripper_is_a_missed_grasp(context, robot, execute):
    robot.thickness = 0.0
    with pytest.raises(GraspMissedError):
        execute(make_plan(context))


def test_joint_states_that_stop_stop_the_arm(context, robot, execute):
    robot.hold.set()
    threading.Timer(0.5, robot.silent.set).start()
    with pytest.raises(StaleInputError, match='joint states stopped'):
        execute(make_plan(context))
    assert robot.braked.is_set()


def test_motion_beyond_the_limits_never_reaches_the_controller(context, robot, execute):
    with pytest.raises(BadTrajectoryError):
        execute(make_plan(context, offset=3.0))


def carrying_plan(context):
    """A plan that holds something which should move by 10 cm."""
    plan = make_plan(context)
    move = plan.segments[0].trajectory
    poses = np.array([make_transform([0, 0.1 * s, 0]) for s in np.linspace(0, 1, 5)])
    back = replace(
        move, positions=move.positions[::-1].copy(), velocities=-move.velocities[::-1].copy()
    )
    carry = PlanSegment('follow', back, holding=True)
    return replace(
        plan,
        segments=(*plan.segments, carry),
        object_poses=poses,
        times=np.linspace(0, 2, 5),
        object='red cube',
    )


class FakeTracker(Node):
    """Says at 50 Hz that the object is somewhere."""

    def __init__(self, context, frame='world'):
        super().__init__('fake_tracker', context=context)
        self.frame, self.x = frame, 0.0
        self.poses = self.create_publisher(PoseStamped, 'perception/scene/tracked_pose', 5)
        self.create_timer(0.02, self.publish)

    def publish(self):
        message = PoseStamped()
        message.header.frame_id = self.frame
        message.header.stamp = self.get_clock().now().to_msg()
        message.pose.position.x = self.x
        message.pose.orientation.w = 1.0
        self.poses.publish(message)


def test_a_tracked_object_that_leaves_its_flow_is_a_slip(ros, context, robot, execute):
    tracker = ros.add(FakeTracker(ros.context))
    plan = carrying_plan(context)

    def on_feedback(feedback):
        if feedback.name == 'follow':
            tracker.x = 0.3

    robot.on_trajectory = lambda count: robot.hold.set() if count == 2 else None
    with pytest.raises(SlipError, match=r'red cube is .* off its flow'):
        execute(plan, on_feedback=on_feedback)
    assert robot.braked.is_set()


def test_poses_in_another_frame_close_no_loop(ros, context, robot, execute):
    tracker = ros.add(FakeTracker(ros.context, frame='camera'))
    tracker.x = 0.3
    assert execute(carrying_plan(context)).segments_done == 3


def test_a_plan_with_numbers_that_are_not_finite_is_refused(context, robot, execute):
    goal = msg_of(make_plan(context))
    goal.plan.segments[0].trajectory.points[3].positions[2] = float('nan')
    with pytest.raises(InvalidInputError, match='not finite'):
        execute(goal)


@pytest.mark.parametrize('robot', ['somewhere_else/follow_joint_trajectory'], indirect=True)
def test_a_controller_that_is_not_there_is_a_lost_peer(context, robot, execute):
    with pytest.raises(PeerLostError, match='panda_arm_controller'):
        execute(make_plan(context))
