# SPDX-License-Identifier: Apache-2.0
"""How much a clip's depth flickers: what the static background does from frame to frame.

Depth estimators look at each frame anew, so the whole image breathes. Points of the first frame's
background are carried into every frame by the camera's pose; the median of measured over expected
depth is that frame's factor. The object has no part in it: most of what is seen must stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.transforms import invert_transform, transform_points

POINTS = 4000  # of the background that are looked at
MIN_POINTS = 100  # in a frame; fewer say nothing
SAME = 0.1  # relative difference beyond which something else is seen
BETTER = 0.8  # what is left on pixels that had no say, over what was there
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Flicker:
    """Of one clip's depth.

    Attributes:
        factors: (T,) measured over expected depth of the background; NaN where too little is seen.
        spread: (T,) median absolute relative error of the background's depth.
        spread_corrected: (T,) the same after division by the factors, on pixels that had no say in
            them.
        corrected: True where the depth was divided by the factors.
    """

    factors: Array
    spread: Array
    spread_corrected: Array
    corrected: bool = False

    @property
    def worst(self) -> float:
        """Largest relative change of the background's depth."""
        off = np.abs(self.factors - 1.0)
        return float(np.nanmax(off)) if np.isfinite(off).any() else float('nan')

    @property
    def correction_helps(self) -> bool:
        """True where dividing by the factors leaves clearly less on pixels that had no say."""
        known = np.isfinite(self.factors)
        if known.mean() < 0.9:
            return False
        before, after = self.spread[known].mean(), self.spread_corrected[known].mean()
        return bool(after < BETTER * before)


def measure_flicker(
    depth: NDArray, camera: CameraModel, poses: NDArray, moving: NDArray, seed: int = 0
) -> Flicker:
    """Compare the background's depth in every frame with the first frame's.

    Args:
        depth: (T, H, W) [m], NaN where unknown.
        camera: of the frames.
        poses: (T, 4, 4) T_world_camera.
        moving: (H, W) bool, what moves in the first frame; not looked at.
        seed: of the choice of points.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.nonzero(np.isfinite(depth[0]) & ~moving)
    chosen = rng.permutation(len(rows))[:POINTS]
    pixels = np.stack([columns[chosen], rows[chosen]], axis=1)
    local = camera.deproject(pixels, depth[0][rows[chosen], columns[chosen]])
    points = transform_points(poses[0], local)
    judge = np.arange(len(points)) % 2 == 0
    factors, spread, corrected = np.full((3, len(depth)), np.nan)
    for step in range(len(depth)):
        ratio = _ratios(depth[step], camera, poses[step], points)
        known = np.isfinite(ratio) & (np.abs(ratio - 1.0) < SAME)
        if min((known & judge).sum(), (known & ~judge).sum()) < MIN_POINTS:
            continue
        half = float(np.median(ratio[known & ~judge]))
        factors[step] = np.median(ratio[known])
        spread[step] = np.median(np.abs(ratio[known & judge] - 1.0))
        corrected[step] = np.median(np.abs(ratio[known & judge] / half - 1.0))
    return Flicker(factors, spread, corrected)


def _ratios(depth: NDArray, camera: CameraModel, pose: NDArray, points: Array) -> Array:
    """Return (N,) measured over expected depth of world points, NaN out of view."""
    local = transform_points(invert_transform(pose), points)
    with np.errstate(invalid='ignore'):
        pixels = np.rint(camera.project(local))
        inside = (pixels >= 0).all(axis=1) & (pixels < [camera.width, camera.height]).all(axis=1)
    columns, rows = np.where(inside[:, None], pixels, 0).astype(int).T
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.where(inside, depth[rows, columns] / local[:, 2], np.nan)
