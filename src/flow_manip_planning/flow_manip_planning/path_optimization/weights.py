# SPDX-License-Identifier: Apache-2.0
"""Weights of the residuals: those that the papers publish, and ours where they are silent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """Of the residuals; the defaults are NovaFlow's, a stiff pose added.

    Attributes:
        pose: of the distance between hand and target, per metre (ours).
        points: of the distance between carried and tracked points, per metre.
        smoothness: of second differences, per radian.
        limits: of coming closer to a joint limit than `limit_margin`, per radian.
        collision: of coming closer to something than the clearance, per metre.
        rest: of the distance to the rest posture, per radian.
        singularity: of 1 / manipulability above 1 / `singularity_floor`.
        limit_margin: [rad].
        clearance: of the arm from the scene [m].
        held_clearance: of the held object from the scene [m].
        self_clearance: between parts of the arm, and of the held object from the arm [m].
        singularity_floor: Yoshikawa's manipulability below which it costs.
    """

    pose: float = 200.0
    points: float = 10.0
    smoothness: float = 10.0
    limits: float = 100.0
    collision: float = 15.0
    rest: float = 0.1
    singularity: float = 0.01
    limit_margin: float = 0.1
    clearance: float = 0.03
    held_clearance: float = 0.012
    self_clearance: float = 0.01
    singularity_floor: float = 0.02


NOVAFLOW = Weights()
# Appendix of Dream2Flow: flow 10, smoothness 1, manipulability 0.01; its code: limits 100. It has
# no collision term: NovaFlow's.
DREAM2FLOW = Weights(points=10.0, smoothness=1.0, limits=100.0, singularity=0.01)
