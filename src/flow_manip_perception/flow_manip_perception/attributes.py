# SPDX-License-Identifier: Apache-2.0
"""What can be measured of one object from one side: size, profile, hollow, handle, colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_perception.colors import color_scores, LIGHTNESS_WEIGHT
from flow_manip_perception.foreground import View


@dataclass(frozen=True)
class ObjectAttributes:
    """Measurements of one object.

    Attributes:
        mask: (H, W) its pixels.
        points: (N, 3) its world points.
        heights: (N,) above the support [m].
        center: (3,) middle of its extent in the world [m].
        hull: (M, 1, 2) float32 outline seen from above [m].
        length: longer side of the outline's tightest rectangle [m].
        width: shorter side [m].
        height: of its top above its own bottom [m].
        bottom: height of its lowest part above the support [m].
        fullness: outline's area over its rectangle's: 1 for a box, 0.785 for a disc.
        hollow: how far the inside lies below the rim, relative to `height`: 0..1.
        flat_top: share of the outline that lies within a little of the top.
        neck: width near the top over width of the lower half.
        taper: width of the upper half over that of the lower quarter; above 1 it opens upwards.
        ball: root mean square distance from the best sphere over its radius.
        ball_radius: of that sphere [m].
        handle: how far something sticks out beyond the round body, relative to its radius.
        fill: pixels over the area of their hull in the image: low for wires and open tools.
        colors: scores by name.
        lightness: median L of CIE Lab, 0..100.
    """

    mask: NDArray[np.bool_]
    points: NDArray[np.float64]
    heights: NDArray[np.float64]
    center: NDArray[np.float64]
    hull: NDArray[np.float32]
    length: float
    width: float
    height: float
    bottom: float
    fullness: float
    hollow: float
    flat_top: float
    neck: float
    taper: float
    ball: float
    ball_radius: float
    handle: float
    fill: float
    colors: dict[str, float]
    lightness: float

    @property
    def size(self) -> float:
        """Diagonal of the enclosing box [m]."""
        return float(np.sqrt(self.length**2 + self.width**2 + self.height**2))

    @property
    def top(self) -> float:
        """Height of the top above the support [m]."""
        return self.bottom + self.height


def measure(view: View, mask: NDArray[np.bool_]) -> ObjectAttributes | None:
    """Measure the object that covers `mask`; None where too little of it has depth."""
    known = mask & np.isfinite(view.heights)
    if known.sum() < 12:
        return None
    points, heights = view.points[known], view.heights[known].astype(np.float64)
    points, heights = _without_flyers(points, heights)
    low, high = np.percentile(heights, [1.5, 98.5])
    # Whatever stands on the support reaches down to it, seen or not.
    bottom = 0.0 if low < max(0.015, 0.45 * high) else float(low)
    height = max(float(high) - bottom, 1e-3)
    flat = points[:, :2].astype(np.float32)
    hull = cv2.convexHull(flat)
    (_, sides, _) = cv2.minAreaRect(hull)
    length, width = max(max(sides), 1e-3), max(min(sides), 1e-3)
    middle = np.append((flat.min(axis=0) + flat.max(axis=0)) / 2, points[:, 2].mean())
    rim_center, rim_radius = _rim(flat, heights, float(high), height)
    offset = (flat - rim_center) / rim_radius
    radius = np.linalg.norm(offset, axis=1)
    up = (heights - bottom) / height
    pixels = _solid_pixels(view.color, mask)
    return ObjectAttributes(
        mask,
        points,
        heights,
        middle,
        hull,
        float(length),
        float(width),
        height,
        bottom,
        float(cv2.contourArea(hull) / (length * width)),
        _hollow(up, offset, rim_radius, view.ahead, height),
        _flat_top(flat, up, hull, height),
        _width_ratio(points, up, view.right, (0.85, 1.0), (0.1, 0.5)),
        _width_ratio(points, up, view.right, (0.75, 1.0), (0.0, 0.3)),
        *_fit_sphere(points),
        float(max(np.percentile(radius, 99.0) - 1.0, 0.0)),
        _fill(mask),
        color_scores(pixels),
        float(np.median(view.paint[mask][:, 0]) / LIGHTNESS_WEIGHT),
    )


def _without_flyers(points: NDArray, heights: NDArray) -> tuple[NDArray, NDArray]:
    """Drop the points that depth edges leave hanging between an object and what is behind it."""
    cell = np.floor(points / 0.008).astype(np.int64)
    key = (cell[:, 0] * 73856093) ^ (cell[:, 1] * 19349663) ^ (cell[:, 2] * 83492791)
    _, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
    limit = 3 if len(points) > 300 else 1
    keep = count[inverse] >= limit
    return (points[keep], heights[keep]) if keep.sum() >= 12 else (points, heights)


def _rim(flat: NDArray, heights: NDArray, high: float, height: float) -> tuple[NDArray, float]:
    """Return middle and radius of the circle around the points near the top, from above [m].

    Kasa's algebraic circle through the hull's corners, which lie on the circle for a disc and
    for a ring alike; corners off it (a handle) are left out.
    """
    top = flat[heights > high - max(0.12 * height, 0.004)]
    if len(top) < 12:
        top = flat
    corners = cv2.convexHull(top.astype(np.float32))[:, 0].astype(np.float64)
    center = (corners.min(axis=0) + corners.max(axis=0)) / 2
    radius = float(np.ptp(corners, axis=0).max()) / 2
    for _ in range(3):
        if len(corners) < 6:
            break
        basis = np.column_stack([2 * corners, np.ones(len(corners))])
        a, b, c = np.linalg.lstsq(basis, (corners**2).sum(axis=1), rcond=None)[0]
        fitted = np.sqrt(max(c + a * a + b * b, 0.0))
        if not 0.5 * radius < fitted < 1.5 * radius:
            break
        center, radius = np.array([a, b]), float(fitted)
        residual = np.abs(np.linalg.norm(corners - center, axis=1) - radius)
        corners = corners[residual < max(2.5 * np.median(residual), 0.003)]
    return center, max(radius, 0.004)


def _hollow(
    up: NDArray, offset: NDArray, rim_radius: float, ahead: NDArray, height: float
) -> float:
    """Return how sure it is that the inside lies below the rim, 0..1.

    Either the surface in the middle is seen to be lower, or, in what is too deep to look into, the
    far wall is seen below the rim: the far side of anything solid is hidden by its top.
    """
    radius = np.linalg.norm(offset, axis=1)
    inner = up[radius < 0.6]
    seen = float(1.0 - np.percentile(inner, 70)) if len(inner) >= 15 else 0.0
    top = up > 1.0 - max(0.2, 0.006 / height)
    cells = np.unique(np.floor(offset[top & (radius < 0.7)] * rim_radius / 0.005), axis=0)
    lid = min(len(cells) * 0.005**2 / (np.pi * (0.7 * rim_radius) ** 2), 1.0)
    far = (radius > 0.4) & (radius < 1.02) & (offset @ ahead[:2] > 0.4 * radius)
    share = float((up[far] < 0.85).mean()) if far.sum() >= 12 else 0.0
    return float(np.clip(max(seen, min(1.0 - lid, 2.5 * share)), 0.0, 1.0))


def _flat_top(flat: NDArray, up: NDArray, hull: NDArray, height: float) -> float:
    """Return the share of the outline's area that the points near the top cover."""
    top = flat[up > 1.0 - max(0.12, 0.004 / height)]
    if len(top) < 8:
        return 0.0
    cells = np.unique(np.floor(top / 0.004).astype(np.int64), axis=0)
    return float(min(len(cells) * 0.004**2 / max(cv2.contourArea(hull), 1e-6), 1.0))


