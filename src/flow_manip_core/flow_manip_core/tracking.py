# SPDX-License-Identifier: Apache-2.0
"""What a tracker says about one object: where it is, and when that was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import is_rigid


@dataclass(frozen=True)
class TrackedPose:
    """Where a tracked object was at one moment.

    Attributes:
        stamp: seconds of the moment itself, not of its arrival.
        pose: (4, 4) T_world_object. The object's own frame is the tracker's choice (a body's, or
            the world's at the first image), as long as it stays the same.
    """

    stamp: float
    pose: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse what is not a rigid pose at a finite time."""
        if not np.isfinite(self.stamp) or not is_rigid(self.pose, tolerance=1e-4):
            raise InvalidInputError(
                f'tracked pose {np.asarray(self.pose).tolist()} at {self.stamp} s is not a rigid '
                'transform'
            )


@dataclass(frozen=True)
class TrackedPoints:
    """Where points of a tracked object were at one moment.

    Attributes:
        stamp: seconds of the moment itself, not of its arrival.
        points: (N, 3) in the world, the same points in the same order every time; where the
            confidence is 0 they may be anything [m].
        confidence: (N,) 0..1.
    """

    stamp: float
    points: NDArray[np.float64]
    confidence: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse shapes that do not belong together, and points with weight that are nowhere."""
        if self.points.shape != (len(self.confidence), 3) or self.confidence.ndim != 1:
            raise InvalidInputError(
                f'points {self.points.shape} and confidence {self.confidence.shape} do not belong '
                'together'
            )
        seen = self.confidence > 0
        if not np.isfinite(self.stamp) or not np.isfinite(self.points[seen]).all():
            raise InvalidInputError(f'tracked points at {self.stamp} s are not finite')
