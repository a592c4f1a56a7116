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
