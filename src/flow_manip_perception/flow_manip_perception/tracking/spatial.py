# SPDX-License-Identifier: Apache-2.0
"""Tracks of trackers that know how deep their points lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.point_tracks import PointTracks


@dataclass(frozen=True)
class SpatialTracks(PointTracks):
    """Tracks with depth, also of points that are hidden but whose thing is seen.

    `confidence` says what is in sight, as ever; `support` how far depth and pixel may be believed.

    Attributes:
        depth: (T, N) float32 metres along the optical axis, NaN where the tracker does not know.
        support: (T, N) float32 in [0, 1]; above 0.5 the position in 3D counts.
    """

    depth: NDArray[np.float32] | None = None
    support: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Check as `PointTracks` does, and that depth belongs to it.

        Raises:
            InvalidInputError: it does not.
        """
        super().__post_init__()
        for name in ('depth', 'support'):
            value = getattr(self, name)
            if value is None or value.shape != self.confidence.shape:
                raise InvalidInputError(
                    f'{name} is {getattr(value, "shape", None)}, tracks {self.confidence.shape}'
                )
            object.__setattr__(self, name, np.ascontiguousarray(value, dtype=np.float32))
        believed = self.support > 0
        if not (np.isfinite(self.depth[believed]).all() and (self.support <= 1).all()):
            raise InvalidInputError('support is not within 0..1, or without depth')
        if not np.isfinite(self.points[believed]).all():
            raise InvalidInputError('supported points have no pixel')
