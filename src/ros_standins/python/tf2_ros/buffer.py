# SPDX-License-Identifier: Apache-2.0
"""`Buffer`: transforms over time with waiting, futures and a reset when simulated time jumps."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
import time as wall_time

from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.task import Future
from rclpy.time import Time
from tf2_msgs.srv import FrameGraph

from tf2_py import BufferCore
from tf2_py._tf2_py import nanoseconds_of

from .buffer_interface import BufferInterface, NO_WAIT

__all__ = ['Buffer']

Check = Callable[[], tuple[bool, str]]


class Buffer(BufferCore, BufferInterface):
    """The buffer that a `TransformListener` fills.

    Waiting blocks the calling thread: something else, a listener with ``spin_thread`` or an
    executor in another thread, has to bring the transforms in. Without it a wait runs out and the
    lookup raises what it would have raised at once. Time-outs count wall time.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        """Create an empty buffer.

        Args:
            cache_time: How far back to keep transforms (10 s by default).
            node: Offers the service ``tf2_frames`` and lends its clock: the buffer clears itself
                when that clock jumps back by more than a second or changes its source.
        """
        BufferCore.__init__(self, cache_time)
        BufferInterface.__init__(self)
        self._news = Condition()
        self._waiting: list[Callable[[], None]] = []
        if node is not None:
            self.srv = node.create_service(FrameGraph, 'tf2_frames', self._frame_graph)
            self.clock = node.get_clock()
        else:
            self.clock = Clock()
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True
        )
        self.jump_handle = self.clock.create_jump_callback(
            threshold, post_callback=self.time_jump_callback
        )

    def _frame_graph(
        self, request: FrameGraph.Request, response: FrameGraph.Response
    ) -> FrameGraph.Response:
        del request
        response.frame_yaml = self.all_frames_as_yaml()
        return response

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        """Forget all moving transforms: they belong to a time that is over."""
        del time_jump
        get_logger('tf2_buffer').warning('Detected jump back in time. Clearing tf buffer.')
        self.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store ``T_parent_child`` at its stamp and wake those who wait."""
        super().set_transform(transform, authority)
        self._tell()

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store ``T_parent_child`` for all times and wake those who wait."""
        super().set_transform_static(transform, authority)
        self._tell()

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()
            waiting = tuple(self._waiting)
        for callback in waiting:
            callback()

    def _wait(self, check: Check, timeout: Duration) -> tuple[bool, str]:
        seconds = nanoseconds_of(timeout, 'duration') / 1e9
        result = check()
        if result[0] or seconds <= 0.0:
            return result
        deadline = wall_time.monotonic() + seconds
        with self._news:
            # Looked at again under the condition's lock, so that no news slips in between.
            result = check()
            while not result[0]:
                rest = deadline - wall_time.monotonic()
                if rest <= 0.0:
                    break
                self._news.wait(rest)
                result = check()
        return result

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """Return ``T_target_source``: the source frame's pose in the target frame.

        Args:
            target_frame: Frame in which to express.
            source_frame: Frame to express.
            time: When; zero for the latest time common to all edges.
            timeout: How long to wait for the transform.

        Raises:
            TransformException: `LookupException`, `ConnectivityException`,
                `ExtrapolationException` or `InvalidArgumentException`, also after a time-out.
        """
        if nanoseconds_of(timeout, 'duration') > 0:
            self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    async def lookup_transform_async(
        self, target_frame: str, source_frame: str, time: Time
    ) -> TransformStamped:
        """As `lookup_transform`; awaits the transform without blocking the executor."""
        await self.wait_for_transform_async(target_frame, source_frame, time)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """As `lookup_transform`, between two times joined by a frame that stood still."""
        if nanoseconds_of(timeout, 'duration') > 0:
            self.can_transform_full(
                target_frame, target_time, source_frame, source_time, fixed_frame, timeout
            )
        return self.lookup_transform_full_core(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    async def lookup_transform_full_async(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
    ) -> TransformStamped:
        """As `lookup_transform_full`; awaits the transform without blocking the executor."""
        await self.wait_for_transform_full_async(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )
        return self.lookup_transform_full_core(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Tell whether `lookup_transform` succeeds, waiting for it if asked to.

        Returns:
            The answer; with ``return_debug_tuple`` the answer and the reason against it.
        """
        result = self._wait(
            lambda: self.can_transform_core(target_frame, source_frame, time), timeout
        )
        return result if return_debug_tuple else result[0]

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """As `can_transform`, between two times."""
        result = self._wait(
            lambda: self.can_transform_full_core(
                target_frame, target_time, source_frame, source_time, fixed_frame
            ),
            timeout,
        )
        return result if return_debug_tuple else result[0]

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Future:
        """Return a future that holds the transform once it can be looked up."""
        return self._future(
            lambda: self.can_transform_core(target_frame, source_frame, time),
            lambda: self.lookup_transform_core(target_frame, source_frame, time),
        )

    def wait_for_transform_full_async(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
    ) -> Future:
        """As `wait_for_transform_async`, between two times."""
        arguments = (target_frame, target_time, source_frame, source_time, fixed_frame)
        return self._future(
            lambda: self.can_transform_full_core(*arguments),
            lambda: self.lookup_transform_full_core(*arguments),
        )

    def _future(self, check: Check, lookup: Callable[[], TransformStamped]) -> Future:
        future = Future()

        def on_news() -> None:
            # Any error belongs to whoever awaits, not to the thread that brought the news.
            try:
                if not future.done() and check()[0]:
                    future.set_result(lookup())
            except BaseException as error:
                future.set_exception(error)

        def forget(_: Future) -> None:
            with self._news:
                if on_news in self._waiting:
                    self._waiting.remove(on_news)

        with self._news:
            self._waiting.append(on_news)
        future.add_done_callback(forget)
        on_news()
        return future
