# SPDX-License-Identifier: Apache-2.0
"""The plane that objects stand on, and how high every pixel is above it.

RANSAC with the truncated squared error of MSAC (Torr and Zisserman, 2000) over planes that are
nearly horizontal and near the height that the rig states, then least squares on the inliers.
What the sensor bends (structured-light cameras warp flat floors by some millimetres) is taken
out by a robust quadratic in x and y, where it explains a good part of the residual.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import NoSupportError

MAD_TO_SIGMA = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class SupportPlane:
    """A nearly horizontal plane with its measured noise.

    Attributes:
        normal: (3,) unit, pointing up.
        offset: normal . p = offset for points of the plane [m].
        warp: (6,) coefficients of 1, x, y, x^2, xy, y^2 that the sensor adds to heights [m].
        sigma: spread of the measured heights of the support's points after smoothing [m].
        area_fraction: share of the workspace's measured points that lie on it.
    """

    normal: NDArray[np.float64]
    offset: float
    warp: NDArray[np.float64]
    sigma: float
    area_fraction: float

    def heights(self, points: NDArray) -> NDArray[np.float64]:
        """Return the (...) heights of (..., 3) world points above the support [m]."""
        raw = points @ self.normal - self.offset
        return raw - _quadratic(points) @ self.warp if self.warp.any() else raw

    def intersect(self, origin: NDArray, rays: NDArray) -> NDArray[np.float64]:
        """Return where (..., 3) rays from `origin` meet the plane; NaN where they never do."""
        slope = rays @ self.normal
        with np.errstate(divide='ignore', invalid='ignore'):
            distance = (self.offset - origin @ self.normal) / slope
        distance = np.where(distance > 0, distance, np.nan)
        return origin + distance[..., None] * rays


def fit_support_plane(
    points: NDArray,
    expected_height: float,
    *,
    max_tilt: float = 0.2,
    max_height_error: float = 0.1,
    min_fraction: float = 0.1,
    tolerance: float = 0.006,
    seed: int = 0,
) -> SupportPlane:
    """Fit the support to (N, 3) world points of the workspace (finite; z up).

    Args:
        points: measured points, objects included.
        expected_height: of the support at the middle of the workspace [m].
        max_tilt: largest angle between its normal and z [rad].
        max_height_error: largest distance from `expected_height` at the points' middle [m].
        min_fraction: smallest share of the points that must lie on it.
        tolerance: residual at which a point stops counting as inlier in the search [m].
        seed: of the sampling.

    Raises:
        NoSupportError: too few points, or no such plane carries enough of them.
    """
    if len(points) < 200:
        raise NoSupportError(f'only {len(points)} points with depth in the workspace')
    rng = np.random.default_rng(seed)
    sample = points[rng.choice(len(points), min(len(points), 3000), replace=False)]
    center = np.median(sample, axis=0)
    normals, offsets = _hypotheses(
        sample, center, expected_height, max_tilt, max_height_error, rng
    )
    if not len(normals):
        raise NoSupportError(
            f'no plane within {np.degrees(max_tilt):.0f} degrees of horizontal and '
            f'{max_height_error:.2f} m of height {expected_height:.2f} m'
        )
    residuals = np.abs(sample @ normals.T - offsets)
    cost = np.minimum(residuals / tolerance, 1.0) ** 2
    best = int(cost.sum(axis=0).argmin())
    normal, offset = _refine(sample, normals[best], offsets[best], tolerance)
    tilt = float(np.arccos(min(normal[2], 1.0)))
    if tilt > 1.2 * max_tilt:
        raise NoSupportError(f'the best plane leans by {np.degrees(tilt):.0f} degrees')
    inside = np.abs(sample @ normal - offset) < 2 * tolerance
    fraction = float(inside.mean())
    if fraction < min_fraction:
        raise NoSupportError(
            f'the best plane carries {fraction:.0%} of the points, expected {min_fraction:.0%}'
        )
    warp, sigma = _fit_warp(sample, sample @ normal - offset, tolerance)
    return SupportPlane(normal, float(offset), warp, sigma, fraction)


def smooth_heights(heights: NDArray) -> NDArray[np.float32]:
    """Return an (H, W) height image after a 5x5 median; NaN stays NaN and does not spread."""
    known = np.isfinite(heights)
    filled = np.where(known, heights, 0).astype(np.float32)
    weight = cv2.blur(known.astype(np.float32), (5, 5))
    mean = cv2.blur(filled, (5, 5)) / np.maximum(weight, 1e-6)
    median = cv2.medianBlur(np.where(known, filled, mean).astype(np.float32), 5)
    return np.where(known, median, np.nan).astype(np.float32)


def _hypotheses(
    sample: NDArray,
    center: NDArray,
    expected: float,
    max_tilt: float,
    max_error: float,
    rng: np.random.Generator,
) -> tuple[NDArray, NDArray]:
    """Draw planes through three points, and horizontal ones through one; keep the admissible."""
    a, b, c = sample[rng.integers(len(sample), size=(3, 400))]
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    keep = length > 1e-8
    normals = normals[keep] / length[keep, None]
    normals *= np.sign(normals[:, 2:] + 1e-12)
    level = sample[rng.integers(len(sample), size=100)]
    anchors = np.concatenate([a[keep], level])
    normals = np.concatenate([normals, np.tile([0.0, 0.0, 1.0], (len(level), 1))])
    offsets = (anchors * normals).sum(axis=1)
    height = (offsets - normals[:, :2] @ center[:2]) / np.maximum(normals[:, 2], 1e-6)
    good = (normals[:, 2] > np.cos(max_tilt)) & (np.abs(height - expected) < max_error)
    return normals[good], offsets[good]


def _refine(
    sample: NDArray, normal: NDArray, offset: float, tolerance: float
) -> tuple[NDArray, float]:
    """Repeat least squares on the inliers, whose tolerance follows the measured noise."""
    limit = 2 * tolerance
    for _ in range(4):
        residual = sample @ normal - offset
        inside = np.abs(residual) < limit
        if inside.sum() < 50:
            return normal, offset
        kept = sample[inside]
        middle = kept.mean(axis=0)
        normal = np.linalg.svd(kept - middle, full_matrices=False)[2][-1]
        normal = normal * np.sign(normal[2])
        offset = float(normal @ middle)
        spread = MAD_TO_SIGMA * np.median(np.abs(kept @ normal - offset))
        limit = float(np.clip(3 * spread, 0.002, 2 * tolerance))
    return normal, offset


def _quadratic(points: NDArray) -> NDArray[np.float64]:
    x, y = points[..., 0], points[..., 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _fit_warp(sample: NDArray, residual: NDArray, tolerance: float) -> tuple[NDArray, float]:
    """Return the sensor's bend of the plane (zeros where none stands out) and the noise left."""
    near = np.abs(residual) < 2 * tolerance
    basis, target = _quadratic(sample[near]), residual[near]
    flat = MAD_TO_SIGMA * float(np.median(np.abs(target)))
    weights = np.ones(len(target))
    coefficients = np.zeros(6)
    for _ in range(5):
        coefficients = np.linalg.lstsq(basis * weights[:, None], target * weights, rcond=None)[0]
        left = target - basis @ coefficients
        scale = max(3 * MAD_TO_SIGMA * float(np.median(np.abs(left))), 1e-5)
        weights = np.clip(1 - (left / scale) ** 2, 0, None)  # root of Tukey's biweight
    bent = MAD_TO_SIGMA * float(np.median(np.abs(left)))
    # A bend of less than a millimetre is left to the tolerance: it may be an object's doing.
    if bent < 0.8 * flat and flat - bent > 0.0005:
        return coefficients, bent
    return np.zeros(6), flat
