# SPDX-License-Identifier: Apache-2.0
"""Where a trial's flow comes from: the truth, the truth with a tracker's errors, or the pipeline.

A dream is the pipeline's own generator, fed with simulated videos of which a stated share is good;
what moves and what the words refer to are told by the simulator.

The errors are those of tracked and lifted points: each point has its own, half of its variance
anew at every step (jitter of the tracker, noise of the depth), half as drift that lasts about a
second (first-order autoregressive, as long tracks wander: TAP-Vid, Doersch 2022, measures both),
and points get lost for spells of some steps. Errors that all points share (a wrong scale of the
depth) are not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import ObjectFlow

ORACLE, NOISY, GENERATED, DREAM = 'oracle', 'noisy', 'generated', 'dream'
GOAL = 'goal'
KNOWN = (
    f'{ORACLE}, {NOISY}:<metres>[:<dropout>], {GENERATED} and '
    f'{DREAM}[:<share of good videos>[:<videos per goal>[:{GOAL}]]]'
)
MAX_METRES, MAX_DROPOUT = 0.2, 0.8
MAX_CANDIDATES = 64
DRIFT_SHARE = 0.5  # of the variance
DRIFT_TIME = 1.0  # [s] after which drift has forgotten 63 % of itself
LOST_STEPS = 5.0  # mean length of a spell in which a point is lost


@dataclass(frozen=True)
class SourceSpec:
    """What a flow source is told to do.

    Attributes:
        kind: 'oracle', 'noisy', 'generated' or 'dream'.
        metres: standard deviation of a point's error along each axis [m].
        dropout: share of point steps, the first left out, that have no confidence.
        good: share of a dream's videos that show what was asked for.
        candidates: videos per goal of a dream.
        goal_image: whether a dream is given a picture of the wished-for end.
    """

    kind: str
    metres: float = 0.0
    dropout: float = 0.0
    good: float = 1.0
    candidates: int = 8
    goal_image: bool = False

    def __post_init__(self) -> None:
        """Refuse what no source can do."""
        if self.kind not in (ORACLE, NOISY, GENERATED, DREAM):
            raise InvalidInputError(f"no flow source '{self.kind}'")
        if not 0.0 <= self.metres <= MAX_METRES:
            raise InvalidInputError(f'an error of {self.metres} m is not within 0..{MAX_METRES} m')
        if not 0.0 <= self.dropout <= MAX_DROPOUT:
            raise InvalidInputError(f'a dropout of {self.dropout} is not within 0..{MAX_DROPOUT}')
        if not 0.0 <= self.good <= 1.0:
            raise InvalidInputError(f'a share of {self.good} good videos is not within 0..1')
        if not 1 <= self.candidates <= MAX_CANDIDATES:
            raise InvalidInputError(f'{self.candidates} videos are not within 1..{MAX_CANDIDATES}')

    @classmethod
    def parse(cls, text: str) -> SourceSpec:
        """Read one of `KNOWN`.

        Raises:
            InvalidInputError: it is none of them, or a number is out of range.
        """
        kind, *values = text.strip().split(':')
        try:
            if (kind, len(values)) in ((ORACLE, 0), (GENERATED, 0), (NOISY, 1), (NOISY, 2)):
                return cls(kind, *(float(value) for value in values))
            if kind == DREAM and len(values) <= 3 and values[2:] in ([], [GOAL]):
                good, candidates = [*values, *('1', '8')[len(values) :]][:2]
                return cls(
                    kind,
                    good=float(good),
                    candidates=int(candidates),
                    goal_image=len(values) == 3,
                )
        except ValueError as error:
            raise InvalidInputError(f"flow '{text}': {error}") from None
        raise InvalidInputError(f"no flow '{text}'; there are {KNOWN}")

    @property
    def text(self) -> str:
        """The one way to write it."""
        if self.kind == DREAM:
            goal = f':{GOAL}' if self.goal_image else ''
            return f'{DREAM}:{self.good:g}:{self.candidates}{goal}'
        if self.kind != NOISY:
            return self.kind
        dropout = f':{self.dropout:g}' if self.dropout else ''
        return f'{NOISY}:{self.metres:g}{dropout}'


def disturb(flow: ObjectFlow, spec: SourceSpec, rng: np.random.Generator) -> ObjectFlow:
    """Give a true flow the errors of tracked points; the same generator state, the same errors."""
    points = flow.points + spec.metres * unit_errors(flow.times, flow.num_points, rng)
    lost = lost_spells(flow.num_steps, flow.num_points, spec.dropout, rng)
    return replace(flow, points=points, confidence=np.where(lost, 0.0, flow.confidence))


def unit_errors(
    times: NDArray[np.float64], num_points: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw (T, N, 3) errors of standard deviation one at every step, correlated over time."""
    shape = (len(times), num_points, 3)
    jitter, drift = rng.standard_normal(shape), rng.standard_normal(shape)
    for step in range(1, len(times)):
        kept = math.exp(-(times[step] - times[step - 1]) / DRIFT_TIME)
        drift[step] = kept * drift[step - 1] + math.sqrt(1.0 - kept * kept) * drift[step]
    return math.sqrt(1.0 - DRIFT_SHARE) * jitter + math.sqrt(DRIFT_SHARE) * drift


def lost_spells(
    num_steps: int, num_points: int, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw (T, N) when points are lost: spells of `LOST_STEPS` on average, never the first step.

    A two-state Markov chain per point, from its stationary state on, so that `share` of the later
    steps are lost.
    """
    lost = np.zeros((num_steps, num_points), dtype=bool)
    if share == 0.0 or num_steps < 2:
        return lost
    draws = rng.random((num_steps, num_points))
    found_again = 1.0 / LOST_STEPS
    gets_lost = found_again * share / (1.0 - share)
    lost[1] = draws[1] < share
    for step in range(2, num_steps):
        lost[step] = np.where(lost[step - 1], draws[step] >= found_again, draws[step] < gets_lost)
    return lost
