# SPDX-License-Identifier: Apache-2.0
"""Point tracks as an object tracker: the rigid motion that the points agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flow_manip_core.errors import ConfigurationError, DegenerateFlowError
from flow_manip_core.rigid import fit_rigid_transform
from flow_manip_core.tracking import TrackedPoints, TrackedPose
from flow_manip_core.transforms import transform_points


class PointTracker(Protocol):
    """Follows points of one object."""

    def points(self, now: float) -> TrackedPoints | None:
        """Return where the points are by the newest image at `now` [s], None if there is none."""


@dataclass(frozen=True)
class PointTracksConfig:
    """When points say where their object is.

    Attributes:
        visible: confidence above which a point counts.
        min_points: that must be seen, then and now.
        trim: share of the points that agree least and are left out: tracks that jumped.
        max_residual: largest root mean square distance of the others from one rigid motion [m].
    """

    visible: float = 0.5
    min_points: int = 8
    trim: float = 0.25
    max_residual: float = 0.008

    def __post_init__(self) -> None:
        """Refuse what determines no motion."""
        if self.min_points < 3 or not 0 <= self.trim < 1 or self.max_residual <= 0:
            raise ConfigurationError(f'{self} determines no motion')


class PosesFromPoints:
    """An `ObjectTracker` whose poses are rigid fits to point tracks.

    The object's frame is the world's at the first points that were seen: T_world_object is the
    motion since then. Weighted Kabsch fits, trimmed twice: the points that the fit before explains
    least are left out of the next. Where too few points are seen, or they disagree, there is no
    pose: a bad fit would stop an arm that does well.
    """

    def __init__(self, tracker: PointTracker, config: PointTracksConfig | None = None) -> None:
        """Take the points of one object."""
        self._tracker, self._config = tracker, config or PointTracksConfig()
        self._first: TrackedPoints | None = None

    def pose(self, now: float) -> TrackedPose | None:
        """Return the motion since the first points, None where they do not determine one."""
        tracked = self._tracker.points(now)
        if tracked is None:
            return None
        if self._first is None or self._first.points.shape != tracked.points.shape:
            self._first = tracked
        first, config = self._first, self._config
        weights = np.minimum(first.confidence, tracked.confidence)
        used = weights > config.visible
        source, target = first.points[used], tracked.points[used]
        if len(source) < config.min_points:
            return None
        kept = np.ones(len(source), dtype=bool)
        try:
            for _ in range(3):
                motion = fit_rigid_transform(source[kept], target[kept], weights[used][kept])
                away = np.linalg.norm(transform_points(motion, source) - target, axis=1)
                kept = away <= np.quantile(away, 1.0 - config.trim)
        except DegenerateFlowError:
            return None
        residual = float(np.sqrt(np.mean(away[kept] ** 2)))
        return None if residual > config.max_residual else TrackedPose(tracked.stamp, motion)
