# SPDX-License-Identifier: Apache-2.0
"""Colour and depth of the same moment, from two streams."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar('T')

MAX_WAITING = 60  # items; a stream that lags further behind lost its partner


class StampPairer(Generic[T]):
    """Pairs every colour item with the depth item whose stamp is nearest.

    Each stream must come in the order of its stamps; between the streams any order will do.

    Attributes:
        lone: how many colour items found no depth within the interval.
    """

    def __init__(self, max_interval: float) -> None:
        """Accept pairs whose stamps differ by at most `max_interval` seconds."""
        self._max_interval = max_interval
        self._colors: deque[tuple[float, T]] = deque()
        self._depths: deque[tuple[float, T]] = deque()
        self.lone = 0

    def add_color(self, stamp: float, item: T) -> Iterator[tuple[T, T]]:
        """Take a colour item and yield the pairs that are now certain."""
        self._colors.append((stamp, item))
        return self._pairs(last=False)

    def add_depth(self, stamp: float, item: T) -> Iterator[tuple[T, T]]:
        """Take a depth item and yield the pairs that are now certain."""
        self._depths.append((stamp, item))
        return self._pairs(last=False)

    def flush(self) -> Iterator[tuple[T, T]]:
        """Yield the pairs that are left when both streams have ended."""
        return self._pairs(last=True)

    def _pairs(self, last: bool) -> Iterator[tuple[T, T]]:
        while self._colors and (last or self._is_certain()):
            stamp, color = self._colors.popleft()
            # Depths older than the best one cannot be nearer to any later colour.
            while len(self._depths) > 1 and (
                abs(self._depths[1][0] - stamp) <= abs(self._depths[0][0] - stamp)
            ):
                self._depths.popleft()
            if self._depths and abs(self._depths[0][0] - stamp) <= self._max_interval:
                yield color, self._depths.popleft()[1]
            else:
                self.lone += 1
        while len(self._depths) > MAX_WAITING:
            self._depths.popleft()

    def _is_certain(self) -> bool:
        """Say whether no depth that is still to come can be nearer to the oldest colour."""
        newer = bool(self._depths) and self._depths[-1][0] >= self._colors[0][0]
        return newer or len(self._colors) > MAX_WAITING
