# SPDX-License-Identifier: Apache-2.0
"""What is stored per child frame: its parents and transforms over time, or one static transform.

Times are integers in nanoseconds; 0 means "the latest".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from ._exceptions import ExtrapolationException
from ._maths import Rigid, slerp

Edge = tuple[str, Rigid]


def seconds_text(stamp: int) -> str:
    """Write a time as tf2 does in its messages: seconds with six decimals."""
    return f'{stamp / 1e9:.6f}'


class StaticCache:
    """A transform that holds at every time."""

    is_static = True
    newest = 0
    oldest = 0

    def __init__(self) -> None:
        """Start empty; the first insert follows at once."""
        self._edge: Edge = ('', (0.0,) * 6 + (1.0,))

    def __len__(self) -> int:
        """Return 1."""
        return 1

    def insert(self, stamp: int, parent: str, rigid: Rigid) -> bool:
        """Replace what is stored; always succeeds."""
        del stamp
        self._edge = (parent, rigid)
        return True

    def clear(self) -> None:
        """Keep the transform: static frames are sent once and must outlive a clock's jump."""

    def latest_parent(self) -> str | None:
        """Return the parent's name."""
        return self._edge[0]

    def parent(self, stamp: int) -> str:
        """Return the parent's name."""
        del stamp
        return self._edge[0]

    def get(self, stamp: int) -> Edge:
        """Return parent and transform."""
        del stamp
        return self._edge


class TimeCache:
    """Transforms of one child frame, sorted by time, the oldest first."""

    is_static = False

    def __init__(self, span: int) -> None:
        """Create an empty cache.

        Args:
            span: How far back from the newest entry to keep, nanoseconds.
        """
        self._span = span
        self._stamps: list[int] = []
        self._edges: list[Edge] = []

    def __len__(self) -> int:
        """Return how many entries are stored."""
        return len(self._stamps)

    @property
    def newest(self) -> int:
        """Time of the newest entry, 0 when empty."""
        return self._stamps[-1] if self._stamps else 0

    @property
    def oldest(self) -> int:
        """Time of the oldest entry, 0 when empty."""
        return self._stamps[0] if self._stamps else 0

    def insert(self, stamp: int, parent: str, rigid: Rigid) -> bool:
        """Add an entry and drop those that have become too old.

        Returns:
            False where the entry itself is older than the newest by more than the span.
        """
        edge = (parent, rigid)
        stamps = self._stamps
        if not stamps or stamp > stamps[-1]:
            stamps.append(stamp)
            self._edges.append(edge)
        elif stamp < stamps[-1] - self._span:
            return False
        else:
            low, high = bisect_left(stamps, stamp), bisect_right(stamps, stamp)
            if edge not in self._edges[low:high]:
                stamps.insert(high, stamp)
                self._edges.insert(high, edge)
        self._prune()
        return True

    def _prune(self) -> None:
        limit = self._stamps[-1] - self._span
        if self._stamps[0] < limit:
            count = bisect_left(self._stamps, limit)
            del self._stamps[:count]
            del self._edges[:count]

    def clear(self) -> None:
        """Forget everything."""
        self._stamps.clear()
        self._edges.clear()

    def latest_parent(self) -> str | None:
        """Return the newest entry's parent, None when empty."""
        return self._edges[-1][0] if self._edges else None

    def parent(self, stamp: int) -> str:
        """Return the parent's name at a time; errors as in `get`."""
        return self._edges[self._index(stamp)][0]

    def get(self, stamp: int) -> Edge:
        """Return parent and transform at a time, interpolated where the parent stays the same.

        Raises:
            ExtrapolationException: The time lies outside the stored entries. The text is empty
                where nothing is stored.
        """
        index = self._index(stamp)
        older = self._edges[index]
        start = self._stamps[index]
        if stamp in (0, start) or index + 1 == len(self._stamps):
            return older
        newer = self._edges[index + 1]
        if newer[0] != older[0]:
            return older
        ratio = (stamp - start) / (self._stamps[index + 1] - start)
        return (older[0], slerp(older[1], newer[1], ratio))

    def _index(self, stamp: int) -> int:
        """Index of the newest entry that is not after the time."""
        stamps = self._stamps
        if not stamps:
            raise ExtrapolationException('')
        if stamp == 0 or stamp == stamps[-1]:
            return len(stamps) - 1
        if stamps[0] < stamp < stamps[-1]:
            return bisect_right(stamps, stamp) - 1
        if stamp == stamps[0]:
            return 0
        raise ExtrapolationException(self._outside(stamp))

    def _outside(self, stamp: int) -> str:
        if len(self._stamps) == 1:
            return (
                f'Lookup would require extrapolation at time {seconds_text(stamp)}, '
                f'but only time {seconds_text(self.newest)} is in the buffer'
            )
        if stamp > self.newest:
            where, which, bound = 'future', 'latest', self.newest
        else:
            where, which, bound = 'past', 'earliest', self.oldest
        return (
            f'Lookup would require extrapolation into the {where}.  Requested time '
            f'{seconds_text(stamp)} but the {which} data is at time {seconds_text(bound)}'
        )
