# SPDX-License-Identifier: Apache-2.0
"""Videos with known truth: a box that moves over a table, ray-cast in numpy, and its points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    rotation_about,
    transform_points,
)
from flow_manip_core.video import Video

SIZE = (160, 120)
CAMERA = CameraModel.from_fov(*SIZE, np.radians(45.0))
HALF = np.array([0.06, 0.05, 0.04])  # [m] of the box
START = make_transform([0.5, -0.06, 0.04], rotation_about([0, 0, 1], 0.3))
FAR = 3.0  # [m] of the wall behind the table
Array = NDArray[np.float64]


def look_at(eye: tuple[float, float, float], target: tuple[float, float, float]) -> Array:
    """Return T_world_camera of an optical frame at `eye` that looks at `target`."""
    forward = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    return make_transform(eye, rotation)


EYE = look_at((1.15, 0.0, 0.65), (0.5, 0.0, 0.0))


@dataclass(frozen=True)
class Dream:
    """What a camera sees of a moving box.

    Attributes:
        video: frames, metric depth, no camera poses.
        cameras: (T, 4, 4) T_world_camera, the truth.
        boxes: (T, 4, 4) T_world_box, the truth.
        masks: (T, H, W) bool, the box.
    """

    video: Video
    cameras: Array
    boxes: Array
    masks: NDArray[np.bool_]

    @property
    def observation(self) -> Observation:
        """The first frame as a robot's camera saw it."""
        return Observation(
            self.video.frames[0], self.video.depth[0], CAMERA, self.cameras[0], stamp=7.0
        )

    @property
    def mask(self) -> Mask:
        """The box in the first frame."""
        return Mask(self.masks[0], 'white box')

    def truth(self, queries: NDArray) -> Array:
        """Return (T, N, 3) world positions of what is seen at (N, 2) pixels of the first frame."""
        first = surface(queries, self.cameras[0], self.boxes[0])
        on_box = self.masks[0][tuple(np.rint(queries[:, ::-1]).astype(int).T)]
        local = transform_points(invert_transform(self.boxes[0]), first)
        moved = np.stack([transform_points(pose, local) for pose in self.boxes])
        return np.where(on_box[:, None], moved, first)

    def tracks(self, queries: NDArray, noise: float = 0.0, seed: int = 0) -> PointTracks:
        """Return perfect tracks of (N, 2) pixels but for noise [px]; hidden points have 0."""
        points = self.truth(queries)
        local = np.einsum('tij,tnj->tni', invert_transform(self.cameras)[:, :3, :3], points)
        local += invert_transform(self.cameras)[:, None, :3, 3]
        pixels = CAMERA.project(local)
        inside = ((pixels > 0) & (pixels < np.array(SIZE) - 1)).all(axis=-1)
        seen = np.zeros(inside.shape, dtype=bool)
        for step in range(len(points)):
            ahead = surface(
                np.where(inside[step, :, None], pixels[step], 0.0),
                self.cameras[step],
                self.boxes[step],
            )
            seen[step] = np.linalg.norm(ahead - points[step], axis=-1) < 0.004
        seen &= inside
        rng = np.random.default_rng(seed)
        pixels[1:] += noise * rng.normal(size=pixels[1:].shape)
        return PointTracks(pixels, seen.astype(np.float32), self.video.times)


def surface(pixels: NDArray, camera: Array, box: Array) -> Array:
    """Return (N, 3) world points that the rays of (N, 2) pixels meet first."""
    rays = CAMERA.deproject(pixels, np.ones(len(pixels))) @ camera[:3, :3].T
    return camera[:3, 3] + _cast(camera[:3, 3], rays, box)[0][:, None] * rays


