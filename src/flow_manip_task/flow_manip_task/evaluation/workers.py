# SPDX-License-Identifier: Apache-2.0
"""Jobs over processes: each works alone, one that dies costs the job it was at and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
import multiprocessing
from multiprocessing.connection import Connection, wait
import os
import signal
import time
from typing import Any

from flow_manip_core.errors import error_from_code, FlowManipError

# Small arrays: a second thread costs more than it gives, and sums come out otherwise.
ONE_THREAD = dict.fromkeys(
    ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'VECLIB_MAXIMUM_THREADS'), '1'
)
END_TIMEOUT = 5.0  # [s] that a process gets to end by itself

Runner = Callable[[Any], Any]


@dataclass(frozen=True)
class Lost:
    """A job whose process died or took too long; `reason` is a sentence."""

    job: Any
    reason: str


def run_jobs(
    jobs: Sequence[Any],
    make_runner: Callable[[], Runner],
    processes: int = 1,
    timeout: float = 1800.0,
) -> Iterator[tuple[Any, Any]]:
    """Run every job in one of some new processes; give (job, result) as they come.

    Processes are spawned, also where there is one only, with one thread for linear algebra each,
    so that results do not depend on how many there are. They do not hear Ctrl-C: whoever iterates
    does, and closing the iterator ends them.

    Args:
        jobs: values that can be sent to a process.
        make_runner: a function of a module; called in each process, it returns what runs a job.
        processes: at most so many.
        timeout: [s] after which a job's process is ended.

    Yields:
        A job with what its runner returned, or with `Lost`.

    Raises:
        FlowManipError: the runner raised it: no job of this kind can work.
    """
    waiting = iter(jobs)
    workers = [_Worker(make_runner, timeout, job) for job in islice(waiting, processes)]
    try:
        while workers:
            for worker in _ready(workers):
                job, result = worker.job, worker.receive()
                following = next(waiting, None)
                if isinstance(result, Lost) or following is None:
                    worker.end()
                    workers.remove(worker)
                if following is not None and isinstance(result, Lost):
                    workers.append(_Worker(make_runner, timeout, following))
                elif following is not None:
                    worker.send(following)
                yield job, result
    finally:
        for worker in workers:
            worker.kill()


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    """Wait until processes have answered, died or run out of time, and return those."""
    now = time.monotonic()
    left = max(min(worker.deadline for worker in workers) - now, 0.0)
    waited = {key: worker for worker in workers for key in (worker.pipe, worker.sentinel)}
    heard = dict.fromkeys(id(waited[key]) for key in wait(list(waited), left))
    now = time.monotonic()
    return [w for w in workers if id(w) in heard or now >= w.deadline]


class _Worker:
    """One process and the job it is at."""

    def __init__(self, make_runner: Callable[[], Runner], timeout: float, job: Any) -> None:
        """Start the process and give it its first job."""
        context = multiprocessing.get_context('spawn')
        self.pipe, theirs = context.Pipe()
        self._timeout = timeout
        self._process = context.Process(target=_serve, args=(theirs, make_runner), daemon=True)
        with _environment(ONE_THREAD):
            self._process.start()
        theirs.close()
        self.send(job)

    @property
    def sentinel(self) -> int:
        """Becomes ready when the process has ended."""
        return self._process.sentinel

    def send(self, job: Any) -> None:
        """Give it a job; a dead process is noticed when it is listened to."""
        self.job = job
        self.deadline = time.monotonic() + self._timeout
        with suppress(OSError):
            self.pipe.send(job)

    def receive(self) -> Any:
        """Return the answer, or `Lost`.

        Raises:
            FlowManipError: the answer is that it cannot work.
        """
        try:
            late = time.monotonic() >= self.deadline
            if late and not self.pipe.poll() and self._process.is_alive():
                return Lost(self.job, f'ended after {self._timeout:.0f} s')
            # Nothing to read here means that it died: this raises.
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join(END_TIMEOUT)
            return Lost(self.job, f'its process died with exit code {self._process.exitcode}')
        if kind == 'error':
            raise error_from_code(*value)
        return value

    def end(self) -> None:
        """Let the process end."""
        with suppress(OSError):
            self.pipe.send(None)
        if time.monotonic() < self.deadline:
            self._process.join(END_TIMEOUT)
        self.kill()

    def kill(self) -> None:
        """End the process now."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(END_TIMEOUT)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.pipe.close()


def _serve(pipe: Connection, make_runner: Callable[[], Runner]) -> None:
    """Run jobs until told to end or until whoever gives them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        runner = make_runner()
        while (job := pipe.recv()) is not None:
            pipe.send(('result', runner(job)))
    except FlowManipError as error:
        pipe.send(('error', (error.code, str(error))))
    except (EOFError, BrokenPipeError):
        return


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Have environment variables for a while: a spawned process takes them over."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
