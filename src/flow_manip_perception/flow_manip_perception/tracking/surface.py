# SPDX-License-Identifier: Apache-2.0
"""Surface of a thing as points with normals and colours, read from colour and depth images."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow_manip_core.camera import CameraModel
from flow_manip_core.transforms import invert_transform, transform_points

Array = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Cloud:
    """Points of one image with their colours.

    Attributes:
        points: (M, 3) optical frame [m].
        colors: (M, 3) weighted so that distances add up with those of the points [m].
        pixels: (M, 2) whole (u, v).
    """

    points: Array
    colors: Array
    pixels: NDArray[np.int64]


class Surface:
    """What is known of a thing's surface, where it was in the first image.

    Attributes:
        points: (M, 3) [m].
        normals: (M, 3) outward unit normals.
        colors: (M, 3) as in `Cloud`.
        spacing: median distance between neighbours at the start [m].
    """

    def __init__(self, points: Array, normals: Array, colors: Array) -> None:
        """Begin with what the first image shows."""
        self.points, self.normals, self.colors = points, normals, colors
        self.spacing = _spacing(points)
        self._num_sure = len(points)
        self._hits, self._misses = np.zeros(len(points)), np.zeros(len(points))

    def __len__(self) -> int:
        """Count the points."""
        return len(self.points)

    @property
    def trust(self) -> Array:
        """(M,) 0..1: what the first image showed is sure, what was added must prove itself."""
        trust = self._hits / (self._hits + self._misses + 1.0)
        trust[: self._num_sure] = 1.0
        return trust

    def facing(self, pose: Array, count: int, rng: Rng) -> NDArray[np.int64]:
        """Draw at most `count` indices of points that may be in sight at a (4, 4) pose."""
        here = transform_points(pose, self.points)
        toward = -(self.normals @ pose[:3, :3].T * here).sum(axis=1)
        near = np.flatnonzero(toward > -0.3 * np.linalg.norm(here, axis=1))
        return near[draw(len(near), count, rng)]

    def tally(self, index: NDArray[np.int64], explained: NDArray[np.bool_]) -> None:
        """Count for points in sight whether an image explained them; drop what it refutes."""
        self._hits[index] += explained
        self._misses[index] += ~explained
        wrong = (self._misses >= 3) & (self._misses > self._hits)
        wrong[: self._num_sure] = False
        if wrong.any():
            keep = ~wrong
            self.points, self.normals = self.points[keep], self.normals[keep]
            self.colors = self.colors[keep]
            self._hits, self._misses = self._hits[keep], self._misses[keep]

    def add(self, pose: Array, points: Array, normals: Array, colors: Array) -> None:
        """Add (K, 3) points and normals that an image shows with the thing at a (4, 4) pose."""
        back = invert_transform(pose)
        self.points = np.vstack([self.points, transform_points(back, points)])
        self.normals = np.vstack([self.normals, normals @ pose[:3, :3]])
        self.colors = np.vstack([self.colors, colors])
        self._hits = np.append(self._hits, np.zeros(len(points)))
        self._misses = np.append(self._misses, np.zeros(len(points)))


def draw(available: int, count: int, rng: Rng) -> NDArray[np.int64]:
    """Draw at most `count` of the first whole numbers, in order."""
    if available <= count:
        return np.arange(available)
    return np.sort(rng.choice(available, count, replace=False))


def _spacing(points: Array) -> float:
    """Return the median distance to the nearest other point [m]."""
    if len(points) < 2:
        return 0.0
    distance, _ = cKDTree(points).query(points, k=2)
    return float(np.median(distance[:, 1]))


def surface_normals(
    depth: NDArray[np.float32], mask: NDArray[np.bool_], camera: CameraModel, side: int = 7
) -> Array:
    """Return (H, W, 3) unit normals toward the camera, NaN where the mask or its depth has gaps.

    Inverse depth is linear in the image on every plane; a plane is fitted to the masked pixels
    of a square of `side` px around each.

    Args:
        depth: (H, W) metres, NaN unknown.
        mask: (H, W) pixels of one thing; what lies around it does not count.
        camera: of the image.
        side: of the square [px].
    """
    normals = np.full((*depth.shape, 3), np.nan)
    rows, columns = np.nonzero(mask & (depth > 0))
    if not len(rows):
        return normals
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    usable = mask[box] & (depth[box] > 0)
    v, u = np.mgrid[box].astype(np.float64)
    middle = np.array([u.mean(), v.mean()])
    terms = np.stack([u - middle[0], v - middle[1], np.ones_like(u)], axis=-1)
    with np.errstate(invalid='ignore', divide='ignore'):
        inverse = np.where(usable, 1.0 / depth[box], 0.0)
    terms *= usable[..., None]

    def around(values: Array) -> Array:
        return cv2.boxFilter(
            values, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
        )

    count = around(usable.astype(np.float64))
    moments = np.stack([around(terms * terms[..., i : i + 1]) for i in range(3)], axis=-1)
    right = around(terms * inverse[..., None])
    # Fewer pixels, or all in a line, fix no plane.
    fixed = usable & (count >= 0.3 * side * side)
    fixed &= np.linalg.det(np.where(fixed[..., None, None], moments, np.eye(3))) > 1.0
    a, b, c = np.linalg.solve(moments[fixed], right[fixed][..., None])[..., 0].T
    focus = c + a * (camera.cx - middle[0]) + b * (camera.cy - middle[1])
    found = -np.stack([a * camera.fx, b * camera.fy, focus], axis=-1)
    normals[box][fixed] = found / np.linalg.norm(found, axis=-1, keepdims=True)
    return normals


def weighted_colors(frame: NDArray[np.uint8], weight: float) -> Array:
    """Return (..., 3) colours as lengths, brightness counted less than hue: light changes it."""
    image = frame.astype(np.float64) / 255.0
    mean = image.mean(axis=-1, keepdims=True)
    return weight * ((image - mean) + 0.4 * mean)


def cloud_of(
    frame: NDArray[np.uint8],
    depth: NDArray[np.float32],
    mask: NDArray[np.bool_],
    camera: CameraModel,
    color_weight: float,
    offset: tuple[int, int] = (0, 0),
) -> Cloud:
    """Return the points of the masked pixels with depth; `offset` is (u, v) of the first pixel."""
    rows, columns = np.nonzero(mask & np.isfinite(depth))
    pixels = np.stack([columns, rows], axis=1)
    colors = weighted_colors(frame[rows, columns], color_weight)
    whole = pixels + np.array(offset)
    return Cloud(camera.deproject(whole, depth[rows, columns]), colors, whole)


def sample_nearest(depth: NDArray[np.float32], pixels: Array) -> Array:
    """Return (N,) depth at the nearest pixel, NaN outside and where it is unknown."""
    height, width = depth.shape
    with np.errstate(invalid='ignore'):
        whole = np.where(np.isfinite(pixels), np.rint(pixels), -1).astype(np.int64)
    inside = (whole >= 0).all(axis=1) & (whole[:, 0] < width) & (whole[:, 1] < height)
    found = np.full(len(pixels), np.nan)
    found[inside] = depth[whole[inside, 1], whole[inside, 0]]
    return found


def seen_at(
    points: Array, depth: NDArray[np.float32], camera: CameraModel, tolerance: float
) -> NDArray[np.bool_]:
    """Tell at which (N, 3) points the image has that depth, within one pixel."""
    pixels = camera.project(points)
    gaps = [
        np.abs(sample_nearest(depth, pixels + shift) - points[:, 2])
        for shift in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    return np.nanmin(np.nan_to_num(gaps, nan=np.inf), axis=0) < tolerance
