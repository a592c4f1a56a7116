# SPDX-License-Identifier: Apache-2.0
"""2D tracks of points through a video."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import VISIBLE_ABOVE


@dataclass(frozen=True)
class PointTracks:
    """Where points of the first frame are in every frame.

    Attributes:
        points: (T, N, 2) float32 pixel (u, v); may be anything where the confidence is 0.
        confidence: (T, N) float32 in [0, 1]; above 0.5 the point counts as visible.
        times: (T,) float64 seconds, strictly increasing.
        point_ids: (N,) uint32, unique, stable until the tracker is reset.
    """

    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    times: NDArray[np.float64]
    point_ids: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, dtype=np.uint32))

    def __post_init__(self) -> None:
        """Check shapes and finiteness; fill `point_ids` where left out.

        Raises:
            InvalidInputError: they do not belong together.
        """
        convert = object.__setattr__
        convert(self, 'points', np.ascontiguousarray(self.points, dtype=np.float32))
        convert(self, 'confidence', np.ascontiguousarray(self.confidence, dtype=np.float32))
        convert(self, 'times', np.ascontiguousarray(self.times, dtype=np.float64))
        if self.points.ndim != 3 or self.points.shape[2] != 2 or 0 in self.points.shape:
            raise InvalidInputError(
                f'tracks are {self.points.shape}, expected (T, N, 2) with T, N >= 1'
            )
        num_steps, num_points, _ = self.points.shape
        if self.confidence.shape != (num_steps, num_points) or self.times.shape != (num_steps,):
            raise InvalidInputError(
                f'confidence {self.confidence.shape} and times {self.times.shape} do not belong '
                f'to tracks {self.points.shape}'
            )
        if not np.isfinite(self.times).all() or (np.diff(self.times) <= 0).any():
            raise InvalidInputError('times are not strictly increasing')
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise InvalidInputError('confidence is not within 0..1')
        if not np.isfinite(self.points[self.visible]).all():
            raise InvalidInputError('visible track points are not finite')
        ids = self.point_ids if len(self.point_ids) else np.arange(num_points)
        convert(self, 'point_ids', np.ascontiguousarray(ids, dtype=np.uint32))
        if self.point_ids.shape != (num_points,) or len(np.unique(self.point_ids)) != num_points:
            raise InvalidInputError(f'point_ids are not {num_points} unique numbers')

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(T, N) True where the point counts as visible."""
        return self.confidence > VISIBLE_ABOVE
