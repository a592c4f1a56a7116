# SPDX-License-Identifier: Apache-2.0
"""Filters with several inputs, which match messages by time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from threading import RLock
from typing import Any

from rclpy.duration import Duration

from ._filters import SimpleFilter, stamp_of, stamp_or_now

Queue = dict[int, Any]


class TimeSynchronizer(SimpleFilter):
    """Calls back with one message per input, all with the same stamp.

    Once a set is out, older messages can no longer complete one: they are dropped, as the C++
    synchronizer does it.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        """Connect the inputs.

        Args:
            fs: Inputs, in the order of the callback's arguments.
            queue_size: How many messages of each input to keep while waiting for the others.
        """
        super().__init__()
        # Reentrant: a callback may feed one of the inputs.
        self.lock = RLock()
        self.queue_size = queue_size
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        """Take messages from these filters, with empty queues."""
        self.queues: list[Queue] = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues))
        ]

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Keep a message and call back where it completes a set.

        Raises:
            AttributeError: The message has no stamp.
        """
        del my_queue_index
        stamp = stamp_of(msg)
        if stamp is None:
            raise AttributeError(f'{type(msg).__name__} has no header.stamp to synchronize by')
        with self.lock:
            self._keep(my_queue, stamp.nanoseconds, msg)
            common = set.intersection(*map(set, self.queues))
            if common:
                self._release(min(common))

    def _keep(self, queue: Queue, stamp: int, msg: Any) -> None:
        queue[stamp] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _release(self, stamp: int) -> None:
        messages = [queue.pop(stamp) for queue in self.queues]
        for queue in self.queues:
            for old in [key for key in queue if key < stamp]:
                del queue[old]
        self.signalMessage(*messages)


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Calls back with one message per input, with stamps that differ by less than a bound.

    Each new message is matched with those that wait, the nearest in time first; messages that
    find no partner wait until their queue is full.
    """

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        allow_headerless: bool = False,
    ) -> None:
        """Connect the inputs.

        Args:
            fs: Inputs, in the order of the callback's arguments.
            queue_size: How many messages of each input to keep.
            slop: Bound on the difference of stamps, seconds.
            allow_headerless: Take the time of arrival for messages without a header; otherwise
                they are dropped with a warning.
        """
        super().__init__(fs, queue_size)
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Keep a message and call back where it completes a set."""
        stamp = stamp_or_now(msg, self.allow_headerless, 'message_filters_approx')
        if stamp is None:
            return
        with self.lock:
            self._keep(my_queue, stamp.nanoseconds, msg)
            chosen = self._match(stamp.nanoseconds, my_queue_index)
            if chosen:
                messages = [queue.pop(key) for queue, key in zip(self.queues, chosen)]
                self.signalMessage(*messages)

    def _match(self, stamp: int, index: int | None) -> tuple[int, ...] | None:
        """Find the first set within the bound, by rising distance from the new stamp."""
        slop = self.slop.nanoseconds
        candidates = []
        for place, queue in enumerate(self.queues):
            if place == index:
                # A full queue may have let go of the new message at once, as its oldest.
                near = [stamp] if stamp in queue else []
            else:
                near = sorted(
                    (key for key in queue if abs(key - stamp) <= slop),
                    key=lambda key: abs(key - stamp),
                )
            if not near:
                return None
            candidates.append(near)
        sets = product(*candidates)
        return next((keys for keys in sets if max(keys) - min(keys) < slop), None)
