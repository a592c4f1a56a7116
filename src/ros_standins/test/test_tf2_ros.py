# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - the imports below need what the skips above them ask for
"""tf2_ros: waiting, futures, transformable types, the topics, service and action."""

from copy import deepcopy
import math
import os
import threading
import time

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs.msg')

from geometry_msgs.msg import TransformStamped
import numpy as np
from rclpy.action import ActionServer
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from tf2_msgs.action import LookupTransform
from tf2_msgs.msg import TF2Error
from tf2_msgs.srv import FrameGraph

from tf2_py import BufferCore
import tf2_ros
from tf2_ros import (
    Buffer,
    BufferClient,
    BufferInterface,
    LookupException,
    NotImplementedException,
    StaticTransformBroadcaster,
    TimeoutException,
    TransformBroadcaster,
    TransformListener,
    TypeException,
)

LATEST = Time()


def edge(parent, child, seconds=1.0, translation=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0, 1.0)):
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = Time(seconds=seconds).to_msg()
    t, q = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = map(float, translation)
    q.x, q.y, q.z, q.w = map(float, rotation)
    return message


def about_z(angle):
    return (0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))


def core(*edges, static=()):
    buffer = BufferCore()
    for one in edges:
        buffer.set_transform(one, 'test')
    for one in static:
        buffer.set_transform_static(one, 'test')
    return buffer


# Waiting


def test_without_news_a_wait_lasts_its_time_and_then_says_why():
    buffer = Buffer()
    start = time.monotonic()
    with pytest.raises(LookupException, match='does not exist'):
        buffer.lookup_transform('w', 'a', LATEST, Duration(seconds=0.15))
    assert 0.14 < time.monotonic() - start < 1.0
    with pytest.raises(TypeError, match='duration must have sec and nanosec'):
        buffer.lookup_transform('w', 'a', LATEST, 0.15)
    answer, why = buffer.can_transform('w', 'a', LATEST, Duration(), return_debug_tuple=True)
    assert not answer
    assert 'frame does not exist' in why


@pytest.mark.parametrize('full', [False, True])
def test_a_wait_ends_when_another_thread_brings_the_transform(full):
    buffer = Buffer()
    found = []

    def wait():
        if full:
            arguments = ('w', Time(seconds=1), 'a', Time(seconds=1), 'w')
            found.append(buffer.lookup_transform_full(*arguments, Duration(seconds=20)))
        else:
            found.append(buffer.lookup_transform('w', 'a', LATEST, Duration(seconds=20)))

    thread = threading.Thread(target=wait)
    thread.start()
    start = time.monotonic()
    buffer.set_transform(edge('w', 'other'), 'test')
    buffer.set_transform(sent := edge('w', 'a'), 'test')
    thread.join(timeout=10)
    assert found == [sent]
    assert time.monotonic() - start < 5.0


def test_a_coroutine_gets_its_transform_at_once_or_with_the_news():
    sent = edge('w', 'a')
    for coroutine in (
        lambda buffer: buffer.lookup_transform_async('w', 'a', Time(seconds=1)),
        lambda buffer: buffer.lookup_transform_full_async(
            'w', Time(seconds=1), 'a', Time(seconds=1), 'w'
        ),
    ):
        buffer = Buffer()
        waiting = coroutine(buffer)
        waiting.send(None)
        buffer.set_transform(edge('w', 'b'), 'test')
        waiting.send(None)
        buffer.set_transform(sent, 'test')
        for ready in (waiting, coroutine(buffer)):
            with pytest.raises(StopIteration) as done:
                ready.send(None)
            assert done.value.value == sent
        assert buffer._waiting == []


def test_a_future_that_was_cancelled_is_forgotten():
    buffer = Buffer()
    future = buffer.wait_for_transform_async('w', 'a', LATEST)
    future.cancel()
    buffer.set_transform(edge('w', 'a'), 'test')
    assert future.cancelled()
    assert future.result() is None


# Transformable types


def test_a_type_without_registration_is_refused_by_name():
    with pytest.raises(TypeException, match=r'int.* is not loaded or supported'):
        Buffer().transform(3, 'w')


def test_an_interface_without_lookups_says_so():
    interface = BufferInterface()
    for call in (
        lambda: interface.lookup_transform('a', 'b', LATEST),
        lambda: interface.can_transform('a', 'b', LATEST),
        lambda: interface.lookup_transform_full('a', LATEST, 'b', LATEST, 'c'),
        lambda: interface.can_transform_full('a', LATEST, 'b', LATEST, 'c'),
    ):
        with pytest.raises(NotImplementedException):
            call()


def test_registered_types_are_transformed_and_converted():
    class Point(float):
        header = edge('a', 'x', 1).header

    buffer = Buffer()
    buffer.set_transform(edge('w', 'a', 1, (2, 0, 0)), 'test')
    tf2_ros.TransformRegistration().add(
        Point, lambda p, transform: Point(p + transform.transform.translation.x)
    )
    tf2_ros.ConvertRegistration().add_convert((Point, str), str)
    assert buffer.transform(Point(1.0), 'w') == 3.0
    assert buffer.transform(Point(1.0), 'w', new_type=str) == '3.0'
    assert buffer.transform_full(Point(1.0), 'w', Time(seconds=1), 'w') == 3.0
    assert tf2_ros.convert([1], list) == [1]


