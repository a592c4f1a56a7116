# SPDX-License-Identifier: Apache-2.0
import threading

from control_msgs.action import GripperCommand
import pytest
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup

from flow_manip_ros.calls import ActionClient, call_action
from flow_manip_ros.executor import ThreadedExecutor

pytestmark = pytest.mark.ros


def test_each_callback_is_handed_to_the_pool_once(ros):
    pool, ticks, handed = ros._executor._pool, [], []
    submit = pool.submit
    pool.submit = lambda *args: handed.append(args) or submit(*args)
    ros.node.create_timer(0.001, lambda: ticks.append(None), ReentrantCallbackGroup())
    ros.wait_until(lambda: len(ticks) > 300)
    # A callback may be seen once more between its begin and its end.
    assert len(handed) < 2 * len(ticks)


def test_callbacks_run_beside_one_that_blocks(ros):
    free, ticks = threading.Event(), []
    group = ReentrantCallbackGroup()
    ros.node.create_timer(0.01, lambda: free.wait(20.0), group)
    ros.node.create_timer(0.01, lambda: ticks.append(None) or free.set(), group)
    ros.wait_until(lambda: ticks)


def test_what_a_callback_raises_ends_the_spinning(ros):
    executor = ThreadedExecutor(2, context=ros.context)
    ros._executor.remove_node(ros.node)
    executor.add_node(ros.node)
    ros.node.create_timer(0.01, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        executor.spin()
    assert executor.shutdown(1.0)


def test_feedback_comes_in_order_and_before_the_result(ros):
    group = ReentrantCallbackGroup()

    def execute(goal_handle):
        for i in range(40):
            goal_handle.publish_feedback(GripperCommand.Feedback(position=float(i)))
        goal_handle.succeed()
        return GripperCommand.Result()

    ActionServer(ros.node, GripperCommand, 'grip', execute, callback_group=group)
    client = ActionClient(ros.node, GripperCommand, 'grip', callback_group=group)
    heard = []

    def on_feedback(feedback):
        threading.Event().wait(0.002 * (len(heard) % 3))
        heard.append(feedback.position)

    call_action(client, GripperCommand.Goal(), timeout=20.0, on_feedback=on_feedback)
    heard_by_the_end = list(heard)
    assert heard_by_the_end == sorted(heard_by_the_end)
    assert len(heard_by_the_end) > 1
