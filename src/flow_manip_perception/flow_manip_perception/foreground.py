# SPDX-License-Identifier: Apache-2.0
"""Which pixels are not the support: higher than it, or of another paint than it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.observation import Observation
from flow_manip_core.robot import WorkspaceConfig
from flow_manip_perception.colors import lab_image, paint_features
from flow_manip_perception.support_plane import smooth_heights, SupportPlane

MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Foreground:
    """What is no support.

    Attributes:
        pixels: (H, W) all of it.
        raised: (H, W) what is clearly higher than the support.
        contrast: (H, W) distance of the paint from the support's around it; above 1 is another
            paint.
    """

    pixels: NDArray[np.bool_]
    raised: NDArray[np.bool_]
    contrast: NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """One observation as the later steps need it.

    Attributes:
        color: (H, W, 3) RGB.
        paint: (H, W, 3) `paint_features`.
        points: (H, W, 3) smoothed world points, NaN where unknown.
        heights: (H, W) above the support [m], NaN where unknown.
        inside: (H, W) pixels whose point lies over the workspace; without depth, whose ray meets
            the support there.
        right: (3,) horizontal direction to the right in the image.
        ahead: (3,) horizontal direction away from the camera.
        noise: spread of heights on the support [m].
    """

    color: NDArray[np.uint8]
    paint: NDArray[np.float32]
    points: NDArray[np.float64]
    heights: NDArray[np.float32]
    inside: NDArray[np.bool_]
    right: NDArray[np.float64]
    ahead: NDArray[np.float64]
    noise: float


def make_view(
    observation: Observation, points: NDArray, plane: SupportPlane, workspace: WorkspaceConfig
) -> View:
    """Compute heights, paints and the workspace's pixels of one observation."""
    heights = smooth_heights(plane.heights(points))
    pose = observation.T_world_camera
    rays = (points - pose[:3, 3]) if np.isfinite(points).all() else _rays(observation)
    on_plane = plane.intersect(pose[:3, 3], rays)
    known = np.isfinite(heights)
    # Slide each point along its ray to the smoothed height, so that points and heights agree.
    raw = plane.heights(points)
    slope = rays @ plane.normal
    with np.errstate(divide='ignore', invalid='ignore'):
        shift = np.where(np.abs(slope) > 1e-6, (heights - raw) / slope, 0.0)
    smooth = points + shift[..., None] * rays
    where = np.where(known[..., None], smooth, on_plane)
    lower, upper = np.array(workspace.lower), np.array(workspace.upper)
    with np.errstate(invalid='ignore'):
        inside = ((where[..., :2] >= lower[:2]) & (where[..., :2] <= upper[:2])).all(axis=-1)
        inside &= where[..., 2] <= upper[2]
    return View(
        observation.color,
        paint_features(lab_image(observation.color)),
        smooth,
        heights,
        inside,
        _level(pose[:3, 0]),
        _level(pose[:3, 2] - pose[:3, 1]),
        _height_noise(heights, inside),
    )


def _rays(observation: Observation) -> NDArray[np.float64]:
    """Return (H, W, 3) directions of the pixels in the world frame, 1 m deep."""
    ones = np.ones(observation.depth.shape)
    return observation.camera.lift(ones) @ observation.T_world_camera[:3, :3].T


def _level(direction: NDArray) -> NDArray[np.float64]:
    """Return the horizontal part of a direction, normalised."""
    flat = np.array([direction[0], direction[1], 0.0])
    return flat / max(float(np.linalg.norm(flat)), 1e-9)


def _height_noise(heights: NDArray, inside: NDArray) -> float:
    """Return the spread of the smoothed heights of what lies near the support [m]."""
    with np.errstate(invalid='ignore'):
        near = heights[inside & (np.abs(heights) < 0.012)]
    if len(near) < 100:
        return 0.002
    return MAD_TO_SIGMA * float(np.median(np.abs(near - np.median(near))))


def height_threshold(view: View, min_height: float) -> float:
    """Return how high something must be to count, at least `min_height` and four sigmas [m]."""
    return max(min_height, 4.0 * view.noise)