def test_geometry_messages_are_transformed():
    import geometry_msgs.msg as g

    import tf2_geometry_msgs

    turn = edge('a', 'b', 2, (1, 0, 0), (1.0, 0.0, 0.0, 0.0))
    buffer = Buffer()
    buffer.set_transform(turn, 'test')
    header = turn.header
    point = g.PointStamped(header=header, point=g.Point(x=1.0, y=2.0, z=3.0))
    moved = buffer.transform(point, 'b', new_type=g.PointStamped)
    assert (moved.point.x, moved.point.y, moved.point.z) == (0.0, -2.0, -3.0)
    assert moved.header.frame_id == 'b'

    pose = g.PoseStamped(header=header)
    pose.pose.position = deepcopy(point.point)
    pose.pose.orientation.x, pose.pose.orientation.w = 1.0, 0.0
    moved = buffer.transform(pose, 'b').pose
    assert (moved.position.x, moved.position.y, moved.position.z) == (0.0, -2.0, -3.0)
    assert moved.orientation == g.Quaternion(w=1.0)

    vector = g.Vector3Stamped(vector=g.Vector3(x=1.0, y=2.0))
    moved = tf2_geometry_msgs.do_transform_vector3(vector, turn).vector
    assert (moved.x, moved.y) == (1.0, -2.0)
    assert turn.transform.translation.x == 1.0

    wrench = g.WrenchStamped(wrench=g.Wrench(force=g.Vector3(z=1.0), torque=g.Vector3(x=2.0)))
    moved = tf2_geometry_msgs.do_transform_wrench(wrench, turn).wrench
    assert (moved.force.z, moved.torque.x) == (-1.0, 2.0)

    polygon = g.PolygonStamped(polygon=g.Polygon(points=[g.Point32(y=1.0)]))
    moved = tf2_geometry_msgs.do_transform_polygon_stamped(polygon, turn).polygon.points[0]
    assert (moved.x, moved.y) == (1.0, -1.0)


def test_a_covariance_turns_with_its_pose():
    import geometry_msgs.msg as g

    import tf2_geometry_msgs

    pose = g.PoseWithCovarianceStamped()
    pose.pose.covariance = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).reshape(36)
    turn = edge('a', 'b', rotation=about_z(math.pi / 2))
    moved = tf2_geometry_msgs.do_transform_pose_with_covariance_stamped(pose, turn)
    diagonal = np.diag(np.reshape(moved.pose.covariance, (6, 6)))
    assert diagonal == pytest.approx([2.0, 1.0, 3.0, 5.0, 4.0, 6.0])


# Over the wire


@pytest.fixture
def graph():
    graph = Graph()
    yield graph
    graph.close()


class Graph:
    """A context of its own and an executor that spins until something is true."""

    def __init__(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=120 + os.getpid() % 100)
        self.executor = SingleThreadedExecutor(context=self.context)

    def node(self, name, spin=True, **kwargs):
        node = rclpy.create_node(name, context=self.context, enable_rosout=False, **kwargs)
        if spin:
            self.executor.add_node(node)
        return node

    def until(self, condition, limit=10.0):
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, f'nothing came within {limit} s'
            self.executor.spin_once(timeout_sec=0.05)

    def close(self):
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)


def test_broadcast_transforms_reach_a_listener(graph):
    node = graph.node('talker')
    buffer = Buffer(node=node)
    listener = TransformListener(buffer, node)
    broadcaster = TransformBroadcaster(node)
    graph.until(lambda: broadcaster.pub_tf.get_subscription_count())
    sent = [edge('w', 'a', 1, (1, 0, 0)), edge('w', 'b', 1)]
    broadcaster.sendTransform(sent[0])
    broadcaster.sendTransform(tuple(sent[1:]))
    graph.until(lambda: buffer.can_transform('a', 'b', Time(seconds=1)))
    assert buffer.lookup_transform('w', 'a', Time(seconds=1)) == sent[0]
    listener.unregister()
    graph.until(lambda: not broadcaster.pub_tf.get_subscription_count())


def test_a_late_listener_gets_every_static_frame(graph):
    node = graph.node('talker')
    broadcaster = StaticTransformBroadcaster(node)
    reused = edge('w', 'a', 1, (1, 0, 0))
    broadcaster.sendTransform(reused)
    reused.child_frame_id = 'b'
    broadcaster.sendTransform([reused])
    broadcaster.sendTransform(edge('w', 'a', 2, (5, 0, 0)))
    buffer = Buffer()
    late = graph.node('late')
    listener = TransformListener(buffer, late)
    graph.until(lambda: buffer.can_transform('b', 'a', LATEST))
    assert buffer.lookup_transform('b', 'a', Time(seconds=77)).transform.translation.x == 4.0
    assert listener.tf_static_sub.topic_name == '/tf_static'


