# SPDX-License-Identifier: Apache-2.0
"""The executor of the workspace's nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future as PoolFuture
from concurrent.futures import ThreadPoolExecutor, wait
import threading

from rclpy.context import Context
from rclpy.executors import (
    ConditionReachedException,
    Executor,
    ExternalShutdownException,
    ShutdownException,
    TimeoutException,
)
from rclpy.task import Future, Task


class ThreadedExecutor(Executor):
    """Runs callbacks in a pool of threads, each callback once.

    rclpy's `MultiThreadedExecutor` (7.1) hands a callback to its pool again and again until a
    thread has begun it: thousands of copies pile up, and 100 Hz joint states stand still for a
    second on a machine with nothing else to do. Here the spinning thread lets go until the
    callback has begun. What a callback raises ends `spin`, as it does there.
    """

    def __init__(self, num_threads: int, *, context: Context | None = None) -> None:
        """Make the pool; callbacks that block hold one thread each."""
        super().__init__(context=context)
        self._pool = ThreadPoolExecutor(num_threads)
        self._running: set[PoolFuture[None]] = set()
        self._errors: deque[BaseException] = deque()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback and have it begun."""
        self._once(timeout_sec, lambda: False)

    def spin_once_until_future_complete(
        self, future: Future, timeout_sec: float | None = None
    ) -> None:
        """Wait for one callback or for `future`."""
        future.add_done_callback(lambda _: self.wake())
        self._once(timeout_sec, future.done)

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop, wait for callbacks that run; say whether all of them ended."""
        super().shutdown(timeout_sec)
        running = wait(set(self._running), timeout_sec).not_done
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not running

    def _once(self, timeout: float | None, condition: Callable[[], bool]) -> None:
        if self._errors:
            raise self._errors.popleft()
        try:
            task, _, _ = self.wait_for_ready_callbacks(timeout, None, condition)
        except (
            ConditionReachedException,
            ExternalShutdownException,
            ShutdownException,
            TimeoutException,
        ):
            return
        begun = threading.Event()
        running = self._pool.submit(self._run, task, begun)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        while not begun.wait(0.1):
            if self._is_shutdown or not self._context.ok():
                return

    def _run(self, task: Task, begun: threading.Event) -> None:
        begun.set()
        task()
        if task.done() and (error := task.exception()) is not None:
            self._errors.append(error)
            self.wake()
