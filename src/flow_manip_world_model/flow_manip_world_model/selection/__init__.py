# SPDX-License-Identifier: Apache-2.0
"""Flow selection: which of the candidates to follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.registry import Registry


@dataclass(frozen=True)
class Ranking:
    """What a selection thinks of C candidates.

    Attributes:
        scores: (C,) 0..1, larger is better; 0 where vetoed.
        vetoes: (C,) why a candidate must not be followed; '' where it is acceptable.
        order: indices of the acceptable candidates, best first.
        note: what a caller should know of how it was ranked, e.g. that a model did not answer;
            mostly empty.
    """

    scores: NDArray[np.float64]
    vetoes: tuple[str, ...]
    order: tuple[int, ...]
    note: str = ''

    def __post_init__(self) -> None:
        """Check that the three agree."""
        scores = np.asarray(self.scores, dtype=np.float64)
        object.__setattr__(self, 'scores', scores)
        if scores.shape != (len(self.vetoes),) or not ((scores >= 0) & (scores <= 1)).all():
            raise InvalidInputError(
                f'{len(self.vetoes)} vetoes with scores {scores.tolist()}: expected one of 0..1 '
                'each'
            )
        acceptable = [i for i, veto in enumerate(self.vetoes) if not veto]
        if sorted(self.order) != acceptable:
            raise InvalidInputError(
                f'order {self.order} does not hold the acceptable {acceptable}'
            )

    @property
    def best(self) -> int:
        """Index of the candidate to follow."""
        return self.order[0]


class FlowSelector(Protocol):
    """Scores candidates and says why some are not acceptable."""

    def rank(
        self,
        observation: Observation,
        instruction: str,
        mask: Mask,
        candidates: Sequence[ObjectFlow],
    ) -> Ranking:
        """Rank the candidates for moving the object of `mask`.

        Raises:
            NoAcceptableFlowError: every candidate was vetoed; the message has the reasons.
            InvalidInputError: there are no candidates.
        """


SELECTORS: Registry[FlowSelector] = Registry(
    'selection',
    {
        'geometric': 'flow_manip_world_model.selection.geometric:GeometricSelection',
        'vlm': 'flow_manip_world_model.selection.vlm:VlmSelection',
    },
)
