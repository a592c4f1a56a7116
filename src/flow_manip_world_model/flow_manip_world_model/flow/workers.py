# SPDX-License-Identifier: Apache-2.0
"""Who lifts the videos of a dream: this process, several processes, or a Ray cluster.

All three are used the same way: `submit` jobs, then `events` until nothing is `pending`. `kill`
stops the work at once and forgets it; the next job starts it anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
import multiprocessing
from multiprocessing.connection import Connection
import queue
import threading
import time
import traceback
from typing import Any, Protocol

from flow_manip_core.errors import CancelledError, FlowManipError, PeerLostError, StageTimeoutError
from flow_manip_world_model.flow.lifting import (
    FlowAlone,
    LiftEvent,
    LiftingRecipe,
    LiftJob,
    VideoLifter,
)
from flow_manip_world_model.progress import never_cancelled

POLL = 0.01  # [s] how often waiting looks at its limits
START_TIMEOUT = 300.0  # [s] until a process has built its lifter: it may load models


class LiftWorkers(Protocol):
    """Lifts videos."""

    @property
    def pending(self) -> int:
        """Jobs that are not finished."""

    def submit(self, job: LiftJob) -> None:
        """Take a job."""

    def events(self, timeout: float) -> Iterator[LiftEvent]:
        """Give what has happened; wait at most `timeout` seconds for the first of it."""

    def kill(self) -> None:
        """Stop everything now and forget it."""

    def close(self) -> None:
        """Stop, and give back what is kept for the next goal."""


class InlineWorkers:
    """Lifts in this thread, one after another, while `events` is asked."""

    def __init__(self, recipe: LiftingRecipe) -> None:
        """Build the lifter."""
        self._lifter = recipe.make()
        self._jobs: deque[LiftJob] = deque()
        self.on_progress: Callable[[LiftEvent], None] = lambda event: None
        self.cancelled: Callable[[], bool] = never_cancelled

    @property
    def pending(self) -> int:
        """Jobs that are not finished."""
        return len(self._jobs)

    def submit(self, job: LiftJob) -> None:
        """Remember a job."""
        self._jobs.append(job)

    def events(self, timeout: float) -> Iterator[LiftEvent]:
        """Lift the next one; its progress goes to `on_progress` as it happens."""
        if self._jobs:
            job = self._jobs.popleft()
            yield lift(self._lifter, job, self.on_progress, self.cancelled)

    def kill(self) -> None:
        """Forget the jobs; the one that runs sees `cancelled`."""
        self._jobs.clear()

    def close(self) -> None:
        """Forget the jobs."""
        self.kill()


def lift(
    lifter: VideoLifter,
    job: LiftJob,
    on_event: Callable[[LiftEvent], None],
    cancelled: Callable[[], bool] = never_cancelled,
) -> LiftEvent:
    """Lift one video and say how it ended; only a cancel leaves as an exception."""

    def report(stage: str, progress: float) -> None:
        on_event(LiftEvent(job.number, stage, progress))

    try:
        lifted = lifter.lift(
            job.video, job.observation, job.mask, on_progress=report, cancelled=cancelled
        )
    except CancelledError:
        raise
    except FlowManipError as error:
        return LiftEvent(job.number, error=error)
    except Exception:  # a bug is told as one, with its traceback
        return LiftEvent(job.number, error=traceback.format_exc())
    return LiftEvent(job.number, lifted=lifted if job.whole else FlowAlone(lifted.flow))


class ProcessWorkers:
    """Lifts in fresh processes of this machine, one job each at a time."""

    def __init__(self, recipe: LiftingRecipe, processes: int, timeout: float) -> None:
        """Start nothing yet.

        Args:
            recipe: of the lifter that each process builds for itself.
            processes: how many at once.
            timeout: of one job [s]; then its process is killed.
        """
        self._recipe, self._count, self._timeout = recipe, processes, timeout
        self._free: list[_Process] = []
        self._busy: list[_Process] = []
        self._waiting: deque[LiftJob] = deque()
        self._events: queue.SimpleQueue[LiftEvent] = queue.SimpleQueue()
        self.pending = 0

    def submit(self, job: LiftJob) -> None:
        """Start a job, or keep it until a process is free."""
        self.pending += 1
        self._waiting.append(job)
        self._dispatch()

    def events(self, timeout: float) -> Iterator[LiftEvent]:
        """Give what the processes have said."""
        deadline = time.monotonic() + timeout
        said = False
        while not said:
            self._watch()
            self._dispatch()
            try:
                event = self._events.get(timeout=min(POLL, timeout) if timeout > 0 else 0.001)
            except queue.Empty:
                if time.monotonic() >= deadline:
                    return
                continue
            said = True
            yield from self._take(event)
            while not self._events.empty():
                yield from self._take(self._events.get())

    def kill(self) -> None:
        """End all processes that work; forget what they would have said."""
        for process in self._busy:
            process.end()
        self._busy.clear()
        self._waiting.clear()
        self._events = queue.SimpleQueue()
        self.pending = 0

    def close(self) -> None:
        """End all processes."""
        self.kill()
        for process in self._free:
            process.end()
        self._free.clear()

    def _take(self, event: LiftEvent) -> Iterator[LiftEvent]:
        """Hand an event on; a finished job frees its process."""
        if event.finished:
            self.pending -= 1
            for process in [p for p in self._busy if p.number == event.number]:
                self._busy.remove(process)
                if process.alive:
                    self._free.append(process)
                else:
                    process.end()
        yield event

    def _dispatch(self) -> None:
        """Give waiting jobs to free processes."""
        while self._waiting and len(self._busy) < self._count:
            process = self._next_free() or _Process(self._recipe)
            self._busy.append(process)
            process.start(self._waiting.popleft(), self._events)

    def _next_free(self) -> _Process | None:
        """Return a process that waits for work; what died while it waited is forgotten."""
        while self._free:
            process = self._free.pop()
            if process.runs:
                return process
            process.end()
        return None

    def _watch(self) -> None:
        """End what takes too long; its thread then says that it is gone."""
        for process in self._busy:
            limit = self._timeout if process.begun else START_TIMEOUT
            if time.monotonic() - process.since > limit:
                process.end(StageTimeoutError(f'lifting took longer than {limit:g} s'))


class _Process:
    """One process and the thread that talks with it, so that nobody waits for its pipe."""

    def __init__(self, recipe: LiftingRecipe) -> None:
        context = multiprocessing.get_context('spawn')  # the parent has threads and GPU memory
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, recipe), daemon=True)
        self._process.start()
        other.close()
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reason: FlowManipError | None = None
        self.alive, self.begun, self.number, self.since = True, False, -1, 0.0
        threading.Thread(target=self._talk, daemon=True).start()

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self.alive and self._process.is_alive()

    def start(self, job: LiftJob, events: queue.SimpleQueue[LiftEvent]) -> None:
        """Send a job; what comes of it is put into `events`."""
        self.begun, self.number, self.since = False, job.number, time.monotonic()
        self._jobs.put((job, events))

    def end(self, reason: FlowManipError | None = None) -> None:
        """Kill the process; its job fails with `reason`."""
        self._reason = self._reason or reason
        self.alive = False
        self._process.kill()
        self._jobs.put(None)

    def _talk(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, events = item
            try:
                self._pipe.send(job)
                while not (event := self._pipe.recv()).finished:
                    if not self.begun:
                        self.begun, self.since = True, time.monotonic()
                    events.put(event)
            except (EOFError, OSError):
                self._process.join()
                self.alive = False
                gone = PeerLostError(
                    'the process that lifted the video ended with exit code '
                    f'{self._process.exitcode}'
                )
                event = LiftEvent(job.number, error=self._reason or gone)
            events.put(event)
        self._pipe.close()
        self._process.join()  # it was killed: nobody else takes its exit code


def _serve(pipe: Connection, recipe: LiftingRecipe) -> None:
    """Lift what comes through `pipe` until it is closed; the life of a worker process."""
    import cv2

    cv2.setNumThreads(1)  # as many processes as cores: more threads only get in each other's way
    try:
        lifter: VideoLifter | None = recipe.make()
        broken: FlowManipError | str = ''
    except FlowManipError as error:
        lifter, broken = None, error
    except Exception:
        lifter, broken = None, traceback.format_exc()
    while True:
        try:
            job: LiftJob = pipe.recv()
            pipe.send(LiftEvent(job.number, 'begun', 0.0))
            if lifter is None:
                pipe.send(LiftEvent(job.number, error=broken))
            else:
                pipe.send(lift(lifter, job, pipe.send))
        except (EOFError, OSError, KeyboardInterrupt):
            return
