# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - the imports below need what the skips above them ask for
"""message_filters: what is documented of the real package, and what its callers rely on."""

from itertools import permutations
import os
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time as TimeMsg
from rclpy.clock import ClockType, ROSClock
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.time import Time
from std_msgs.msg import Header, String

import message_filters
from message_filters import (
    ApproximateTimeSynchronizer,
    Cache,
    Chain,
    SimpleFilter,
    Subscriber,
    TimeSynchronizer,
)
from message_filters.delta_filter import ComparisonFilter, DeltaFilter, PathDeltaFilter


def message(seconds, data=None):
    stamp = Time(seconds=seconds).to_msg()
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), data=data)


def ros_time(seconds):
    return Time(seconds=seconds, clock_type=ClockType.ROS_TIME)


def synchronized(kind, *args, count=2, **kwargs):
    inputs = [SimpleFilter() for _ in range(count)]
    out = []
    kind(inputs, *args, **kwargs).registerCallback(lambda *messages: out.append(messages))
    return inputs, out


def test_a_callback_gets_the_message_and_its_own_arguments():
    source, seen = SimpleFilter(), []
    assert source.registerCallback(lambda *args: seen.append(args), 'x', 2) == 0
    assert source.registerCallback(lambda *args: seen.append(args)) == 1
    source.signalMessage('m')
    assert seen == [('m', 'x', 2), ('m',)]


def test_equal_stamps_meet_whatever_the_order_of_inputs():
    for order in permutations(range(3)):
        inputs, out = synchronized(TimeSynchronizer, 5, count=3)
        messages = [message(7.5, i) for i in range(3)]
        for i in order:
            assert out == []
            inputs[i].signalMessage(messages[i])
        assert out == [tuple(messages)]


def test_different_stamps_never_meet():
    inputs, out = synchronized(TimeSynchronizer, 5)
    inputs[0].signalMessage(message(1))
    inputs[1].signalMessage(message(1.000000001))
    assert out == []


def test_a_full_queue_forgets_its_oldest_message():
    inputs, out = synchronized(TimeSynchronizer, 2)
    for t in (1, 2, 3):
        inputs[0].signalMessage(message(t))
    inputs[1].signalMessage(message(1))
    assert out == []
    inputs[1].signalMessage(message(2))
    assert len(out) == 1


def test_messages_older_than_the_last_set_are_dropped():
    inputs, out = synchronized(TimeSynchronizer, 10)
    inputs[0].signalMessage(message(0))
    inputs[0].signalMessage(message(1))
    inputs[1].signalMessage(message(1))
    inputs[1].signalMessage(message(0))
    assert [pair[0].header.stamp.sec for pair in out] == [1]


def test_stamps_may_be_times_of_rclpy():
    inputs, out = synchronized(TimeSynchronizer, 1)
    for source in inputs:
        source.signalMessage(SimpleNamespace(header=SimpleNamespace(stamp=Time(seconds=4))))
    assert len(out) == 1


def test_a_callback_may_feed_an_input():
    a, b = SimpleFilter(), SimpleFilter()
    sync, seen = TimeSynchronizer([a, b], 3), []

    def again(first, _):
        seen.append(first.header.stamp.sec)
        if len(seen) < 3:
            a.signalMessage(message(len(seen) + 1))
            b.signalMessage(message(len(seen) + 1))

    sync.registerCallback(again)
    a.signalMessage(message(1))
    b.signalMessage(message(1))
    assert seen == [1, 2, 3]


def test_stamps_meet_within_the_slop_and_not_at_it():
    for gap, meets in ((0.0, True), (0.099, True), (0.1, False), (0.2, False)):
        inputs, out = synchronized(ApproximateTimeSynchronizer, 1, 0.1)
        inputs[0].signalMessage(message(10))
        inputs[1].signalMessage(message(10 + gap))
        assert bool(out) is meets, gap


def test_the_nearest_partner_is_chosen_and_each_message_used_once():
    inputs, out = synchronized(ApproximateTimeSynchronizer, 5, 0.5)
    waiting = [message(t) for t in (1.0, 1.3, 1.4)]
    for one in waiting:
        inputs[0].signalMessage(one)
    inputs[1].signalMessage(message(1.31))
    inputs[1].signalMessage(message(1.32))
    assert [pair[0] for pair in out] == [waiting[1], waiting[2]]


def test_three_inputs_stay_within_the_slop_of_each_other():
    inputs, out = synchronized(ApproximateTimeSynchronizer, 5, 0.1, count=3)
    inputs[0].signalMessage(message(1.00))
    inputs[1].signalMessage(message(1.12))
    inputs[2].signalMessage(message(1.06))
    # Each is near the new one, the first two are not near each other.
    assert out == []
    inputs[0].signalMessage(message(1.05))
    assert len(out) == 1


def test_scrambled_streams_are_put_together():
    for order in permutations(range(4)):
        inputs, out = synchronized(ApproximateTimeSynchronizer, 4, 0.1)
        for t in range(4):
            inputs[0].signalMessage(message(t))
        for t in order:
            inputs[1].signalMessage(message(t + 0.02))
        assert [round(pair[1].header.stamp.sec) for pair in out] == list(order)


