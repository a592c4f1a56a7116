# SPDX-License-Identifier: Apache-2.0
"""The tree of frames: paths, common times and transforms between any two of them."""

from __future__ import annotations

from ._caches import Edge, StaticCache, TimeCache
from ._exceptions import ConnectivityException, ExtrapolationException, LookupException
from ._maths import compose, IDENTITY, invert, Rigid

# Deeper than this, tf2 takes the tree for a loop.
MAX_DEPTH = 1000

Cache = StaticCache | TimeCache


class FrameTree:
    """Caches by child frame, and what can be computed from them.

    Names are checked by the caller; methods here take frames that may lack a cache (roots).
    """

    def __init__(self) -> None:
        """Create an empty tree."""
        # Every name ever seen as child or parent, in order of appearance.
        self.names: dict[str, None] = {}
        self.caches: dict[str, Cache] = {}

    def insert(
        self, child: str, parent: str, stamp: int, rigid: Rigid, span: int, is_static: bool
    ) -> bool:
        """Store one transform; False where it is too old."""
        cache = self.caches.get(child)
        if cache is None or cache.is_static is not is_static:
            cache = StaticCache() if is_static else TimeCache(span)
            self.names.setdefault(child)
            self.caches[child] = cache
        self.names.setdefault(parent)
        return cache.insert(stamp, parent, rigid)

    def describe(self) -> str:
        """List the frames, one sentence each."""
        return ''.join(
            f'Frame {child} exists with parent {cache.latest_parent() or "NO_PARENT"}.\n'
            for child in self.names
            if (cache := self.caches.get(child)) is not None
        )

    def common_time(self, target: str, source: str) -> int:
        """Return the latest time at which every moving edge between the frames has data.

        Returns:
            Nanoseconds, 0 where the whole path is static.

        Raises:
            ConnectivityException: The frames have no common ancestor.
            LookupException: The tree has a loop.
        """
        if target == source:
            cache = self.caches.get(source)
            return cache.newest if cache else 0
        up = self._latest_ancestors(source)
        frame, times = target, []
        while frame not in up:
            cache = self.caches.get(frame)
            parent = cache.latest_parent() if cache else None
            if parent is None:
                raise ConnectivityException(_unconnected(target, source))
            times.append(cache.newest)
            frame = parent
            if len(times) > MAX_DEPTH:
                raise self._loop()
        for step in up:
            if step == frame:
                break
            times.append(self.caches[step].newest)
        # A static edge says 0: it bounds nothing.
        return min((time for time in times if time), default=0)

    def _latest_ancestors(self, frame: str) -> dict[str, None]:
        seen: dict[str, None] = {}
        parent: str | None = frame
        while parent is not None:
            if parent in seen:
                raise self._loop()
            seen[parent] = None
            cache = self.caches.get(parent)
            parent = cache.latest_parent() if cache else None
        return seen

    def check(self, target: str, source: str, stamp: int) -> None:
        """Raise what a lookup would raise, without its arithmetic."""
        self._walk(target, source, stamp)

    def lookup(self, target: str, source: str, stamp: int) -> tuple[Rigid, int]:
        """Return ``T_target_source`` and the time at which it holds (nanoseconds).

        Raises:
            ConnectivityException: The frames belong to different trees.
            ExtrapolationException: An edge has no data at this time.
            LookupException: The tree has a loop.
        """
        ups, downs, stamp = self._walk(target, source, stamp)
        source_up = _chain(ups)
        if not downs:
            return source_up, stamp
        target_up = invert(_chain(downs))
        return (compose(target_up, source_up) if ups else target_up), stamp

    def _walk(self, target: str, source: str, stamp: int) -> tuple[list[Edge], list[Edge], int]:
        """Edges from source and from target up to their nearest common ancestor."""
        if stamp == 0:
            stamp = self.common_time(target, source)
        caches = self.caches
        ups: list[Edge] = []
        index = {source: 0}
        frame = source
        missing: ExtrapolationException | None = None
        while frame != target:
            cache = caches.get(frame)
            if cache is None:
                break
            try:
                edge = cache.get(stamp)
            except ExtrapolationException as error:
                # There may still be a path: the target's walk may end below this frame.
                missing = error
                break
            ups.append(edge)
            frame = edge[0]
            if frame in index:
                raise self._loop()
            index[frame] = len(ups)
        downs: list[Edge] = []
        frame = target
        while frame not in index:
            cache = caches.get(frame)
            if cache is None:
                if missing is not None:
                    raise ExtrapolationException(f'{missing}{_between(target, source)}')
                raise ConnectivityException(_unconnected(target, source))
            try:
                edge = cache.get(stamp)
            except ExtrapolationException as error:
                raise ExtrapolationException(f'{error}{_between(target, source)}') from None
            downs.append(edge)
            frame = edge[0]
            if len(downs) > MAX_DEPTH:
                raise self._loop()
        return ups[: index[frame]], downs, stamp

    def _loop(self) -> LookupException:
        return LookupException(
            f'The tf tree is invalid because it contains a loop.\n{self.describe()}\n'
        )


def _chain(edges: list[Edge]) -> Rigid:
    if not edges:
        return IDENTITY
    result = edges[0][1]
    for edge in edges[1:]:
        result = compose(edge[1], result)
    return result


def _between(target: str, source: str) -> str:
    return f', when looking up transform from frame [{source}] to frame [{target}]'


def _unconnected(target: str, source: str) -> str:
    return (
        f"Could not find a connection between '{target}' and '{source}' because they are not part "
        'of the same tree.Tf has two or more unconnected trees.'
    )
