# SPDX-License-Identifier: Apache-2.0
"""The whole of an object from the side that the camera sees.

Most things on a table look the same when turned by half a turn about a vertical axis: boxes, cans,
bottles, bowls, plates. So the visible points are turned about such an axis, and the axis is the
one where the turned points contradict the image least: a point contradicts it where the camera
looks through it, or sees something else where the point should be. This is the idea of completing
by symmetry and judging by plausibility (Bohg et al., "Mind the gap", 2011), with a point symmetry
in plan instead of a mirror. Turned points that still contradict are dropped (the handle of a mug).
Where no axis fits, only what is visible counts. Downwards the object reaches to what it stands on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from flow_manip_core.observation import Mask
from flow_manip_world_model.grid import Grid, rotated
from flow_manip_world_model.points import farthest_points, object_points
from flow_manip_world_model.scene import keep_going, Scene

SEARCH_POINTS = 160
SEARCH_STEP = 0.0015  # [m]
SEARCH_STEPS_ACROSS = (-0.2, -0.1, 0.0, 0.1, 0.2)  # of the width
TOLERANCE = 0.005  # [m] of depth, noise
BORDER = 1.0  # [px] of a mask's edge are uncertain
FITS = 0.003  # [m] of contradiction; a turned point with more is dropped
WORST = 0.03  # [m] one point counts at most this much
MAX_CONTRADICTION = 0.006  # [m] mean; above this the object has no such symmetry
PLATEAU = 0.0004  # [m] axes within this of the best are as good
RING = 0.02  # [m] around an object, where it shows what it stands on
NOISE = 0.004  # [m] of heights in the ring
MAX_POINTS = 3000


@dataclass(frozen=True)
class ObjectShape:
    """An object as far as it is seen and can be completed, in the world frame.

    Attributes:
        label: words for it.
        visible: (N, 3) points that are seen [m].
        points: (M, 3) those and the completed ones [m].
        center: (2,) xy of its vertical axis [m].
        footprint: (K, 2) convex outline of `points` in plan, relative to `center`,
            counter-clockwise [m].
        bottom: height of what it stands on, its own underside [m].
        top: height of its highest part [m].
        symmetric: whether an axis was found; False: `points` are the visible ones.
    """

    label: str
    visible: NDArray[np.float64]
    points: NDArray[np.float64]
    center: NDArray[np.float64]
    footprint: NDArray[np.float64]
    bottom: float
    top: float
    symmetric: bool

    @property
    def height(self) -> float:
        """From underside to top [m]."""
        return self.top - self.bottom

    @property
    def radius(self) -> float:
        """Of the circle around `center` that holds the footprint [m]."""
        return float(np.linalg.norm(self.footprint, axis=1).max())

    @property
    def half_width(self) -> float:
        """Half the smallest width of the footprint [m]."""
        angles = np.linspace(0.0, np.pi, 36, endpoint=False)
        along = self.footprint @ np.stack([np.cos(angles), np.sin(angles)])
        return float(np.ptp(along, axis=0).min() / 2.0)

    @property
    def base(self) -> NDArray[np.float64]:
        """(3,) where the axis meets the underside [m]."""
        return np.array([*self.center, self.bottom])

    def kernel(self, grid: Grid, margin: float, yaw: float = 0.0) -> NDArray[np.uint8]:
        """Draw the footprint, turned by `yaw` and grown by `margin` metres, as a kernel."""
        return grid.kernel(rotated(self.footprint, yaw), margin)

    def disc(self, grid: Grid, margin: float) -> NDArray[np.uint8]:
        """Draw the circle that holds the footprint at every yaw, grown by `margin` metres."""
        angles = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
        circle = self.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return grid.kernel(circle, margin)


def estimate_shape(
    scene: Scene,
    mask: Mask,
    *,
    erosion: int = 2,
    minimum: int = 40,
    poll: Callable[[], None] = keep_going,
) -> ObjectShape:
    """Complete the object of `mask`.

    Raises:
        TooFewPointsError: fewer than `minimum` of its points are visible.
    """
    visible = object_points(scene.points, mask, erosion=erosion, minimum=minimum)
    visible = visible[:: -(-len(visible) // MAX_POINTS)]
    poll()
    beside = pixels_beside(mask)
    center, contradiction = find_axis(scene, beside, visible)
    poll()
    symmetric = contradiction <= MAX_CONTRADICTION
    points = visible
    if symmetric:
        turned = half_turn(visible, center)
        fits = contradictions(scene, beside, turned) <= FITS
        points = np.concatenate([visible, turned[fits]])
    hull = convex_outline(points[:, :2])
    if not symmetric:
        center = rectangle_center(hull)
    footprint = hull - center
    return ObjectShape(
        label=mask.label,
        visible=visible,
        points=points,
        center=center,
        footprint=footprint,
        bottom=find_underside(scene, points, hull),
        top=float(np.percentile(points[:, 2], 99.0)),
        symmetric=symmetric,
    )


def half_turn(points: NDArray[np.float64], center: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn (..., 3) points by 180 degrees about the vertical through the (2,) centre."""
    turned = np.array(points)
    turned[..., :2] = 2.0 * center - turned[..., :2]
    return turned


