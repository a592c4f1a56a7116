# SPDX-License-Identifier: Apache-2.0
"""Running figures over the last messages of a topic."""

from collections import deque
from collections.abc import Sequence
import math
from typing import NamedTuple, Optional


class Spread(NamedTuple):
    """Mean, extremes and deviation of a number of values."""

    mean: float
    least: float
    most: float
    deviation: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Describe values; the deviation is that of the values themselves, not of a population."""
    count = len(values)
    mean = sum(values) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / count)
    return Spread(mean, min(values), max(values), deviation, count)


class Rate:
    """The times between messages.

    Args:
        window_size: how many of the last times count.
    """

    def __init__(self, window_size: int) -> None:
        self._periods: deque[int] = deque(maxlen=window_size)
        self._last: Optional[int] = None
        self._reported_at: Optional[int] = None

    def add(self, now: int) -> None:
        """Note a message.

        Args:
            now: nanoseconds of the clock that counts; time that runs backwards starts afresh.
        """
        if self._last is not None and now < self._last:
            print('time has reset, resetting counters')
            self._periods.clear()
            self._last = self._reported_at = None
        if self._last is not None:
            self._periods.append(now - self._last)
        self._last = now

    def take_report(self) -> Optional[Spread]:
        """Return the periods in seconds, at most once a second; None where there is no news."""
        if not self._periods:
            return None
        if self._reported_at is None:
            self._reported_at = self._last
            return None
        if self._last < self._reported_at + 1_000_000_000:
            return None
        self._reported_at = self._last
        return spread([period * 1e-9 for period in self._periods])