def _width_ratio(
    points: NDArray,
    up: NDArray,
    right: NDArray,
    upper: tuple[float, float],
    lower: tuple[float, float],
) -> float:
    """Return the width across the view of one slice of heights over that of another."""
    across = points @ right
    widths = []
    for low, high in (upper, lower):
        part = across[(up >= low) & (up <= high)]
        if len(part) < 6:
            return 1.0
        widths.append(np.subtract(*np.percentile(part, [97, 3])))
    return float(widths[0] / max(widths[1], 1e-4))


def _fit_sphere(points: NDArray) -> tuple[float, float]:
    """Return residual over radius of the least-squares sphere (1: no sphere), and radius [m]."""
    p = points[:: max(1, len(points) // 500)]
    shift = p.mean(axis=0)
    p = p - shift
    basis = np.concatenate([2 * p, np.ones((len(p), 1))], axis=1)
    solution, _, rank, _ = np.linalg.lstsq(basis, (p**2).sum(axis=1), rcond=None)
    square = solution[3] + solution[:3] @ solution[:3]
    if rank < 4 or square <= 0:
        return 1.0, 0.0
    radius = float(np.sqrt(square))
    if radius > 2.0 * np.ptp(p, axis=0).max():
        return 1.0, radius
    residual = np.linalg.norm(p - solution[:3], axis=1) - radius
    return float(min(np.sqrt((residual**2).mean()) / radius, 1.0)), radius


def _fill(mask: NDArray) -> float:
    """Return the share of the mask's hull in the image that the mask covers."""
    rows, columns = np.nonzero(mask)
    hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))
    return float(min(len(rows) / max(cv2.contourArea(hull), 1.0), 1.0))


def _solid_pixels(color: NDArray, mask: NDArray) -> NDArray[np.uint8]:
    """Return the object's colours without its border, its deepest shadows and its highlights."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    pixels = color[inner if inner.sum() >= 30 else mask]
    light = pixels.max(axis=1).astype(float)
    low, high = np.percentile(light, [10, 97])
    kept = pixels[(light >= low) & (light <= high)]
    return kept if len(kept) >= 10 else pixels
