# SPDX-License-Identifier: Apache-2.0
"""Rigid fits step by step, before they are joined to a motion."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_planning.flow_to_poses.motion import Array

# Second largest spread over the largest below which seen points count as one line.
LINE = 1e-3
# Noise makes a line look wide; this much of its variance is not the object's.
NOISE_IN_SPREAD = 1.25


@dataclass
class Steps:
    """Poses of all steps as far as they are known.

    Attributes:
        poses: (T, 4, 4) T_world_start.
        inliers: (T, N) points that agree with a step's pose.
        residuals: (T,) their distance, infinite where failed [m].
        noise: (T,) of a coordinate [m].
        failed: why, by step.
        unsure: steps of `failed` whose turn about some axis is what is not known.
        undetermined: (3,) axis at the start about which the points tell no turn, and no step has
            any; None where they tell all turns.
    """

    poses: Array
    inliers: NDArray[np.bool_]
    residuals: Array
    noise: Array
    failed: dict[int, str] = field(default_factory=dict)
    unsure: frozenset[int] = frozenset()
    undetermined: Array | None = None

    @property
    def good(self) -> NDArray[np.bool_]:
        """(T,) True where the pose is known."""
        good = np.ones(len(self.poses), dtype=bool)
        good[list(self.failed)] = False
        return good