def test_a_listener_of_static_frames_alone_has_no_other_subscription(graph):
    from tf2_ros.static_transform_listener import StaticTransformListener

    node = graph.node('static')
    listener = StaticTransformListener(Buffer(), node)
    assert [sub.topic_name for sub in node.subscriptions if 'tf' in sub.topic_name] == [
        '/tf_static'
    ]
    listener.unregister()


def test_a_listener_with_its_own_thread_serves_a_blocking_lookup(graph):
    talker, quiet = graph.node('talker', spin=False), graph.node('quiet', spin=False)
    buffer = Buffer()
    listener = TransformListener(buffer, quiet, spin_thread=True)
    StaticTransformBroadcaster(talker).sendTransform(edge('w', 'a', 1, (3, 0, 0)))
    found = buffer.lookup_transform('w', 'a', LATEST, Duration(seconds=10))
    assert found.transform.translation.x == 3.0
    listener.executor.shutdown()
    listener.dedicated_listener_thread.join(timeout=10)
    assert not listener.dedicated_listener_thread.is_alive()


def test_qualities_of_service_can_be_chosen(graph):
    node = graph.node('chosen')
    profile = QoSProfile(depth=7, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    listener = TransformListener(Buffer(), node, qos=profile, static_qos=profile)
    assert listener.tf_sub.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert TransformBroadcaster(node, profile).pub_tf.qos_profile.depth == 7


def test_the_service_of_frames_answers_with_yaml(graph):
    node = graph.node('frames')
    buffer = Buffer(node=node)
    buffer.set_transform(edge('w', 'a'), 'test')
    client = node.create_client(FrameGraph, 'tf2_frames')
    graph.until(client.service_is_ready)
    answer = client.call_async(FrameGraph.Request())
    graph.until(answer.done)
    assert answer.result().frame_yaml == buffer.all_frames_as_yaml()


def test_simulated_time_that_jumps_back_empties_the_buffer(graph):
    override = [Parameter('use_sim_time', value=True)]
    node = graph.node('simulated', parameter_overrides=override)
    buffer = Buffer(node=node)
    publisher = node.create_publisher(Clock, '/clock', 10)

    def clock_at(seconds):
        publisher.publish(Clock(clock=Time(seconds=seconds).to_msg()))
        wanted = Time(seconds=seconds, clock_type=ClockType.ROS_TIME)
        graph.until(lambda: node.get_clock().now() == wanted)

    graph.until(lambda: publisher.get_subscription_count())
    clock_at(100)
    buffer.set_transform(edge('w', 'a', 100), 'test')
    buffer.set_transform_static(edge('w', 's', 100), 'test')
    clock_at(110)
    clock_at(109.5)
    assert buffer.can_transform('w', 'a', LATEST)
    clock_at(5)
    assert not buffer.can_transform('w', 'a', LATEST)
    assert buffer.can_transform('w', 's', LATEST)


def test_a_client_looks_up_in_a_servers_buffer(graph):
    node = graph.node('server')
    buffer = core(sent := edge('w', 'a', 1, (1, 2, 3)), edge('w', 'a', 2, (2, 2, 3)))

    def serve(handle):
        goal, result = handle.request, LookupTransform.Result()
        try:
            if goal.advanced:
                result.transform = buffer.lookup_transform_full_core(
                    goal.target_frame, goal.target_time, goal.source_frame, goal.source_time,
                    goal.fixed_frame,
                )  # fmt: skip
            else:
                result.transform = buffer.lookup_transform_core(
                    goal.target_frame, goal.source_frame, goal.source_time
                )
        except LookupException as error:
            result.error = TF2Error(error=TF2Error.LOOKUP_ERROR, error_string=str(error))
        handle.succeed()
        return result

    server = ActionServer(node, LookupTransform, 'lookup', serve)
    client = BufferClient(node, 'lookup')
    stop = threading.Event()

    def spin():
        while not stop.is_set():
            graph.executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        assert client.action_client.wait_for_server(timeout_sec=10.0)
        assert client.lookup_transform('w', 'a', Time(seconds=1)) == sent
        moved = client.lookup_transform_full('a', Time(seconds=2), 'a', Time(seconds=1), 'w')
        assert moved.transform.translation.x == pytest.approx(-1.0)
        with pytest.raises(LookupException, match='"nope" passed to'):
            client.lookup_transform('w', 'nope', LATEST)
        assert not client.can_transform('w', 'nope', LATEST)
        with pytest.raises(TypeError, match='rclpy'):
            client.lookup_transform('w', 'a', 1.5)
    finally:
        stop.set()
        thread.join()
        server.destroy()
    with pytest.raises(TimeoutException, match='not ready'):
        BufferClient(node, 'nobody').lookup_transform('w', 'a', LATEST)
