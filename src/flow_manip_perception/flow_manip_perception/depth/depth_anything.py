# SPDX-License-Identifier: Apache-2.0
"""Depth Anything (V1, V2) through transformers: inverse depth, or metres from a metric checkpoint.

Images are resized as its authors do: the shorter side to 518 px, the shape kept, both sides
multiples of the patches' 14 px.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError, CancelledError, ConfigurationError
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_perception.depth import never
from flow_manip_perception.pretrained import (
    image_tensor,
    interruptible,
    load_model,
    ModelRuntime,
    require,
)

MODEL = 'depth-anything/Depth-Anything-V2-Small-hf'
# What a checkpoint says of itself, and what that means here.
KINDS = {'relative': 'disparity', 'metric': 'metric'}


class DepthAnything:
    """Estimates every frame by itself; keeps nothing between calls but the model.

    Attributes:
        kind: 'disparity' or 'metric', see `DepthEstimator`.
    """

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            model: hub id or folder, e.g. the small V2 (Apache-2.0; base and large are not free for
                every use), or depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf.
            kind: what it gives; checked against the checkpoint.
            side: the shorter side of the images [px].
            batch: frames at once.
            runtime: where the model runs.
        """

        model: str = field(default=MODEL, metadata={'doc': 'Hub id or folder'})
        kind: str = field(default='disparity', metadata={'doc': 'disparity or metric'})
        side: int = field(default=518, metadata={'doc': 'Shorter side of the images [px]'})
        batch: int = field(default=1, metadata={'doc': 'Frames at once'})
        runtime: ModelRuntime = field(default_factory=ModelRuntime)

        def __post_init__(self) -> None:
            """Refuse what cannot be.

            Raises:
                ConfigurationError: with what is wrong.
            """
            if self.kind not in KINDS.values():
                raise ConfigurationError(
                    f"depth_anything gives {', '.join(KINDS.values())}, not '{self.kind}'"
                )
            if self.side < 14 or not 1 <= self.batch <= 256:
                raise ConfigurationError(f'depth_anything: {self.side} px, batch {self.batch}')

    def __init__(self, config: Config, context: Context) -> None:
        """Keep the parameters; weights are read at the first video."""
        self.kind = config.kind
        self._config = config
        self._model: Any = None

    def estimate(
        self, video: Video, *, cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Return (T, H, W) inverse depth up to scale and shift, or depth [m]; NaN where unknown.

        Raises:
            CancelledError: `cancelled` said so, between two layers of the model.
            BackendError: the model cannot be loaded, or gives another kind.
        """
        model, config = self._load(), self._config
        torch = require('torch')
        width, height = video.size
        size = model_size(width, height, config.side, int(model.config.patch_size))
        # A frame that repeats the one before it has its depth: generators hold pictures.
        same = [np.array_equal(*pair) for pair in pairwise(video.frames)]
        new = ~np.array([False, *same])
        wanted = np.flatnonzero(new)
        found = np.empty((len(wanted), height, width), dtype=np.float32)
        for start in range(0, len(wanted), config.batch):
            chosen = wanted[start : start + config.batch]
            if cancelled():
                raise CancelledError(f'cancelled at frame {chosen[0]} of {video.num_frames}')
            images = image_tensor(video.frames[chosen], size, model, interpolation=cv2.INTER_CUBIC)
            doing = f'the depth of frame {chosen[0]} was estimated'
            with torch.inference_mode(), interruptible(model, cancelled, doing):
                values = model(pixel_values=images).predicted_depth
            grown = torch.nn.functional.interpolate(
                values.float()[:, None], size=(height, width), mode='bilinear', align_corners=True
            )
            found[start : start + len(chosen)] = grown[:, 0].cpu().numpy()
        return self._known(found)[np.cumsum(new) - 1]

    def _known(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mark what is no depth: not finite, or no distance. Zero disparity is infinitely far."""
        usable = np.isfinite(values)
        usable &= values > 0 if self.kind == 'metric' else values >= 0
        return np.where(usable, values, np.float32(np.nan))

    def _load(self) -> Any:
        """Return the model, loaded once.

        Raises:
            BackendError: it is not there, or gives another kind of depth than was configured.
        """
        if self._model is None:
            config = self._config
            model = load_model('DepthAnythingForDepthEstimation', config.model, config.runtime)
            kind = KINDS.get(model.config.depth_estimation_type)
            if kind != self.kind:
                raise BackendError(
                    f"'{config.model}' gives {kind or model.config.depth_estimation_type}, "
                    f"not '{self.kind}': set depth_anything.kind"
                )
            self._model = model
        return self._model


def model_size(width: int, height: int, side: int, patch: int) -> tuple[int, int]:
    """Return the (width, height) that an image is resized to: multiples of a patch.

    The side that needs the smaller change of scale decides, as in the authors' resize.
    """
    scale_w, scale_h = side / width, side / height
    scale = scale_w if abs(1 - scale_w) < abs(1 - scale_h) else scale_h
    return (
        max(round(scale * width / patch), 1) * patch,
        max(round(scale * height / patch), 1) * patch,
    )
