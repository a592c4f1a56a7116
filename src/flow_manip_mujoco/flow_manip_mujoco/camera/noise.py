# SPDX-License-Identifier: Apache-2.0
"""What a structured-light depth camera adds to the truth.

Terms and magnitudes follow the noise models published for such cameras: axial noise growing with
the square of depth (C. V. Nguyen, S. Izadi, D. Lovell, "Modeling Kinect sensor noise for improved
3D reconstruction and tracking", 3DIMPVT 2012), lateral jitter of about half a pixel and disparity
quantisation (A. Handa et al., "A benchmark for RGB-D visual odometry, 3D reconstruction and SLAM",
ICRA 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation


@dataclass(frozen=True)
class DepthNoiseConfig:
    """Strength of each effect; 0 switches one off.

    Attributes:
        axial_base: standard deviation close up [m].
        axial_growth: added standard deviation at 1 m, growing with z^2 [m].
        lateral: standard deviation of the shift in the image [px].
        quantisation: depth step at 1 m, growing with z^2 [m].
        edge_jump: jump in depth between neighbours that counts as an edge [m].
        edge_width: how far from an edge pixels may be lost [px].
        edge_loss: share of those pixels that are lost.
        dropout: share of all pixels that are lost.
        min_depth: nearer is lost [m].
        max_depth: farther is lost [m].
    """

    axial_base: float = 0.0004
    axial_growth: float = 0.0011
    lateral: float = 0.4
    quantisation: float = 0.0008
    edge_jump: float = 0.015
    edge_width: int = 1
    edge_loss: float = 0.6
    dropout: float = 0.003
    min_depth: float = 0.15
    max_depth: float = 6.0


def add_depth_noise(
    depth: NDArray[np.float32], config: DepthNoiseConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Disturb a true depth image.

    Args:
        depth: (H, W) metres, NaN where unknown.
        config: strength of each effect.
        rng: same state, same result.

    Returns:
        (H, W) float32 metres with NaN for lost pixels.
    """
    height, width = depth.shape
    shift = rng.normal(scale=max(config.lateral, 1e-12), size=(2, height, width))
    rows = np.clip(np.rint(np.arange(height)[:, None] + shift[0]), 0, height - 1).astype(int)
    columns = np.clip(np.rint(np.arange(width) + shift[1]), 0, width - 1).astype(int)
    noisy = depth[rows, columns].astype(np.float64)
    sigma = config.axial_base + config.axial_growth * noisy**2
    noisy += sigma * rng.normal(size=noisy.shape)
    if config.quantisation > 0:
        # Disparity comes in equal steps, so 1/z does.
        noisy = 1.0 / (np.rint((1.0 / noisy) / config.quantisation) * config.quantisation)
    lost = rng.random(depth.shape) < config.dropout
    lost |= depth_edges(depth, config) & (rng.random(depth.shape) < config.edge_loss)
    with np.errstate(invalid='ignore'):
        lost |= (noisy < config.min_depth) | (noisy > config.max_depth)
    noisy[lost] = np.nan
    return noisy.astype(np.float32)


def depth_edges(depth: NDArray[np.float32], config: DepthNoiseConfig) -> NDArray[np.bool_]:
    """Return (H, W) True within `edge_width` pixels of a jump in depth or of unknown depth.

    A plane's disparity 1/z is linear in the image however steeply it is seen, so its second
    difference shows jumps only.
    """
    disparity = np.where(np.isfinite(depth), 1.0 / depth, 0.0).astype(np.float64)
    padded = np.pad(disparity, 1, mode='reflect', reflect_type='odd')
    middle = padded[1:-1, 1:-1]
    bend = np.maximum(
        np.abs(padded[1:-1, 2:] - 2.0 * middle + padded[1:-1, :-2]),
        np.abs(padded[2:, 1:-1] - 2.0 * middle + padded[:-2, 1:-1]),
    )
    # dz = z^2 d(1/z); where depth is unknown nothing is left to lose.
    jump = bend > config.edge_jump * disparity**2
    jump &= disparity > 0.0
    extra = config.edge_width - 1
    return binary_dilation(jump, iterations=extra) if extra > 0 else jump
