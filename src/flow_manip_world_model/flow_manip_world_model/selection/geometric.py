# SPDX-License-Identifier: Apache-2.0
"""Selection by geometry: one object, the right one, on a free and smooth way to a fitting end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError, NoAcceptableFlowError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_world_model.points import farthest_points
from flow_manip_world_model.scene import build_scene
from flow_manip_world_model.selection import motion_checks, Ranking, scene_checks, shape_checks
from flow_manip_world_model.selection.agreement import (
    Agreement,
    measure_agreement,
    MIN_CANDIDATES,
    PROBES,
)
from flow_manip_world_model.selection.end_checks import end
from flow_manip_world_model.selection.facts import Facts, gather_facts
from flow_manip_world_model.selection.limits import GeometricConfig, VetoError
from flow_manip_world_model.selection.wording import read_wording

TIE = 0.005  # scores closer than this keep the generator's order

Check = Callable[[Facts, GeometricConfig], float]
CHECKS: dict[Check, float] = {
    scene_checks.start: 2.0,
    shape_checks.visibility: 1.0,
    shape_checks.rigidity: 2.0,
    shape_checks.size: 2.0,
    motion_checks.speed: 1.0,
    motion_checks.smoothness: 1.0,
    motion_checks.motion: 1.0,
    scene_checks.clearance: 2.0,
    scene_checks.inside: 1.0,
    end: 2.0,
}


class GeometricSelection:
    """Scores candidates by geometric measures and vetoes what no robot should follow.

    The score is their weighted geometric mean, so that one bad measure is not outvoted by good
    ones. Three candidates or more are asked about each other (`agreement`). An instruction that
    nobody understands may still have flows, from generators that do: then the checks of the end
    are left out.
    """

    Config = GeometricConfig

    def __init__(self, config: GeometricConfig, context: Context) -> None:
        """Keep limits and rig."""
        self._config = config
        self._context = context

    def rank(
        self,
        observation: Observation,
        instruction: str,
        mask: Mask,
        candidates: Sequence[ObjectFlow],
    ) -> Ranking:
        """Rank the candidates; see `FlowSelector.rank`."""
        if not candidates:
            raise InvalidInputError('there are no candidates to rank')
        scene = build_scene(observation, self._context.rig, mask)
        wording = read_wording(instruction)
        scores, vetoes = np.zeros(len(candidates)), []
        known: dict[int, Facts] = {}
        for i, flow in enumerate(candidates):
            try:
                facts = gather_facts(flow, scene, mask, wording, self._config)
                scores[i] = self._score(facts)
                known[i] = facts
                vetoes.append('')
            except VetoError as veto:
                vetoes.append(str(veto))
        if not known:
            reasons = '; '.join(f'{i + 1}: {veto}' for i, veto in enumerate(vetoes))
            raise NoAcceptableFlowError(f'all {len(vetoes)} candidates are vetoed: {reasons}')
        self._ask_each_other(scores, known)
        # Generators give their best-reasoned first; a hair's breadth of score must not overrule
        # that.
        order = sorted(known, key=lambda i: (-round(float(scores[i]) / TIE), i))
        return Ranking(scores, tuple(vetoes), tuple(order))

    def _score(self, facts: Facts) -> float:
        """Return the weighted geometric mean of all measures of one candidate."""
        values = np.array([check(facts, self._config) for check in CHECKS])
        weights = np.array(list(CHECKS.values()))
        return float(np.exp(weights @ np.log(np.maximum(values, 1e-3)) / weights.sum()))

    def _ask_each_other(self, scores: NDArray[np.float64], known: dict[int, Facts]) -> None:
        """Weigh in what three candidates or more say about each other."""
        if len(known) < MIN_CANDIDATES or not self._config.agreement_weight:
            return
        indices = list(known)
        said = self._agreement([known[i] for i in indices])
        own, other = sum(CHECKS.values()), self._config.agreement_weight
        # The best supported one is not marked down for those that failed.
        support = said.support / max(float(said.support.max()), 1e-9)
        value = np.maximum(support * said.complete, 1e-3)
        logs = own * np.log(np.maximum(scores[indices], 1e-6)) + other * np.log(value)
        scores[indices] = np.exp(logs / (own + other))

    def _agreement(self, candidates: list[Facts]) -> Agreement:
        """Compare the motions by points of the object where it starts."""
        first = candidates[0]
        points = first.mask.points(first.scene.observation)
        if not len(points):
            points = first.points[0][first.seen[0]]
        points = points[:: max(len(points) // 2000, 1)]
        probes = points[farthest_points(points, PROBES)]
        return measure_agreement(candidates, probes, self._config.agreement_scale)
