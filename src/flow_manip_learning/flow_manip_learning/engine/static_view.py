# SPDX-License-Identifier: Apache-2.0
"""Where points would be that do not move by themselves: what the camera's motion does to them.

With depth a static point is carried by the camera's pose; without, by a homography of the frame,
as in Magma (Yang et al. 2025), which holds for far or flat backgrounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_learning.engine.config import DetectionConfig
from flow_manip_learning.engine.rejection import reject

Array = NDArray[np.float64]
CLEAR_TEXTURE = 25.0  # smaller eigenvalue of the brightness' gradient; noise leaves about 1
MIN_CORNERS = 40
BLOCKS = 4  # rows and columns of parts of the image, half of which must have corners


class StaticView(Protocol):
    """Predicts static points of the first frame.

    Attributes:
        moved: how far they go at most, in the median [px].
    """

    moved: float

    def at(self, step: int, pixels: NDArray) -> Array:
        """Return where (N, 2) static pixels of the first frame are in frame `step`.

        NaN where that is not known.
        """


@dataclass(frozen=True)
class FlatView:
    """A homography per frame.

    Attributes:
        homographies: (T, 3, 3) from the first frame's pixels.
        moved: see `StaticView`.
        agree: (T,) share of the points that they explain.
    """

    homographies: Array
    moved: float
    agree: Array

    def at(self, step: int, pixels: NDArray) -> Array:
        """See `StaticView.at`."""
        points = np.asarray(pixels, dtype=np.float64).reshape(-1, 1, 2)
        return cv2.perspectiveTransform(points, self.homographies[step]).reshape(-1, 2)


@dataclass(frozen=True)
class DeepView:
    """The first frame's depth, seen by a camera that moves.

    Attributes:
        poses: (T, 4, 4) T_world_camera.
        depth: (H, W) of the first frame [m], NaN where unknown.
        camera: of the frames.
        moved: see `StaticView`.
    """

    poses: Array
    depth: NDArray[np.float32]
    camera: CameraModel
    moved: float = 0.0

    def at(self, step: int, pixels: NDArray) -> Array:
        """See `StaticView.at`."""
        points = np.asarray(pixels, dtype=np.float64)
        height, width = self.depth.shape
        columns, rows = np.rint(points).astype(int).clip(0, [width - 1, height - 1]).T
        start = self.camera.deproject(points, self.depth[rows, columns])
        T_now_start = invert_transform(self.poses[step]) @ self.poses[0]
        return self.camera.project(transform_points(T_now_start, start))


def still_view(num_frames: int) -> FlatView:
    """Return the view of a camera that stands."""
    return FlatView(np.tile(np.eye(3), (num_frames, 1, 1)), 0.0, np.ones(num_frames))


def corners_among(points: NDArray, frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which of (N, 2) points lie on texture that tells where they are.

    All of them, where those with texture are few or not all over the image.
    """
    gray = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    strength = cv2.cornerMinEigenVal(gray.astype(np.float32), 7, 3)
    columns, rows = np.rint(points).astype(int).T
    clear = strength[rows, columns] > CLEAR_TEXTURE
    # Corners of one thing would call its motion the camera's.
    blocks = (points[clear] * BLOCKS / np.array(gray.shape[::-1])).astype(int)
    spread = len(np.unique(blocks, axis=0)) >= BLOCKS**2 / 2
    return clear if clear.sum() >= MIN_CORNERS and spread else np.ones(len(points), dtype=bool)


def flat_view(
    tracks: PointTracks, corners: NDArray[np.bool_], config: DetectionConfig
) -> FlatView:
    """Fit a homography to every frame, by consensus (RANSAC) of points all over the image.

    Args:
        tracks: of a grid over the whole first frame.
        corners: (N,) the points that count.
        config: limits.

    Raises:
        ClipRejectedError: in some frame too few points agree ('camera_motion').
    """
    if _median_motion(tracks.points, tracks.visible).max() < config.still_view:
        return still_view(len(tracks.times))
    points, visible = tracks.points[:, corners], tracks.visible[:, corners]
    start, steps = points[0], len(points)
    both = visible & visible[0]
    moved = float(_median_motion(points, visible).max())
    found, agree = np.tile(np.eye(3), (steps, 1, 1)), np.ones(steps)
    for step in range(1, steps):
        seen = both[step]
        if seen.sum() >= 8:
            H, inliers = cv2.findHomography(
                start[seen], points[step, seen], cv2.RANSAC, config.background_band
            )
            agree[step] = 0.0 if H is None else float(inliers.mean())
            found[step] = np.eye(3) if H is None else H
        else:
            agree[step] = 0.0
        stays, goes = _explained(tracks, step, found[step], config.background_band / 2)
        if stays >= goes:
            # Nothing explains more of the image than that the camera stands.
            found[step], agree[step] = np.eye(3), max(agree[step], stays)
        if agree[step] < config.min_background:
            raise reject(
                'camera_motion',
                frame=step,
                points_seen=int(seen.sum()),
                share_that_agrees=agree[step],
                share_needed=config.min_background,
            )
    return FlatView(found, moved, agree)


def _explained(
    tracks: PointTracks, step: int, homography: Array, band: float
) -> tuple[float, float]:
    """Return the share of all points that stay, and that go where a homography says."""
    seen = tracks.visible[step] & tracks.visible[0]
    if not seen.any():
        return 0.0, 0.0
    start, now = tracks.points[0, seen], tracks.points[step, seen]
    carried = cv2.perspectiveTransform(start.reshape(-1, 1, 2).astype(np.float64), homography)
    ways = (np.linalg.norm(now - place, axis=1) for place in (start, carried.reshape(-1, 2)))
    stays, goes = (float((way < band).mean()) for way in ways)
    return stays, goes


def _median_motion(points: NDArray, visible: NDArray[np.bool_]) -> Array:
    """Return (T,) the median way of the points that are seen since the first frame [px]."""
    away = np.linalg.norm(points - points[0], axis=-1)
    both = visible & visible[0]
    return np.array([np.median(a[b]) if b.any() else np.inf for a, b in zip(away, both)])
