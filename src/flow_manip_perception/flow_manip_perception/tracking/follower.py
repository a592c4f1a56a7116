# SPDX-License-Identifier: Apache-2.0
"""Points followed from image to image: patches, rigid things, and what hides them."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow_manip_core.camera import CameraModel
from flow_manip_core.transforms import transform_points
from flow_manip_perception.tracking import FREE
from flow_manip_perception.tracking.patches import (
    cut_patches,
    dense_motion,
    follow_both_ways,
    follow_patches,
    Grey,
    grey,
    local_motion,
    PATCH,
    sample,
    texture_of,
)
from flow_manip_perception.tracking.rigid_region import RigidConfig, RigidRegion
from flow_manip_perception.tracking.surface import sample_nearest, seen_at

Points = NDArray[np.float32]
Confidence = NDArray[np.float32]

SEEN = 0.8  # confidence of a point that is seen where its thing's motion puts it
MATCHED = 0.95  # of one whose own patch says the same
HIDDEN = 0.0


@dataclass(frozen=True)
class FollowerConfig:
    """How points are followed.

    Attributes:
        window: side of the patches that are followed [px].
        levels: of the pyramid above the image itself.
        max_miss: how far following back may miss a point [px].
        min_texture: smaller eigenvalue from which a patch alone says where it is.
        min_likeness: correlation with the first image's patch that brings a hidden point back.
        depth_jump: nearer by more than this, something else is in front [m].
        dense: whether DIS helps where patches fail.
        rigid: how rigid things are fitted; needs depth and the camera.
    """

    window: int = field(default=15, metadata={'doc': 'Side of patches [px]'})
    levels: int = field(default=3, metadata={'doc': 'Of the pyramid'})
    max_miss: float = field(default=1.0, metadata={'doc': 'Of following back [px]'})
    min_texture: float = field(default=20.0, metadata={'doc': 'Of patches that count alone'})
    min_likeness: float = field(default=0.7, metadata={'doc': 'With the first patch'})
    depth_jump: float = field(default=0.02, metadata={'doc': 'That hides a point [m]'})
    dense: bool = field(default=True, metadata={'doc': 'DIS helps where patches fail'})
    rigid: RigidConfig = field(default_factory=RigidConfig)


class Follower:
    """Knows where the points are in the newest image.

    Attributes:
        points: (N, 2) pixels.
        confidence: (N,) 0..1, of being in sight there.
        depth: (N,) metres of points on rigid things that are found, NaN of others.
        support: (N,) 0..1, how far position and depth may be believed, in sight or not.
    """

    def __init__(
        self,
        frame: NDArray[np.uint8],
        depth: NDArray[np.float32] | None,
        queries: Points,
        regions: NDArray[np.int64],
        camera: CameraModel | None,
        config: FollowerConfig,
    ) -> None:
        """Learn what the points look like.

        Args:
            frame: (H, W, 3) uint8 RGB, the first image.
            depth: (H, W) metres, NaN unknown.
            queries: (N, 2) pixels in it.
            regions: (H, W) whole numbers, see `PointTracker.track`.
            camera: of the images.
            config: as it says.
        """
        self._config, self._camera = config, camera
        self.points, self.confidence = queries.copy(), np.ones(len(queries), dtype=np.float32)
        self._first = self._last = grey(frame)
        self._first_points = queries.copy()
        self._patches = cut_patches(self._first, queries)
        self._texture = texture_of(self._first, queries)
        gradient = np.abs(cv2.Laplacian(cv2.blur(self._first, (3, 3)), cv2.CV_32F))
        self._still_below = np.maximum(0.6, 0.25 * self._mean_around(gradient, queries))
        whole = np.rint(queries).astype(int)
        whole = np.clip(whole, 0, [frame.shape[1] - 1, frame.shape[0] - 1])
        self._labels = regions[whole[:, 1], whole[:, 0]]
        # A patch that shows what is behind its thing as well moves with both.
        inside = inner(regions, PATCH)[whole[:, 1], whole[:, 0]]
        self._telling = inside & (self._texture > config.min_texture)
        self._expected = np.full(len(queries), np.nan)
        if depth is not None:
            self._expected = sample_nearest(depth, queries.astype(np.float64))
        self.depth = self._expected.astype(np.float32)
        self.support = np.isfinite(self.depth).astype(np.float32)
        self._bodies: dict[int, RigidRegion] = {}
        self._normals = np.full((len(queries), 3), np.nan)
        if depth is not None and camera is not None:
            self._start = camera.deproject(queries, self._expected)
            self._learn_bodies(frame, depth, regions, camera)

    def _learn_bodies(
        self,
        frame: NDArray[np.uint8],
        depth: NDArray[np.float32],
        regions: NDArray[np.int64],
        camera: CameraModel,
    ) -> None:
        for label in np.unique(self._labels[self._labels != FREE]).tolist():
            body = RigidRegion(frame, depth, regions == label, camera, self._config.rigid)
            if not body.usable:
                continue
            self._bodies[label] = body
            mine = np.flatnonzero(self._labels == label)
            _, nearest = cKDTree(body.surface.points).query(
                np.nan_to_num(self._start[mine], nan=np.inf, posinf=1e6)
            )
            self._normals[mine] = body.surface.normals[nearest]

    def step(self, frame: NDArray[np.uint8], depth: NDArray[np.float32] | None) -> None:
        """Follow everything into the next image.

        Args:
            frame: (H, W, 3) uint8 RGB.
            depth: (H, W) metres, NaN unknown.
        """
        image = grey(frame)
        there, miss = self._follow_patches(image)
        self.depth, self.support = (
            np.full(len(self.points), np.nan, np.float32),
            np.zeros_like(miss),
        )
        points, confidence = self._free(image, there, miss, depth)
        for label, body in self._bodies.items():
            if depth is None:
                continue
            chosen = np.flatnonzero(self._labels == label)
            body.follow(frame, depth, self._tracked(chosen, there, miss, depth))
            if body.found:
                points[chosen], confidence[chosen] = self._on_body(
                    body, chosen, depth, there, miss
                )
        self._remember_depth(points, confidence, depth)
        self.points, self.confidence, self._last = points, confidence, image

    # ------------------------------------------------------------- patches

    def _follow_patches(self, image: Grey) -> tuple[Points, NDArray[np.float32]]:
        """Return where every point's patch went and how far following back misses it [px]."""
        config = self._config
        there, miss = self.points.copy(), np.zeros(len(self.points), dtype=np.float32)
        found = [label for label, body in self._bodies.items() if body.found]
        # Patches that say nothing are not followed where their thing's motion says all.
        placed = np.isin(self._labels, found) & ~self._telling
        miss[placed] = np.inf
        moving = ~placed & ~self._stands_still(image)
        if moving.any():
            there[moving], miss[moving] = follow_both_ways(
                self._last,
                image,
                self.points[moving],
                self.points[moving],
                config.window,
                config.levels,
            )
            self._correct_drift(image, there, miss, moving)
        return there, miss

    def _stands_still(self, image: Grey) -> NDArray[np.bool_]:
        """Tell which points lie where they began, on pixels that are what they were."""
        change = cv2.absdiff(image, self._first).astype(np.float32)
        at_start = np.abs(self.points - self._first_points).max(axis=1) < 0.01
        return at_start & (self._mean_around(change, self.points) < self._still_below)

    def _mean_around(self, image: NDArray[np.float32], points: Points) -> NDArray[np.float32]:
        return sample(cv2.blur(image, (PATCH, PATCH)), points)

    def _correct_drift(
        self,
        image: Grey,
        there: Points,
        miss: NDArray[np.float32],
        moving: NDArray[np.bool_],
    ) -> None:
        """Pull points back to where their first patch fits, where it still does."""
        good = np.flatnonzero(moving & self._telling & (miss < self._config.max_miss))
        if not len(good):
            return
        fitted, held = follow_patches(
            self._first, image, self._first_points[good], there[good], self._config.window, 0
        )
        near = held & (np.abs(fitted - there[good]).max(axis=1) < 2.0)
        good, fitted = good[near], fitted[near]
        like = (cut_patches(image, fitted) * self._patches[good]).sum(axis=1)
        sure = like > 0.9
        there[good[sure]] = fitted[sure]

    # ---------------------------------------------------------- free points

    def _free(
        self,
        image: Grey,
        there: Points,
        miss: NDArray[np.float32],
        depth: NDArray[np.float32] | None,
    ) -> tuple[Points, Confidence]:
        """Follow every point as if it belonged to nothing that is rigid."""
        config = self._config
        shown = self.confidence > HIDDEN
        textured = self._texture > config.min_texture
        good = shown & textured & (miss < config.max_miss)
        points = there.copy()
        confidence = np.where(good, 1.0 / (1.0 + miss**2), HIDDEN).astype(np.float32)
        plain = np.flatnonzero(shown & ~good & (miss > 0))
        bodies = [label for label, body in self._bodies.items() if body.found]
        plain = plain[~np.isin(self._labels[plain], bodies)]
        confidence[shown & ~textured & (miss == 0)] = SEEN
        if len(plain) and config.dense:
            points[plain], missed = dense_motion(self._last, image, self.points[plain])
            confidence[plain] = np.where(missed < 2.0, 0.6 / (1.0 + 0.1 * missed), HIDDEN)
        self._hide(points, confidence, depth)
        self._hide_dragged(image, points, confidence)
        self._bring_back(image, points, confidence, depth)
        return points, confidence

    def _hide(
        self, points: Points, confidence: Confidence, depth: NDArray[np.float32] | None
    ) -> None:
        """Take the confidence of what is outside the image or behind something nearer."""
        height, width = self._last.shape
        outside = ((points < -0.5) | (points > np.array([width, height]) - 0.5)).any(axis=1)
        confidence[outside] = HIDDEN
        if depth is not None:
            found = sample_nearest(depth, points.astype(np.float64))
            confidence[found < self._expected - self._config.depth_jump] = HIDDEN

    def _hide_dragged(self, image: Grey, points: Points, confidence: Confidence) -> None:
        """Take the confidence of background that something passing by drags along.

        Its patch is not what it was, and what lies around it moved otherwise.
        """
        free = (self._labels == FREE) & self._telling
        moved = np.abs(points - self._first_points).max(axis=1) > 0.5
        doubtful = np.flatnonzero(free & moved & (confidence > HIDDEN))
        others = free & (confidence > HIDDEN)
        if not len(doubtful) or others.sum() < 8:
            return
        like = (cut_patches(image, points[doubtful]) * self._patches[doubtful]).sum(axis=1)
        around = local_motion(
            self._first_points[others], points[others], self._first_points[doubtful]
        )
        apart = np.linalg.norm(points[doubtful] - around, axis=1)
        wrong = (like < 0.3) | ((like < 0.8) & (apart > 2.0))
        confidence[doubtful[wrong]] = HIDDEN

    def _bring_back(
        self,
        image: Grey,
        points: Points,
        confidence: Confidence,
        depth: NDArray[np.float32] | None,
    ) -> None:
        """Move hidden points with what is around them; show those that look as at first again."""
        hidden = confidence == HIDDEN
        for label in np.unique(self._labels[hidden]).tolist():
            mine = self._labels == label
            lead, lost = mine & ~hidden, np.flatnonzero(mine & hidden)
            # The background's motion since the start is nearly the same everywhere.
            before = self._first_points if label == FREE else self.points
            points[lost] = local_motion(before[lead], points[lead], before[lost])
        lost = np.flatnonzero(hidden & (self._texture > self._config.min_texture))
        if not len(lost):
            return
        like = (cut_patches(image, points[lost]) * self._patches[lost]).sum(axis=1)
        back = like > self._config.min_likeness
        if depth is not None:
            found = sample_nearest(depth, points[lost].astype(np.float64))
            back &= ~(found < self._expected[lost] - self._config.depth_jump)
        confidence[lost[back]] = 0.6

    # --------------------------------------------------------- rigid things

    def _tracked(
        self,
        chosen: NDArray[np.int64],
        there: Points,
        miss: NDArray[np.float32],
        depth: NDArray[np.float32],
    ) -> tuple[NDArray, NDArray]:
        """Return starts and present places in 3D of points whose patches say where they are."""
        assert self._camera is not None
        sure = chosen[
            self._telling[chosen]
            & (miss[chosen] < 0.5 * self._config.max_miss)
            & (self.confidence[chosen] > 0.5)
        ]
        found = sample_nearest(depth, there[sure].astype(np.float64))
        now = self._camera.deproject(there[sure], found)
        known = np.isfinite(now).all(axis=1) & np.isfinite(self._start[sure]).all(axis=1)
        return self._start[sure][known], now[known]

    def _on_body(
        self,
        body: RigidRegion,
        chosen: NDArray[np.int64],
        depth: NDArray[np.float32],
        there: Points,
        miss: NDArray[np.float32],
    ) -> tuple[Points, Confidence]:
        """Return where a rigid thing's motion puts points, and how sure that is."""
        assert self._camera is not None
        now = transform_points(body.pose, self._start[chosen])
        pixels = self._camera.project(now)
        tolerance = 2.0 * self._config.rigid.inlier_distance
        known = np.isfinite(pixels).all(axis=1)
        away = body.turned_away(now, self._normals[chosen])
        seen = known & ~away & seen_at(now, depth, self._camera, tolerance)
        hidden = known & (away | body.covered(now, depth))
        agree = np.linalg.norm(there[chosen] - pixels, axis=1) < 1.5
        agree &= self._telling[chosen] & (miss[chosen] < self._config.max_miss)
        sure = min(1.0, body.inliers + 0.3)
        confidence = np.where(seen, np.where(agree, MATCHED, SEEN) * sure, HIDDEN)
        self.support[chosen] = np.where(seen | hidden, SEEN * sure, 0.0)
        self.depth[chosen] = now[:, 2]
        # A point without depth at the start has no place on the body; its patch leads it.
        nowhere = ~np.isfinite(pixels).all(axis=1)
        pixels[nowhere], self.support[chosen[nowhere]] = there[chosen][nowhere], 0.0
        return pixels.astype(np.float32), confidence.astype(np.float32)

    def _remember_depth(
        self, points: Points, confidence: Confidence, depth: NDArray[np.float32] | None
    ) -> None:
        if depth is None:
            return
        found = sample_nearest(depth, points.astype(np.float64))
        use = (confidence > 0.5) & np.isfinite(found)
        self._expected[use] = found[use]


def inner(regions: NDArray[np.int64], side: int) -> NDArray[np.bool_]:
    """Return (H, W) where a square of `side` px lies within one region."""
    labels = regions.astype(np.float32)
    square = np.ones((side, side), np.uint8)
    return cv2.erode(labels, square) == cv2.dilate(labels, square)