def pixels_beside(mask: Mask) -> NDArray[np.float32]:
    """Return the (H, W) distance of every pixel to the mask [px], 0 on it and on its border."""
    outside = (~mask.pixels).astype(np.uint8)
    return np.maximum(cv2.distanceTransform(outside, cv2.DIST_L2, 3) - BORDER, 0.0)


def contradictions(
    scene: Scene, beside: NDArray[np.float32], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for (..., 3) points by how much the image speaks against them [m].

    On the object that is how far the camera sees past the point; beside it, where no nearer thing
    hides the point, how far it lies from the object across the sight-line. 0 where it is hidden or
    outside the image; noise of 5 mm of depth is let pass, and 30 mm is the most.

    Args:
        scene: whose depth speaks.
        beside: `pixels_beside` of the object.
        points: where the object might be.
    """
    own, seen, pixels = scene.depth_at(points)
    past = seen - own
    across = beside[pixels[..., 1], pixels[..., 0]] * own / scene.observation.camera.fx
    wrong = np.where(across > 0.0, across, past)
    passes = np.where(across > 0.0, past < -TOLERANCE, past < TOLERANCE)
    return np.where(passes | np.isnan(seen), 0.0, np.minimum(wrong, WORST))


def find_axis(
    scene: Scene, beside: NDArray[np.float32], visible: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Search the vertical axis about which a half turn contradicts the image least.

    The width across the view is seen, so the axis is searched mostly along it.

    Returns:
        (2,) xy of the axis, and the mean contradiction there [m].
    """
    fewer = visible[:: -(-len(visible) // 1500)]
    chosen = fewer[farthest_points(fewer, SEARCH_POINTS)]
    along = visible[:, :2] @ scene.away
    across = visible[:, :2] @ scene.right
    basis = np.linalg.inv(np.stack([scene.away, scene.right]))
    near, far = np.percentile(along, [1, 99])
    left, right = np.percentile(across, [1, 99])
    width, middle = right - left, (left + right) / 2.0
    first, last = near + 0.3 * (far - near), max(far, near + 0.7 * width)
    steps_along = np.arange(first, last + SEARCH_STEP, SEARCH_STEP)
    steps_across = middle + np.array(SEARCH_STEPS_ACROSS) * width
    options = np.stack(np.meshgrid(steps_along, steps_across, indexing='ij'), axis=-1)
    centers = options.reshape(-1, 2) @ basis.T
    turned = half_turn(np.broadcast_to(chosen, (len(centers), *chosen.shape)), centers[:, None])
    cost = contradictions(scene, beside, turned).mean(axis=1)
    # Prefer the middle of the width among equals: most things are seen in their full width.
    cost += 0.001 * np.abs(options.reshape(-1, 2)[:, 1] - middle) / max(width, SEARCH_STEP)
    best = cost.min()
    good = cost <= best + PLATEAU
    # Towards the camera the tolerance lets the axis slide, away from it the outline stops it
    # sharply: the true axis is in the far half of what is equally good.
    along = options.reshape(-1, 2)[:, 0]
    good &= along >= np.median(along[good])
    return centers[good].mean(axis=0), float(best)


def convex_outline(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (K, 2) convex hull of (N, 2) points; a small square around a line."""
    try:
        return xy[ConvexHull(xy).vertices]
    except QhullError:
        grown = (xy[:, None] + 0.001 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])).reshape(
            -1, 2
        )
        return grown[ConvexHull(grown).vertices]


def rectangle_center(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2,) centre of the smallest rectangle around a (K, 2) convex outline.

    One of its sides lies on a side of the outline (Freeman and Shapira, 1975).
    """
    edges = np.roll(outline, -1, axis=0) - outline
    best, center = np.inf, outline.mean(axis=0)
    for angle in np.unique(np.round(np.arctan2(edges[:, 1], edges[:, 0]), 3)):
        turned = rotated(outline, -angle)
        extent = np.ptp(turned, axis=0)
        if extent.prod() < best:
            best = extent.prod()
            center = rotated((turned.min(axis=0) + extent / 2.0)[None], angle)[0]
    return center


def find_underside(
    scene: Scene, points: NDArray[np.float64], outline: NDArray[np.float64]
) -> float:
    """Return the height of what an object stands on, from what is seen in a ring around it [m].

    Cells that reach higher than the object's lowest point belong to neighbours. Where the ring
    shows too little, the object stands on the support.
    """
    lowest = float(np.percentile(points[:, 2], 1.0))
    ring = scene.grid.fill(outline, RING) & ~scene.grid.fill(outline)
    heights = scene.top[ring & np.isfinite(scene.top)]
    heights = heights[heights < lowest + 0.01]
    support = float(scene.support.height_at(outline.mean(axis=0)))
    resting = float(np.percentile(heights, 75.0)) if len(heights) >= 5 else support
    # On the support the plane knows better than the ring's noise.
    resting = support if resting < support + NOISE else resting
    return min(resting, lowest)
