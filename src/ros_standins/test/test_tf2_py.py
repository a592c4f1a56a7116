# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - the imports below need what the skips above them ask for
"""tf2_py: lookups over paths and time, interpolation, static frames, and the errors."""

import math
import threading

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs.msg')

from geometry_msgs.msg import TransformStamped
import numpy as np
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.time import Time

import tf2_py
from tf2_py import BufferCore
import tf2_ros
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
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
