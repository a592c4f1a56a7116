# SPDX-License-Identifier: Apache-2.0
"""The depth that came with the video: a depth camera's recording, or a simulated generator's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import CancelledError, ConfigurationError, DepthCalibrationError
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_perception.depth import KINDS, never


class SensorDepth:
    """Passes on `Video.depth`, with everything that is no depth turned into NaN.

    Attributes:
        kind: see `DepthEstimator`.
    """

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            kind: what the video's depth means: 'metric' for a depth camera's recording,
                'relative' or 'disparity' for a generator that knows neither scale nor shift.
            min_known: share of pixels with depth that every frame must have.
        """

        kind: str = field(default='metric', metadata={'doc': 'metric, relative or disparity'})
        min_known: float = field(default=0.05, metadata={'doc': 'Share of pixels with depth'})

        def __post_init__(self) -> None:
            """Refuse unknown kinds and shares."""
            if self.kind not in KINDS:
                raise ConfigurationError(f"depth kind '{self.kind}'; known: {', '.join(KINDS)}")
            if not 0.0 <= self.min_known <= 1.0:
                raise ConfigurationError(f'min_known is {self.min_known}, expected 0..1')

    def __init__(self, config: Config, context: Context) -> None:
        """Keep the parameters; depth that is already there needs no context."""
        self._config = config
        self.kind = config.kind

    def estimate(
        self, video: Video, *, cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Return the video's own (T, H, W) depth, NaN where unknown.

        Raises:
            CancelledError: `cancelled` said so.
            DepthCalibrationError: the video has no depth, or a frame has next to none.
        """
        if cancelled():
            raise CancelledError('cancelled before the depth was read')
        if video.depth is None:
            raise DepthCalibrationError(
                f"the video of '{video.source}' came without depth ({video.num_frames} frames); "
                'another depth backend has to estimate it'
            )
        depth = np.array(video.depth, dtype=np.float32)
        # A relative depth may be anything but not finite; a real one is never zero or below.
        unknown = ~np.isfinite(depth)
        if self.kind == 'metric':
            unknown |= ~(depth > 0)
        depth[unknown] = np.nan
        known = 1.0 - unknown.mean(axis=(1, 2))
        worst = int(known.argmin())
        if known[worst] < self._config.min_known:
            raise DepthCalibrationError(
                f'frame {worst} of {video.num_frames} has depth on {known[worst]:.1%} of its '
                f'pixels, {self._config.min_known:.1%} are needed'
            )
        return depth
