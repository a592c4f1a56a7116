# SPDX-License-Identifier: Apache-2.0
"""What a task is: words, a scene drawn by a seed, a reference motion, success by the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.layout import Scene

Predicate = Callable[[SimulatedCell], bool]

_SETTLE_TIME = 1.0  # [s] simulated before success is read


@dataclass(frozen=True)
class ReferenceMotion:
    """How a body of the simulator should move: what an oracle knows.

    Attributes:
        times: (T,) seconds from 0, strictly increasing.
        poses: (T, 4, 4) T_world_body; the first is where the body is now.
        contact: (3,) where a hand should take hold at the start, in the world [m]; None where the
            task leaves that open.
    """

    times: NDArray[np.float64]
    poses: NDArray[np.float64]
    contact: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Check shapes and times.

        Raises:
            InvalidInputError: they do not fit together.
        """
        steps = len(self.times)
        if self.times.shape != (steps,) or self.poses.shape != (steps, 4, 4):
            raise InvalidInputError(f'times {self.times.shape}, poses {self.poses.shape}')
        if steps < 2 or self.times[0] != 0.0 or (np.diff(self.times) <= 0).any():
            raise InvalidInputError('times must start at 0 and increase')
        if self.contact is not None and self.contact.shape != (3,):
            raise InvalidInputError(f'contact {self.contact.shape}, expected (3,)')


@dataclass(frozen=True)
class TaskStep:
    """One motion of one thing.

    Attributes:
        instruction: in words.
        object: what moves, in words.
        body: its name in the simulator.
        reference_motion: of the body from the state that the cell is in.
    """

    instruction: str
    object: str
    body: str
    reference_motion: Callable[[SimulatedCell], ReferenceMotion] = field(repr=False, compare=False)


@dataclass(frozen=True)
class TaskTrial:
    """One try of a task, everything drawn from its seed.

    Attributes:
        seed: it was drawn from; also the seed to reset with.
        instruction: in words, of the whole task.
        scene: to reset the cell with.
        steps: to be done one after the other.
        stages: name and predicate of what is reached on the way, in order; the last one is the
            task's end. A stage counts as done when a later one is.
        task: name of the task that it is a trial of; set by the task itself.
    """

    seed: int
    instruction: str
    scene: Scene = field(repr=False)
    steps: tuple[TaskStep, ...]
    stages: tuple[tuple[str, Predicate], ...] = field(repr=False, compare=False)
    task: str = ''

    def reset(self, cell: SimulatedCell) -> None:
        """Set the table."""
        cell.reset(self.seed, self.scene)
        cell.task = self.task

    def success(self, cell: SimulatedCell) -> bool:
        """Let the cell settle for a second, then read from its state whether the task is done."""
        cell.step(round(_SETTLE_TIME / cell.timestep))
        return self.stages[-1][1](cell)

    def progress(self, cell: SimulatedCell) -> dict[str, bool]:
        """Return the stages in order, each done or not, as the cell stands now."""
        done, result = False, {}
        for name, reached in reversed(self.stages):
            done = done or reached(cell)
            result[name] = done
        return dict(reversed(result.items()))


@dataclass(frozen=True)
class TaskSpec:
    """A task that trials are drawn from.

    Attributes:
        name: unique, snake_case.
        phrasings: what one may say; trials draw one of them.
        articulated: something turns or slides on a joint.
        make_trial: the trial of a seed.
        source: which published system's task it is.
    """

    name: str
    phrasings: tuple[str, ...]
    articulated: bool
    make_trial: Callable[[int], TaskTrial]
    source: str = ''

    def __post_init__(self) -> None:
        """Have trials say which task they are of."""
        named = partial(_trial_of, self.name, self.make_trial)
        object.__setattr__(self, 'make_trial', named)


def _trial_of(name: str, make_trial: Callable[[int], TaskTrial], seed: int) -> TaskTrial:
    return replace(make_trial(seed), task=name)