def find_foreground(view: View, min_height: float, min_contrast: float) -> Foreground:
    """Return the pixels over the workspace that are no support.

    Args:
        view: of the observation.
        min_height: above the support that counts where the sensor is fine [m].
        min_contrast: of paint against the support around it that counts where it is plain.
    """
    threshold = height_threshold(view, min_height)
    with np.errstate(invalid='ignore'):
        raised = view.inside & (view.heights > threshold)
        low = view.inside & (np.abs(view.heights) <= threshold)
    contrast = paint_contrast(view, low)
    with np.errstate(invalid='ignore'):
        candidate = view.inside & ~raised & ~(view.heights < -3 * threshold)
    # Hysteresis: what clearly differs carries the fainter pixels that touch it (wires, rims).
    strong, weak = contrast > min_contrast, contrast > 0.6 * min_contrast
    _, label = cv2.connectedComponents(((weak | raised) & view.inside).astype(np.uint8))
    seeded = np.zeros(label.max() + 1, dtype=bool)
    seeded[np.unique(label[strong | raised])] = True
    seeded[0] = False
    painted = candidate & weak & seeded[label]
    pixels = _keep_painted(view, raised, painted, threshold)
    return Foreground(pixels, raised, contrast / min_contrast)


def paint_contrast(view: View, support: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (H, W) distance of each pixel's paint from the support's paint around it.

    Measured in units where 1 is the larger of one paint step and three spreads of the support.
    """
    if support.sum() < 100:
        return np.zeros(support.shape, dtype=np.float32)
    weight = support.astype(np.float32)
    for _ in range(2):
        local, spread = _local_paint(view.paint, weight)
        distance = _paint_distance(view.paint, local)
        scale = np.maximum(12.0, 3.0 * spread)
        weight = support * np.clip(1 - (distance / scale) ** 2, 0, 1).astype(np.float32)
    return (distance / scale).astype(np.float32)


def _paint_distance(paint: NDArray, support: NDArray) -> NDArray:
    """Return (H, W) distances that forgive what shadows and gloss do to the support."""
    step = paint - support
    darker, lighter = np.clip(-step[..., 0] - 9.0, 0, None), np.clip(step[..., 0] - 4.5, 0, None)
    return np.sqrt((darker + lighter) ** 2 + step[..., 1] ** 2 + step[..., 2] ** 2)


def _local_paint(paint: NDArray, weight: NDArray) -> tuple[NDArray, NDArray]:
    """Return the weighted mean paint in a wide window around each pixel and its spread there."""
    small = cv2.resize(paint, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    w = cv2.resize(weight, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) + 1e-6
    total = cv2.GaussianBlur(w, (0, 0), 14) + 1e-9
    mean = cv2.GaussianBlur(small * w[..., None], (0, 0), 14) / total[..., None]
    square = ((small - mean) ** 2).sum(axis=-1)
    spread = np.sqrt(cv2.GaussianBlur(square * w, (0, 0), 14) / total)
    size = (paint.shape[1], paint.shape[0])
    return cv2.resize(mean, size), cv2.resize(spread, size)


def _keep_painted(
    view: View, raised: NDArray, painted: NDArray, threshold: float
) -> NDArray[np.bool_]:
    """Add painted pixels that raised ones vouch for, or all where depth is too poor to tell.

    A print on the table has paint and no height. Where the sensor's noise would hide a
    centimetre, or depth is missing, paint is all there is.
    """
    painted = cv2.morphologyEx(painted.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    raised8 = cv2.morphologyEx(raised.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    both = (painted | raised8).astype(np.uint8)
    count, label = cv2.connectedComponents(both, connectivity=8)
    flat = label.ravel()
    area = np.bincount(flat, minlength=count)
    vouched = np.bincount(flat, weights=raised8.ravel(), minlength=count)
    unknown = np.bincount(flat, weights=~np.isfinite(view.heights).ravel(), minlength=count)
    poor = threshold > 0.006
    keep = (vouched >= 0.1 * area) | (unknown > 0.5 * area)
    if poor:
        keep |= vouched >= 0.0
    keep[0] = False
    return keep[label] & (both > 0)
