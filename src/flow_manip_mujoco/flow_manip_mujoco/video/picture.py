# SPDX-License-Identifier: Apache-2.0
"""What a video model's pictures and depth have that the drawn ones have not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import ConfigurationError

_GRID = (9, 12)  # rows and columns of the smooth error of the depth
_EDGE = 0.02  # [m] jump between neighbours that counts as an edge


@dataclass(frozen=True)
class VideoDepthConfig:
    """Depth that comes with a video: the truth times a scale plus a shift, both unknown.

    Attributes:
        scale: range that a video's scale is drawn from.
        shift: range that its shift is drawn from [m].
        flicker: standard deviation of the scale from frame to frame, relative.
        smooth: standard deviation of an error that varies slowly over the picture [m].
        edge_loss: share of the pixels at edges that are unknown.
    """

    scale: tuple[float, float] = (0.6, 1.6)
    shift: tuple[float, float] = (-0.1, 0.1)
    flicker: float = 0.003
    smooth: float = 0.002
    edge_loss: float = 0.5

    def __post_init__(self) -> None:
        """Refuse ranges upside down, scales that are no scales, and negative errors."""
        ordered = self.scale[0] <= self.scale[1] and self.shift[0] <= self.shift[1]
        errors = min(self.flicker, self.smooth, self.edge_loss)
        if not ordered or self.scale[0] <= 0 or errors < 0 or self.edge_loss > 1:
            raise ConfigurationError(f'{self} is no depth of a video')


@dataclass(frozen=True)
class DepthTruth:
    """How a video's depth hangs together with the true one: scale (T,) * true + shift [m]."""

    scale: NDArray[np.float64]
    shift: float


def draw_depth_truth(
    config: VideoDepthConfig, num_frames: int, rng: np.random.Generator
) -> DepthTruth:
    """Draw the scale of each frame and the shift of a video; the first frame has no flicker."""
    flicker = 1.0 + config.flicker * rng.standard_normal(num_frames)
    flicker[0] = 1.0
    scale = rng.uniform(*config.scale) * flicker
    return DepthTruth(scale, float(rng.uniform(*config.shift)))


def disturb_depth(
    depth: NDArray[np.float32],
    truth: DepthTruth,
    frame: int,
    config: VideoDepthConfig,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return a frame's (H, W) depth as the video has it, NaN where it is unknown."""
    error = config.smooth * _smooth(depth.shape, rng)
    # Nothing of a camera's depth is nearer than the camera.
    result = np.float32(truth.scale[frame]) * (depth + error) + np.float32(truth.shift)
    result[result <= 0.0] = np.nan
    edge = _edges(depth)
    result[edge] = np.where(
        rng.random(int(edge.sum())) < config.edge_loss, np.float32(np.nan), result[edge]
    )
    return result


def disturb_colour(
    color: NDArray[np.uint8],
    gain: NDArray[np.float64],
    noise: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Multiply (H, W, 3) colours by (3,) gains and add grain of a standard deviation (0..255)."""
    height, width = color.shape[:2]
    half = rng.standard_normal(((height + 1) // 2, (width + 1) // 2), dtype=np.float32)
    # Grain of two pixels: what a model's decoder adds is coarser than a sensor's.
    grain = (noise * half).repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    if (gain == 1.0).all():
        raised = color.astype(np.int16) + np.rint(grain).astype(np.int16)[..., None]
    else:
        raised = np.rint(color * gain.astype(np.float32) + grain[..., None])
    return np.clip(raised, 0, 255).astype(np.uint8)


def _smooth(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw an (H, W) field of standard deviation about one that varies slowly."""
    coarse = rng.standard_normal(_GRID, dtype=np.float32)
    rows, columns = (_weights(size, nodes) for size, nodes in zip(shape, _GRID))
    return np.asarray(rows @ coarse @ columns.T)


def _weights(size: int, nodes: int) -> NDArray[np.float32]:
    """Return the (size, nodes) weights of linear interpolation between evenly spread nodes."""
    at = np.linspace(0.0, nodes - 1.0, size)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(nodes))).astype(np.float32)


def _edges(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (H, W) True on both sides of a jump: where the second difference is large.

    That of disparity vanishes on planes, however steeply they are seen.
    """
    disparity = np.float32(1.0) / depth
    jump = np.zeros(depth.shape, dtype=bool)
    bound = np.float32(_EDGE) * disparity**2
    with np.errstate(invalid='ignore'):
        bend = np.abs(disparity[:, 2:] - 2 * disparity[:, 1:-1] + disparity[:, :-2])
        jump[:, 1:-1] |= bend > bound[:, 1:-1]
        bend = np.abs(disparity[2:] - 2 * disparity[1:-1] + disparity[:-2])
        jump[1:-1] |= bend > bound[1:-1]
    return jump