def _cast(origin: Array, rays: Array, box: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return (N,) depth along the optical axis, and where the box is met."""
    with np.errstate(divide='ignore', invalid='ignore'):
        table = np.where(rays[:, 2] < 0, -origin[2] / rays[:, 2], np.inf)
        wall = np.where(rays[:, 0] < 0, (-0.4 - origin[0]) / rays[:, 0], np.inf)
        inverse = invert_transform(box)
        o, d = transform_points(inverse, origin), rays @ inverse[:3, :3].T
        a, b = (-HALF - o) / d, (HALF - o) / d
    enter, leave = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
    hit = np.where((enter < leave) & (enter > 0), enter, np.inf)
    depth = np.minimum(np.minimum(table, wall), np.minimum(hit, FAR))
    return depth, hit <= depth


def render(
    boxes: Array, cameras: Array | None = None, *, noise: float = 0.0, seed: int = 0
) -> Dream:
    """Render a box at (T, 4, 4) T_world_box poses.

    Args:
        boxes: where the box is.
        cameras: (T, 4, 4) T_world_camera; a still camera where left out.
        noise: standard deviation of the depth, relative to it.
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    cameras = np.tile(EYE, (len(boxes), 1, 1)) if cameras is None else cameras
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    pixels = np.stack([u, v], axis=-1).reshape(-1, 2).astype(float)
    frames, depths, masks = [], [], []
    for box, camera in zip(boxes, cameras, strict=True):
        rays = CAMERA.deproject(pixels, np.ones(len(pixels))) @ camera[:3, :3].T
        depth, on_box = _cast(camera[:3, 3], rays, box)
        points = camera[:3, 3] + depth[:, None] * rays
        local = np.where(on_box[:, None], transform_points(invert_transform(box), points), points)
        shade = 128 + 60 * np.sin(local @ [75.0, 45.0, 30.0]) * np.cos(local @ [-35.0, 80.0, 45.0])
        color = np.stack([shade, shade * 0.8, np.where(on_box, shade, 60)], axis=-1)
        frames.append(np.clip(color, 0, 255).reshape(SIZE[1], SIZE[0], 3).astype(np.uint8))
        depth = depth * (1 + noise * rng.normal(size=depth.shape))
        depths.append(depth.reshape(SIZE[1], SIZE[0]).astype(np.float32))
        masks.append(on_box.reshape(SIZE[1], SIZE[0]))
    times = np.arange(len(boxes)) / 16.0
    video = Video(np.stack(frames), times, source='test', depth=np.stack(depths))
    return Dream(video, np.asarray(cameras), np.asarray(boxes), np.stack(masks))


def lifted_box(num_steps: int = 12, rise: float = 0.12, turn: float = 0.6) -> Array:
    """Return (T, 4, 4) poses of a box that is lifted, moved aside and turned."""
    along = np.linspace(0.0, 1.0, num_steps)
    return np.stack(
        [
            make_transform([-0.05 * s, 0.12 * s, rise * s], rotation_about([0.2, 0, 1], turn * s))
            @ START
            if s > 0
            else START
            for s in along
        ]
    )


def grid(mask: NDArray[np.bool_], step: int = 3) -> Array:
    """Return (N, 2) whole pixels (u, v) of a mask, every `step`-th."""
    rows, columns = np.nonzero(mask)
    keep = (rows % step == 0) & (columns % step == 0)
    return np.stack([columns[keep], rows[keep]], axis=1).astype(float)


class TrueTracks:
    """A tracker that knows the scene; noise and zoom are put on top.

    It can start at any frame: the video it is given is the end of the dream's.

    Attributes:
        starts: frames that it was started at.
    """

    def __init__(self, dream: Dream, noise: float = 0.0, zoom: Array | None = None) -> None:
        """Keep the dream; `zoom` is (T,) focal length over the first frame's."""
        self.dream, self.noise = dream, noise
        self.zoom = np.ones(len(dream.boxes)) if zoom is None else zoom
        self.starts: list[int] = []

    def track(self, video: Video, queries: NDArray, **_: Any) -> PointTracks:
        """See `PointTracker.track`."""
        first = len(self.dream.boxes) - video.num_frames
        self.starts.append(first)
        rest = slice(first, None)
        dream = replace(
            self.dream,
            video=video,
            cameras=self.dream.cameras[rest],
            boxes=self.dream.boxes[rest],
            masks=self.dream.masks[rest],
        )
        tracks = dream.tracks(np.asarray(queries, dtype=float), self.noise, seed=first)
        middle = np.array([CAMERA.cx, CAMERA.cy])
        zoom = (self.zoom[rest] / self.zoom[first])[:, None, None]
        pixels = (tracks.points - middle) * zoom + middle
        return PointTracks(pixels, tracks.confidence, video.times)


def wandering(num_steps: int) -> Array:
    """Return (T, 4, 4) poses of a camera that goes aside, up and turns."""
    return np.stack(
        [
            make_transform([0.1 * s, 0.15 * s, 0.05 * s], rotation_about([0.3, 0.2, 1], 0.15 * s))
            @ EYE
            for s in np.linspace(0, 1, num_steps)
        ]
    )
