# SPDX-License-Identifier: Apache-2.0
"""Filters with one input: where messages come from, how they are kept and strung together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import ROSClock
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.time import Time

Callback = Callable[..., Any]


class SimpleFilter:
    """Something that has output: callbacks register with it and are told of each message."""

    def __init__(self) -> None:
        """Start without callbacks."""
        self.callbacks: dict[int, tuple[Callback, tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callback, *args: Any) -> int:
        """Have ``cb(*messages, *args)`` called for each output.

        Returns:
            The connection's number, a key of ``callbacks``.
        """
        connection = len(self.callbacks)
        # The plain count, as the real package has it, unless an earlier one was taken out.
        while connection in self.callbacks:
            connection += 1
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Pass an output to all callbacks, in the order in which they registered."""
        for callback, args in tuple(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as a filter; takes what `Node.create_subscription` takes, less the callback.

    Attributes of the subscription can be read from it directly.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Subscribe.

        Args:
            *args: The node, the type of the messages and the topic.
            **kwargs: Further arguments for ``create_subscription``; ``qos_profile`` is 10 where
                it is not given.
        """
        super().__init__()
        if len(args) != 3:
            raise TypeError(
                'Subscriber takes node, msg_type and topic, and the rest by keyword '
                f'(qos_profile=...); got {len(args)} positional arguments'
            )
        self.node: Node = args[0]
        self.topic: str = args[2]
        kwargs.setdefault('qos_profile', 10)
        self.sub = self.node.create_subscription(*args[1:], self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        """Pass a message on."""
        self.signalMessage(msg)

    def getTopic(self) -> str:
        """Return the topic as it was given."""
        return self.topic

    def __getattr__(self, key: str) -> Any:
        """Look an attribute up in the subscription."""
        if key == 'sub':
            raise AttributeError('the subscription does not exist yet')
        return getattr(self.sub, key)


def stamp_of(msg: Any) -> Time | None:
    """Return a message's stamp, None where it has no header."""
    stamp = getattr(getattr(msg, 'header', None), 'stamp', None)
    if stamp is None or hasattr(stamp, 'nanoseconds'):
        return stamp
    return Time.from_msg(stamp)


def stamp_or_now(msg: Any, allow_headerless: bool, logger: str) -> Time | None:
    """Return a message's stamp, or ROS time where that is allowed; else warn and return None."""
    stamp = stamp_of(msg)
    if stamp is not None:
        return stamp
    if allow_headerless:
        return ROSClock().now()
    get_logger(logger).warning(
        f'dropped a message of type {type(msg).__name__} without a time stamp: allow_headerless '
        'would use the time of arrival'
    )
    return None


class Cache(SimpleFilter):
    """Keeps the newest messages and finds them by time.

    Times are `rclpy.time.Time`. Stamps read from messages count as ROS time, and rclpy compares
    times of the same clock only.
    """

    def __init__(
        self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False
    ) -> None:
        """Create an empty cache.

        Args:
            f: Input.
            cache_size: How many messages to keep.
            allow_headerless: Keep messages without a header by their time of arrival; otherwise
                they are dropped with a warning.
        """
        super().__init__()
        self.cache_size = cache_size
        self.cache_msgs: list[Any] = []
        self.cache_times: list[Time] = []
        self.allow_headerless = allow_headerless
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        """Take messages from a filter."""
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Keep a message, let the oldest go where there are too many, and pass it on."""
        stamp = stamp_or_now(msg, self.allow_headerless, 'message_filters_cache')
        if stamp is None:
            return
        place = len(self.cache_times)
        while place and self.cache_times[place - 1] > stamp:
            place -= 1
        self.cache_times.insert(place, stamp)
        self.cache_msgs.insert(place, msg)
        if len(self.cache_msgs) > self.cache_size:
            del self.cache_msgs[0], self.cache_times[0]
        self.signalMessage(msg)

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:
        """Return the messages between two times, both included."""
        assert from_stamp <= to_stamp
        pairs = zip(self.cache_msgs, self.cache_times)
        return [msg for msg, stamp in pairs if from_stamp <= stamp <= to_stamp]

    def getElemAfterTime(self, stamp: Time) -> Any:
        """Return the oldest message at or after a time, or None."""
        pairs = zip(self.cache_msgs, self.cache_times)
        return next((msg for msg, time in pairs if time >= stamp), None)

    def getElemBeforeTime(self, stamp: Time) -> Any:
        """Return the newest message at or before a time, or None."""
        pairs = zip(reversed(self.cache_msgs), reversed(self.cache_times))
        return next((msg for msg, time in pairs if time <= stamp), None)

    def getLastestTime(self) -> Time | None:
        """Return the newest time, or None."""
        return self.cache_times[-1] if self.cache_times else None

    def getOldestTime(self) -> Time | None:
        """Return the oldest time, or None."""
        return self.cache_times[0] if self.cache_times else None

    def getLast(self) -> Any:
        """Return the first message of the newest time, or None."""
        newest = self.getLastestTime()
        return None if newest is None else self.getElemAfterTime(newest)


class Chain(SimpleFilter):
    """A row of filters: each feeds the next, the last feeds the chain's callbacks."""

    def __init__(self, message_filter: SimpleFilter | None = None) -> None:
        """Create an empty chain, with an input where one is given."""
        super().__init__()
        self.incoming_connection: int | None = None
        self._filters: list[Any] = []
        self._last_connection = 0
        if message_filter is not None:
            self.connectInput(message_filter)

    def connectInput(self, message_filter: SimpleFilter) -> None:
        """Take messages from a filter; once only."""
        if self.incoming_connection is not None:
            raise RuntimeError('Already connected')
        self.incoming_connection = message_filter.registerCallback(self.add)

    def add(self, message: Any) -> None:
        """Put a message in at the front."""
        if self._filters:
            self._filters[0].add(message)
        else:
            self.signalMessage(message)

    def addFilter(self, message_filter: Any) -> None:
        """Append a filter, which needs a method ``add``."""
        if self._filters:
            last = self._filters[-1]
            del last.callbacks[self._last_connection]
            last.registerCallback(message_filter.add)
        self._filters.append(message_filter)
        self._last_connection = message_filter.registerCallback(self.signalMessage)

    def getFilter(self, index: int) -> Any:
        """Return a filter by its place; `KeyError` where there is none."""
        if not 0 <= index < len(self._filters):
            raise KeyError(index)
        return self._filters[index]
