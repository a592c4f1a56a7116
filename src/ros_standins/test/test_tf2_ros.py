# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - the imports below need what the skips above them ask for
"""tf2_ros and tf2_py: lookups, interpolation, static frames, waiting, errors, and the topics."""

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

import tf2_py
from tf2_py import BufferCore
import tf2_ros
from tf2_ros import (
    Buffer,
    BufferClient,
    BufferInterface,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    NotImplementedException,
    StaticTransformBroadcaster,
    TimeoutException,
    TransformBroadcaster,
    TransformException,
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


def x_of(buffer, target, source, seconds=None):
    when = LATEST if seconds is None else Time(seconds=seconds)
    return buffer.lookup_transform_core(target, source, when).transform.translation.x


def matrix(message):
    q = message.transform.rotation
    t = message.transform.translation
    x, y, z, w = q.x, q.y, q.z, q.w
    result = np.eye(4)
    result[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    result[:3, 3] = t.x, t.y, t.z
    return result


def random_edge(rng, parent, child):
    rotation = rng.normal(size=4)
    return edge(parent, child, 1.0, rng.normal(size=3), rotation / np.linalg.norm(rotation))


# Lookups


def test_an_edge_comes_back_as_it_was_sent():
    sent = edge('foo', 'bar', 2.5, (42.0, -3.14, 0.0), about_z(0.7))
    assert core(sent).lookup_transform_core('foo', 'bar', Time(seconds=2.5)) == sent


def test_paths_up_and_down_the_tree_multiply_matrices():
    rng = np.random.default_rng(4)
    edges = {
        child: random_edge(rng, parent, child)
        for parent, child in (('w', 'a'), ('a', 'b'), ('b', 'c'), ('w', 'd'), ('d', 'e'))
    }
    buffer = core(*edges.values())
    T = {child: matrix(one) for child, one in edges.items()}
    T_w_c, T_w_e = T['a'] @ T['b'] @ T['c'], T['d'] @ T['e']
    inverse = np.linalg.inv
    for target, source, wanted in (
        ('w', 'c', T_w_c),
        ('c', 'w', inverse(T_w_c)),
        ('e', 'c', inverse(T_w_e) @ T_w_c),
        ('c', 'e', inverse(T_w_c) @ T_w_e),
        ('a', 'c', T['b'] @ T['c']),
        ('b', 'b', np.eye(4)),
    ):
        found = buffer.lookup_transform_core(target, source, LATEST)
        assert np.allclose(matrix(found), wanted, atol=1e-12), (target, source)
        assert (found.header.frame_id, found.child_frame_id) == (target, source)


def test_positions_are_interpolated_along_the_line_and_rotations_along_the_arc():
    buffer = core(
        edge('w', 'a', 1.0, (0, 0, 0), about_z(0.0)), edge('w', 'a', 3.0, (4, 8, 0), about_z(2.0))
    )
    found = buffer.lookup_transform_core('w', 'a', Time(seconds=1.5))
    assert found.header.stamp == Time(seconds=1.5).to_msg()
    t, q = found.transform.translation, found.transform.rotation
    assert (t.x, t.y) == pytest.approx((1.0, 2.0))
    assert (q.x, q.y, q.z, q.w) == pytest.approx(about_z(0.5))


def test_rotation_takes_the_shorter_way_whatever_the_sign_of_the_quaternions():
    ends = [about_z(-0.2), tuple(-x for x in about_z(0.2))]
    buffer = core(*(edge('w', 'a', 1.0 + i, rotation=end) for i, end in enumerate(ends)))
    q = buffer.lookup_transform_core('w', 'a', Time(seconds=1.5)).transform.rotation
    assert (q.z, q.w) == pytest.approx((0.0, 1.0))


def test_quaternions_come_out_normalised_and_with_positive_w():
    sent = tuple(-1.004 * x for x in about_z(0.3))
    q = core(edge('w', 'a', rotation=sent)).lookup_transform_core('w', 'a', LATEST)
    q = q.transform.rotation
    assert (q.x, q.y, q.z, q.w) == pytest.approx(about_z(0.3), abs=1e-12)


def test_time_zero_means_the_latest_time_that_the_whole_path_has():
    buffer = core(
        edge('w', 'a', 1, (1, 0, 0)),
        edge('w', 'a', 3, (3, 0, 0)),
        edge('a', 'b', 1),
        edge('a', 'b', 2),
    )
    found = buffer.lookup_transform_core('w', 'b', LATEST)
    assert found.header.stamp == Time(seconds=2).to_msg()
    assert found.transform.translation.x == pytest.approx(2.0)
    assert buffer.get_latest_common_time('w', 'b') == Time(seconds=2)
    assert buffer.get_latest_common_time('w', 'a') == Time(seconds=3)


def test_static_frames_hold_at_every_time_and_bound_nothing():
    buffer = core(
        edge('w', 'a', 5, (1, 0, 0)), edge('w', 'a', 6, (2, 0, 0)), static=[edge('a', 'b', 1)]
    )
    assert x_of(buffer, 'w', 'b', 5.5) == pytest.approx(1.5)
    assert buffer.lookup_transform_core('w', 'b', LATEST).header.stamp.sec == 6
    assert buffer.lookup_transform_core('a', 'b', Time(seconds=99)).header.stamp.sec == 99
    assert buffer.lookup_transform_core('a', 'b', LATEST).header.stamp.sec == 0


def test_a_static_frame_sent_again_is_replaced():
    buffer = core(static=[edge('w', 'a', 1, (1, 0, 0)), edge('w', 'a', 2, (2, 0, 0))])
    assert x_of(buffer, 'w', 'a', 1) == 2.0


def test_a_frame_may_turn_from_static_to_moving():
    buffer = core(static=[edge('w', 'a', 1)])
    buffer.set_transform(edge('w', 'a', 2), 'test')
    with pytest.raises(ExtrapolationException):
        x_of(buffer, 'w', 'a', 1)


def test_late_transforms_are_sorted_in():
    buffer = core(*(edge('w', 'a', t, (t, 0, 0)) for t in (3, 1, 2)))
    assert x_of(buffer, 'w', 'a', 1.5) == pytest.approx(1.5)
    assert x_of(buffer, 'w', 'a', 2.5) == pytest.approx(2.5)


def test_a_change_of_parent_is_not_interpolated_across():
    buffer = core(
        edge('r', 'w', 1), edge('r', 'w', 3), edge('w', 'a', 1, (1, 0, 0)), edge('r', 'a', 3)
    )
    assert x_of(buffer, 'w', 'a', 2) == 1.0


def test_only_the_cache_time_is_kept():
    buffer = Buffer(cache_time=Duration(seconds=2))
    for t in range(1, 7):
        buffer.set_transform(edge('w', 'a', t), 'test')
    assert buffer.can_transform('w', 'a', Time(seconds=4))
    with pytest.raises(ExtrapolationException, match=r'past.*earliest data is at time 4\.000000'):
        buffer.lookup_transform('w', 'a', Time(seconds=3.9))
    # Too old to be of use: ignored.
    buffer.set_transform(edge('w', 'a', 3.5), 'test')
    assert not buffer.can_transform('w', 'a', Time(seconds=3.9))


def test_ten_seconds_are_kept_by_default():
    buffer = core(*(edge('w', 'a', t) for t in range(1, 13)))
    assert buffer.can_transform_core('w', 'a', Time(seconds=2)) == (True, '')
    assert not buffer.can_transform_core('w', 'a', Time(seconds=1.9))[0]


def test_a_lookup_between_two_times_goes_through_the_frame_that_stood_still():
    buffer = core(edge('w', 'a', 1, (1, 0, 0)), edge('w', 'a', 2, (5, 0, 0)))
    found = buffer.lookup_transform_full_core('a', Time(seconds=2), 'a', Time(seconds=1), 'w')
    assert found.transform.translation.x == pytest.approx(-4.0)
    assert buffer.can_transform_full_core('a', Time(seconds=2), 'a', Time(seconds=1), 'w')[0]
    assert not buffer.can_transform_full_core('a', Time(seconds=3), 'a', Time(seconds=1), 'w')[0]


def test_a_leading_slash_is_taken_off_what_comes_in():
    assert x_of(core(edge('/w', '/a', 1, (7, 0, 0))), 'w', 'a') == 7.0


def test_times_may_be_messages_or_times_of_any_clock():
    buffer = core(edge('w', 'a', 1), edge('w', 'a', 2))
    for when in (
        Time(seconds=1.5).to_msg(),
        Time(seconds=1.5),
        Time(seconds=1.5, clock_type=ClockType.ROS_TIME),
    ):
        assert buffer.lookup_transform_core('w', 'a', when).header.stamp.nanosec == 500_000_000
    with pytest.raises(TypeError, match='time must have sec and nanosec, or nanoseconds'):
        buffer.lookup_transform_core('w', 'a', 1.5)


# Errors


def test_errors_are_those_of_tf2_and_share_a_base():
    kinds = (
        ConnectivityException,
        ExtrapolationException,
        InvalidArgumentException,
        LookupException,
        TimeoutException,
    )
    assert all(issubclass(kind, TransformException) for kind in kinds)
    assert tf2_ros.LookupException is tf2_py.LookupException


def test_an_unknown_frame_is_named():
    buffer = core(edge('w', 'a'))
    with pytest.raises(
        LookupException,
        match=r'^"nope" passed to lookupTransform argument target_frame does not exist\. $',
    ):
        x_of(buffer, 'nope', 'a')
    with pytest.raises(LookupException, match='source_frame does not exist'):
        x_of(buffer, 'w', 'nope')
    assert buffer.can_transform_core('w', 'nope', LATEST) == (
        False,
        'Invalid frame ID "nope" passed to canTransform argument source_frame - '
        'frame does not exist',
    )


@pytest.mark.parametrize(('name', 'why'), [('', 'cannot be empty'), ('/w', "start with a '/'")])
def test_an_impossible_name_is_an_invalid_argument(name, why):
    buffer = core(edge('w', 'a'))
    with pytest.raises(InvalidArgumentException, match=f'in tf2 frame_ids .*{why}'):
        x_of(buffer, name, 'a')
    assert why in buffer.can_transform_core(name, 'a', LATEST)[1]


@pytest.mark.parametrize('when', [LATEST, Time(seconds=1)])
def test_frames_of_two_trees_are_not_connected(when):
    buffer = core(edge('w', 'a'), edge('v', 'b'))
    text = "between 'a' and 'b' because they are not part of the same tree"
    with pytest.raises(ConnectivityException, match=text):
        buffer.lookup_transform_core('a', 'b', when)
    with pytest.raises(TransformException, match='not part of the same tree'):
        buffer.get_latest_common_time('a', 'b')


def test_extrapolation_says_which_way_and_between_which_frames():
    buffer = core(edge('w', 'a', 0.2), edge('w', 'a', 0.3))
    where = r', when looking up transform from frame \[a\] to frame \[w\]$'
    for seconds, text in (
        (0.1, 'into the past.  Requested time 0.100000 but the earliest data is at time 0.200000'),
        (0.4, 'into the future.  Requested time 0.400000 but the latest data is at time 0.300000'),
    ):
        with pytest.raises(ExtrapolationException, match=text + where):
            x_of(buffer, 'w', 'a', seconds)
        assert text in buffer.can_transform_core('a', 'w', Time(seconds=seconds))[1]


def test_a_single_transform_holds_at_its_own_time_only():
    buffer = core(edge('w', 'a', 2))
    assert x_of(buffer, 'w', 'a', 2) == 0.0
    with pytest.raises(ExtrapolationException, match=r'but only time 2\.000000 is in the buffer'):
        x_of(buffer, 'w', 'a', 1)


def test_a_loop_is_found():
    buffer = core(edge('a', 'b'), edge('b', 'c'), edge('c', 'a'), edge('r', 'x'))
    for when in (LATEST, Time(seconds=1)):
        with pytest.raises(LookupException, match='contains a loop'):
            buffer.lookup_transform_core('x', 'a', when)


@pytest.mark.parametrize(
    'bad',
    [
        edge('w', 'w'),
        edge('w', ''),
        edge('', 'a'),
        edge('w', 'a', translation=(math.nan, 0, 0)),
        edge('w', 'a', rotation=(0, 0, 0, math.nan)),
        edge('w', 'a', rotation=(0, 0, 0, 0)),
        edge('w', 'a', rotation=(0, 0, 0, 1.01)),
    ],
)
def test_an_invalid_transform_is_ignored(bad):
    buffer = core(edge('w', 'good', 1, (1, 0, 0)))
    buffer.set_transform(bad, 'test')
    buffer.set_transform_static(bad, 'test')
    assert buffer._getFrameStrings() == ['good', 'w']
    assert x_of(buffer, 'w', 'good') == 1.0


def test_unknown_names_point_to_the_real_package():
    for module in (tf2_ros, tf2_py):
        with pytest.raises(AttributeError, match='stand-in; if the ROS 2 package'):
            _ = module.NoSuchThing
    with pytest.raises(NotImplementedError, match='tf2_py has it'):
        BufferCore()._allFramesAsDot()


# Descriptions and reset


def test_frames_are_listed_with_parent_and_rate():
    buffer = core(edge('w', 'a', 1), edge('w', 'a', 2), static=[edge('a', 'b')])
    assert buffer.all_frames_as_string() == (
        'Frame a exists with parent w.\nFrame b exists with parent a.\n'
    )
    listed = buffer.all_frames_as_yaml()
    assert listed.startswith("a: \n  parent: 'w'\n  broadcaster: 'test'\n  rate: 2.000\n")
    assert 'most_recent_transform: 2.000000' in listed
    assert 'buffer_length: 1.000' in listed
    assert BufferCore().all_frames_as_yaml() == '[]'
    assert buffer._frameExists('w')
    assert not buffer._frameExists('nope')


def test_clear_forgets_moving_frames_and_keeps_static_ones():
    buffer = core(edge('w', 'a'), static=[edge('w', 'b', 1, (2, 0, 0))])
    buffer.clear()
    assert not buffer.can_transform_core('w', 'a', LATEST)[0]
    assert x_of(buffer, 'w', 'b') == 2.0


def test_velocity_is_the_difference_of_poses():
    buffer = core(*(edge('w', 'a', t, (3 * t, 0, 0), about_z(0.5 * t)) for t in range(1, 6)))
    linear, angular = buffer.lookupVelocityCore('a', 'w', Time(seconds=3), Duration(seconds=2))
    assert linear == pytest.approx((3.0, 0.0, 0.0))
    assert angular == pytest.approx((0.0, 0.0, 0.5))
    at_point, _ = buffer.lookupVelocityFullCore(
        'a', 'w', 'w', (9.0, 1.0, 0.0), 'w', Time(seconds=3), Duration(seconds=2)
    )
    assert at_point == pytest.approx((2.5, 0.0, 0.0))


def test_a_reader_never_sees_half_of_what_a_writer_stores():
    buffer = core(edge('w', 'a', 1, (1, 0, 0)))
    done = threading.Event()

    def write():
        for t in range(2, 1500):
            buffer.set_transform(edge('w', 'a', t, (t, 0, 0)), 'test')
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = []
    while not done.is_set():
        found = buffer.lookup_transform_core('w', 'a', LATEST)
        seen.append((found.header.stamp.sec, found.transform.translation.x))
    thread.join()
    assert all(stamp == x for stamp, x in seen)
    assert seen == sorted(seen)


# Waiting


def test_without_news_a_wait_lasts_its_time_and_then_says_why():
    buffer = Buffer()
    start = time.monotonic()
    with pytest.raises(LookupException, match='does not exist'):
        buffer.lookup_transform('w', 'a', LATEST, Duration(seconds=0.15))
    assert 0.14 < time.monotonic() - start < 1.0
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
