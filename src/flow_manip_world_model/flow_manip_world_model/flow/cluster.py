# SPDX-License-Identifier: Apache-2.0
"""Lifting on a Ray cluster: the function that local processes run, called on other machines."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
import time
from typing import Any

from flow_manip_core.errors import BackendError, PeerLostError, StageTimeoutError
from flow_manip_world_model.flow.lifting import LiftEvent, LiftingRecipe, LiftJob, VideoLifter
from flow_manip_world_model.flow.workers import lift

_made: dict[str, VideoLifter] = {}  # one per process: building a lifter may load models


def lift_alone(recipe: LiftingRecipe, job: LiftJob) -> LiftEvent:
    """Lift one video with the lifter of this process, built on first use."""
    key = repr(recipe)
    if key not in _made:
        _made.clear()
        _made[key] = recipe.make()
    return lift(_made[key], job, lambda event: None)


class RayWorkers:
    """Lifts as tasks of a Ray cluster; workers there need this package installed.

    Progress inside a candidate is not reported: tasks have no channel back but their result.
    """

    def __init__(self, recipe: LiftingRecipe, address: str, timeout: float) -> None:
        """Connect.

        Args:
            recipe: of the lifter that each worker builds for itself.
            address: as `ray.init` takes it: 'auto', 'local' or 'ray://host:port'.
            timeout: of one job [s]; then its task is cancelled.

        Raises:
            BackendError: Ray is not installed, or the cluster cannot be reached.
        """
        try:
            self._ray: Any = import_module('ray')
        except ImportError as error:
            raise BackendError(f'{error}; install it with: pip install ray') from error
        try:
            if not self._ray.is_initialized():
                self._ray.init(address=address, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise BackendError(f"no Ray cluster at '{address}': {error}") from error
        self._task = self._ray.remote(lift_alone)
        self._recipe = self._ray.put(recipe)
        self._timeout = timeout
        self._jobs: dict[Any, tuple[int, float]] = {}

    @property
    def pending(self) -> int:
        """Jobs that are not finished."""
        return len(self._jobs)

    def submit(self, job: LiftJob) -> None:
        """Start a task."""
        self._jobs[self._task.remote(self._recipe, job)] = (job.number, time.monotonic())

    def events(self, timeout: float) -> Iterator[LiftEvent]:
        """Give the results that are there."""
        if not self._jobs:
            return
        ready, _ = self._ray.wait(list(self._jobs), timeout=timeout)
        for task in ready:
            number, _ = self._jobs.pop(task)
            try:
                yield self._ray.get(task)
            except self._ray.exceptions.RayError as error:
                yield LiftEvent(number, error=PeerLostError(f'the Ray task failed: {error}'))
        yield from self._overdue()

    def kill(self) -> None:
        """Cancel all tasks."""
        for task in self._jobs:
            self._ray.cancel(task, force=True)
        self._jobs.clear()

    def close(self) -> None:
        """Cancel all tasks; the connection is the process's and stays."""
        self.kill()

    def _overdue(self) -> Iterator[LiftEvent]:
        """Cancel what takes too long."""
        for task, (number, since) in list(self._jobs.items()):
            if time.monotonic() - since > self._timeout:
                self._ray.cancel(task, force=True)
                del self._jobs[task]
                late = StageTimeoutError(f'lifting took longer than {self._timeout:g} s')
                yield LiftEvent(number, error=late)
