# SPDX-License-Identifier: Apache-2.0
"""Levenberg-Marquardt over a whole joint trajectory whose ends are pinned.

Terms see single steps; second differences couple a step to the next two. The normal equations are
a band of 2 J + 1 diagonals: time and memory are linear in the number of steps. The ends are
not variables, so they are met exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError

from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.kinematics import Array, Chain
from flow_manip_planning.path_optimization.bands import band_of, Bend, solve_damped
from flow_manip_planning.path_optimization.terms import Normal, State, Term

START_DAMPING = 1e-4
MIN_DAMPING, MAX_DAMPING = 1e-6, 1e6
MIN_STEP = 1e-5  # [rad] below which nothing changes any more


@dataclass(frozen=True)
class Solution:
    """What the solver found.

    Attributes:
        q: (K, J) trajectory; first and last row as given.
        cost: sum of squared residuals.
        iterations: linearisations that were solved.
        converged: it stopped because nothing improved, not because of the budget.
    """

    q: Array
    cost: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Problem:
    """A trajectory of K steps, the first and the last pinned.

    Attributes:
        chain: the arm.
        terms: residuals of the inner K - 2 steps.
        bend: second differences.
        smoothness: weight of the second differences.
    """

    chain: Chain
    terms: Sequence[Term]
    bend: Bend
    smoothness: float

    def linearise(self, q: Array) -> tuple[float, Array, Array]:
        """Return cost, (2 J + 1, (K-2) J) band and (K-2, J) half gradient at (K, J)."""
        inner = q[1:-1]
        num_steps, num_joints = inner.shape
        normal = Normal(
            np.zeros((num_steps, num_joints, num_joints)), np.zeros((num_steps, num_joints))
        )
        state = State.at(self.chain, inner)
        for term in self.terms:
            term.add(state, normal)
        weight = self.smoothness**2
        bends = self.bend.apply(q)
        normal.gradient += weight * self.bend.transpose(bends)
        cost = normal.cost + weight * float((bends**2).sum())
        return cost, band_of(normal.blocks, self.bend, weight), normal.gradient

    def minimise(
        self,
        start: Array,
        iterations: int = 30,
        tolerance: float = 1e-3,
        cancelled: Cancelled = never_cancelled,
    ) -> Solution:
        """Improve a (K, J) trajectory.

        Args:
            start: within the joint limits; its ends are kept.
            iterations: at most this many steps are tried.
            tolerance: stop when a step lowers the cost by less than this share.
            cancelled: polled at every step.

        Raises:
            CancelledError: `cancelled` said so.
        """
        q, damping, growth = start.copy(), START_DAMPING, 2.0
        cost, band, gradient = self.linearise(q)
        for iteration in range(1, iterations + 1):
            stop_if(cancelled)
            try:
                step = solve_damped(band, gradient, damping)
            except LinAlgError:
                damping *= 100.0
                continue
            trial = q.copy()
            trial[1:-1] = np.clip(q[1:-1] - step, self.chain.lower, self.chain.upper)
            moved = float(np.abs(trial - q).max())
            new_cost, new_band, new_gradient = self.linearise(trial)
            if new_cost < cost:
                diagonal = 1.0 + band[0].reshape(step.shape)
                promised = float((step * (gradient + damping * diagonal * step)).sum())
                kept = (cost - new_cost) / max(promised, np.finfo(float).tiny)
                done = cost - new_cost < tolerance * cost or moved < MIN_STEP
                q, cost, band, gradient = trial, new_cost, new_band, new_gradient
                # Nielsen (1999): as much less damping as the step kept what it promised.
                damping *= min(max(0.1, 1.0 - (2.0 * kept - 1.0) ** 3), 2.0)
                damping, growth = max(damping, MIN_DAMPING), 2.0
                if done:
                    return Solution(q, cost, iteration, converged=True)
            elif moved < MIN_STEP or damping > MAX_DAMPING:
                return Solution(q, cost, iteration, converged=True)
            else:
                damping *= growth
                growth *= 2.0
        return Solution(q, cost, iterations, converged=False)