def test_headerless_messages_take_the_time_of_arrival_where_allowed():
    stamped = SimpleNamespace(header=SimpleNamespace(stamp=ROSClock().now()))
    for allowed in (True, False):
        inputs, out = synchronized(ApproximateTimeSynchronizer, 1, 10, allow_headerless=allowed)
        inputs[0].signalMessage(stamped)
        inputs[1].signalMessage(String(data='x'))
        assert bool(out) is allowed


def test_a_cache_finds_messages_by_time():
    source = SimpleFilter()
    cache = Cache(source, 5)
    assert cache.getLast() is None
    assert cache.getOldestTime() is None
    messages = [message(t) for t in range(6)]
    for one in messages:
        source.signalMessage(one)
    assert cache.getOldestTime() == ros_time(1)
    assert cache.getLastestTime() == ros_time(5)
    assert cache.getLast() is messages[5]
    assert cache.getInterval(ros_time(2), ros_time(3)) == messages[2:4]
    assert cache.getInterval(ros_time(2.5), ros_time(3.5)) == messages[3:4]
    assert cache.getElemAfterTime(ros_time(2.5)) is messages[3]
    assert cache.getElemAfterTime(ros_time(5.5)) is None
    assert cache.getElemBeforeTime(ros_time(2.5)) is messages[2]
    assert cache.getElemBeforeTime(ros_time(0.5)) is None


def test_a_cache_sorts_late_messages_in():
    source = SimpleFilter()
    cache = Cache(source, 3)
    for t in (3, 1, 2):
        source.signalMessage(message(t))
    stamps = [one.header.stamp.sec for one in cache.getInterval(ros_time(0), ros_time(9))]
    assert stamps == [1, 2, 3]


def test_a_cache_keeps_headerless_messages_only_where_allowed():
    closed, open_ = Cache(SimpleFilter(), 5), Cache(SimpleFilter(), 5, allow_headerless=True)
    for cache in (closed, open_):
        cache.add(String(data='x'))
    assert closed.getElemAfterTime(ros_time(0)) is None
    assert open_.getElemAfterTime(ros_time(0)) == String(data='x')
    later = ROSClock().now() + Duration(seconds=5)
    assert open_.getElemAfterTime(later) is None


def test_a_chain_hands_messages_from_filter_to_filter():
    source, seen = SimpleFilter(), []
    chain = Chain(source)
    caches = [Cache(SimpleFilter(), 3), Cache(SimpleFilter(), 3)]
    for cache in caches:
        chain.addFilter(cache)
    chain.registerCallback(seen.append)
    source.signalMessage(one := message(1))
    assert [cache.getLast() for cache in caches] == [one, one]
    assert seen == [one]
    assert chain.getFilter(1) is caches[1]
    with pytest.raises(KeyError):
        chain.getFilter(2)
    with pytest.raises(RuntimeError, match='connected'):
        chain.connectInput(source)


def test_a_delta_filter_passes_changes_only():
    source, seen = SimpleFilter(), []
    PathDeltaFilter(['data', 'header.stamp.sec'], source).registerCallback(seen.append)
    sent = [message(1, 'a'), message(1, 'a'), message(1, 'b'), message(2, 'b'), message(2, 'b')]
    for one in sent:
        source.signalMessage(one)
    assert seen == [sent[0], sent[2], sent[3]]


def test_a_delta_filter_refuses_fields_that_it_cannot_compare():
    lists = DeltaFilter([lambda m: m.data])
    lists.add(message(1, [1]))
    with pytest.raises(TypeError, match='Unable to compare'):
        lists.add(message(1, [1]))
    paths = PathDeltaFilter(['header.nope'])
    paths.add(message(1))
    with pytest.raises(RuntimeError, match="'nope' of SimpleNamespace"):
        paths.add(message(1))
    with pytest.raises(RuntimeError, match='already has'):
        ComparisonFilter(lists._comparison_handler, SimpleFilter()).connectInput(SimpleFilter())


def test_an_unknown_name_points_to_the_real_package():
    with pytest.raises(AttributeError, match='ROS 2 package message_filters'):
        _ = message_filters.LatestTimeSynchronizer


def test_subscribers_feed_a_synchronizer_over_the_wire():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=120 + os.getpid() % 100)
    executor = SingleThreadedExecutor(context=context)
    try:
        node = rclpy.create_node('filters', context=context, enable_rosout=False)
        subscribers = [
            Subscriber(node, Header, f'/filters/{name}', qos_profile=5) for name in 'ab'
        ]
        assert subscribers[0].getTopic() == '/filters/a'
        assert subscribers[0].msg_type is Header
        caches = [Cache(subscriber, 5, allow_headerless=True) for subscriber in subscribers]
        publishers = [node.create_publisher(Header, f'/filters/{name}', 5) for name in 'ab']
        executor.add_node(node)
        until(executor, lambda: all(p.get_subscription_count() for p in publishers))
        for publisher in publishers:
            publisher.publish(Header(stamp=TimeMsg(sec=3), frame_id='f'))
        until(executor, lambda: all(cache.getLast() for cache in caches))
        assert [cache.getLast().frame_id for cache in caches] == ['f', 'f']
    finally:
        executor.shutdown()
        rclpy.shutdown(context=context)


def until(executor, condition, limit=10.0):
    clock = ROSClock()
    end = clock.now() + Duration(seconds=limit)
    while not condition():
        assert clock.now() < end, f'nothing came within {limit} s'
        executor.spin_once(timeout_sec=0.1)
