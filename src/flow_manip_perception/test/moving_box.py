# SPDX-License-Identifier: Apache-2.0
"""Ray-cast colour and depth of a box that moves over a patterned table, with the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    rotation_about,
    transform_points,
)
from flow_manip_core.video import Video

CAMERA = CameraModel(200, 150, 220.0, 220.0, 99.5, 74.5)
HALF = np.array([0.05, 0.035, 0.03])
LIGHT = np.array([0.35, -0.55, -0.76])
# The camera looks down at the table at an angle; poses below are in its own frame.
TABLE_NORMAL = np.array([0.0, -0.77, -0.64])
TABLE_POINT = np.array([0.0, 0.0, 0.75])


@dataclass(frozen=True)
class Scene:
    """A rendered clip.

    Attributes:
        video: the frames.
        depth: (T, H, W) metres.
        masks: (T, H, W) pixels that show the box.
        poses: (T, 4, 4) T_camera_box.
    """

    video: Video
    depth: NDArray[np.float32]
    masks: NDArray[np.bool_]
    poses: NDArray[np.float64]

    def truth(self, queries: NDArray) -> NDArray[np.float64]:
        """Return (T, N, 3) where the box's points at (N, 2) pixels of the first frame are."""
        whole = np.rint(queries).astype(int)
        start = CAMERA.deproject(queries, self.depth[0][whole[:, 1], whole[:, 0]])
        local = transform_points(invert_transform(self.poses[0]), start)
        return np.stack([transform_points(pose, local) for pose in self.poses])

    def seen(self, truth: NDArray, tolerance: float = 0.004) -> NDArray[np.bool_]:
        """Return (T, N) whether the image shows those points."""
        pixels = np.rint(CAMERA.project(truth)).astype(int)
        pixels = np.clip(pixels, 0, [CAMERA.width - 1, CAMERA.height - 1])
        steps = np.arange(len(truth))[:, None]
        return (
            np.abs(self.depth[steps, pixels[..., 1], pixels[..., 0]] - truth[..., 2]) < tolerance
        )


def carried(num_frames: int, *, shift: float = 0.12, turn: float = 0.6) -> NDArray[np.float64]:
    """Return poses of a box that is pushed to the right and turned about the table's normal."""
    start = rotation_about([1, 0, 0], -0.88) @ rotation_about([0, 0, 1], 0.5)
    poses = []
    for share in np.linspace(0, 1, num_frames):
        rotation = rotation_about(TABLE_NORMAL, turn * share) @ start
        place = TABLE_POINT + 0.032 * TABLE_NORMAL + [shift * (share - 0.5), 0, -0.03 * share]
        poses.append(make_transform(place, rotation))
    return np.array(poses)


def render(
    poses: NDArray[np.float64],
    *,
    textured: bool = False,
    bar: NDArray[np.float64] | None = None,
    rate: float = 10.0,
) -> Scene:
    """Draw a clip.

    Args:
        poses: (T, 4, 4) T_camera_box.
        textured: paint the box with a pattern; else it is of one paint.
        bar: (T,) column of the middle of a bar 18 px wide that hangs in front of everything [px].
        rate: frames per second.
    """
    drawn = [
        _draw(pose, textured, None if bar is None else bar[t]) for t, pose in enumerate(poses)
    ]
    frames, depth, masks = (np.stack(parts) for parts in zip(*drawn))
    return Scene(Video(frames, np.arange(len(poses)) / rate), depth, masks, poses)


def _draw(
    pose: NDArray[np.float64], textured: bool, bar: float | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    rays = CAMERA.lift(np.ones((CAMERA.height, CAMERA.width), np.float32))
    table = (TABLE_NORMAL @ TABLE_POINT) / (rays @ TABLE_NORMAL)
    spots = rays * table[..., None]
    color = 150 + 50 * _pattern(spots[..., 0], spots[..., 1], 0.006)
    color = color[..., None] * np.array([1.0, 0.85, 0.65])
    depth = table
    # Slabs (Kay and Kajiya 1986) in the box's frame.
    inverse = invert_transform(pose)
    origin, directions = inverse[:3, 3], rays @ inverse[:3, :3].T
    with np.errstate(divide='ignore'):
        low, high = (-HALF - origin) / directions, (HALF - origin) / directions
    enter, leave = np.minimum(low, high), np.maximum(low, high)
    near, axis = enter.max(axis=-1), enter.argmax(axis=-1)
    hit = (near < leave.min(axis=-1)) & (near > 0) & (near < depth)
    normals = -np.sign(np.take_along_axis(directions, axis[..., None], -1)) * np.eye(3)[axis]
    light = 0.55 + 0.45 * np.clip(normals @ (pose[:3, :3].T @ LIGHT), 0, 1)
    place = origin + directions * near[..., None]
    paint = 1.0 + (0.6 * _pattern(place @ [1, 2, 0.5], place @ [-1, 1, 2], 0.009) * textured)
    shaded = (light * paint)[..., None] * np.array([200.0, 40.0, 40.0])
    color, depth = np.where(hit[..., None], shaded, color), np.where(hit, near, depth)
    if bar is not None:
        front = np.abs(np.arange(CAMERA.width) - bar) < 9
        color[:, front], depth[:, front], hit[:, front] = (40, 90, 60), 0.35, False
    return color.clip(0, 255).astype(np.uint8), depth.astype(np.float32), hit


def _pattern(a: NDArray, b: NDArray, size: float) -> NDArray:
    """Return a smooth pattern in -1..1 without a period that fits into the image."""
    a, b = a / size, b / size
    return (np.sin(a) * np.cos(0.77 * b + 1.0) + np.sin(0.43 * a - 0.61 * b + 2.0)) / 2.0
