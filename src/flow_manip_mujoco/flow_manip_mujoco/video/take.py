# SPDX-License-Identifier: Apache-2.0
"""What happens in one video, frame by frame, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import interpolate_transforms
from flow_manip_mujoco.tasks.task import ReferenceMotion

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Hinge:
    """The joint of a part of a fixture, in the world.

    Attributes:
        kind: 'hinge' or 'slide'.
        axis: (3,) unit vector.
        point: (3,) on the axis [m].
    """

    kind: str
    axis: Array
    point: Array


@dataclass(frozen=True)
class Setting:
    """What a video is about, as the cell stands.

    Attributes:
        body: what the words mean.
        motion: how it should move.
        share: (T,) of the motion's duration, at each frame.
        box: (2, 3) lower and upper corner of the body in its own frame [m].
        rgb: (3,) its colour, 0..1.
        others: T_world_object of things in view that could be taken for it.
        joint: that it is on; None for what moves freely.
        camera: (4, 4) T_world_camera.
    """

    body: str
    motion: ReferenceMotion
    share: Array
    box: Array
    rgb: Array
    others: Mapping[str, Array]
    joint: Hinge | None
    camera: Array

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.share)

    def poses_at(self, share: Array) -> Array:
        """Return (T, 4, 4) T_world_body when (T,) shares of the motion's duration have passed."""
        motion = self.motion
        return interpolate_transforms(motion.times, motion.poses, share * motion.times[-1])

    @property
    def middle(self) -> Array:
        """(3,) middle of the body at the start, in the world [m]."""
        start = self.motion.poses[0]
        return np.asarray(start[:3, :3] @ self.box.mean(axis=0) + start[:3, 3])


@dataclass(frozen=True)
class Take:
    """One video, frame by frame; whatever is not named stays as it is.

    Attributes:
        failure: name of what is wrong with it; '' for a good one.
        moving: body that moves.
        poses: (T, 4, 4) T_world_body of `moving`.
        stretch: (T, 3) factors along its own axes.
        tint: (3,) colour that it turns to.
        tinted: (T,) how far it has, 0..1.
        visible: (T,) False where it is not drawn.
        ghost: (T, 4, 4) poses of a second one, NaN where there is none; None for no such thing.
        camera: (T, 4, 4) T_world_camera.
        zoom: (T,) factor on the focal length.
        gain: (T, 3) factors on red, green, blue.
    """

    moving: str
    poses: Array
    stretch: Array
    tint: Array
    tinted: Array
    visible: NDArray[np.bool_]
    camera: Array
    zoom: Array
    gain: Array
    ghost: Array | None = None
    failure: str = ''

    def rests(self, frame: int) -> bool:
        """Say whether a frame, not the first, shows what the one before shows, but for gain."""
        drawn = (self.poses, self.stretch, self.tinted, self.visible, self.camera, self.zoom)
        moving = drawn if self.ghost is None else (*drawn, self.ghost)
        return all(np.array_equal(a[frame], a[frame - 1], equal_nan=True) for a in moving)


def good_take(setting: Setting) -> Take:
    """Return the video in which the object moves as it should."""
    steps = setting.num_frames
    return Take(
        moving=setting.body,
        poses=setting.poses_at(setting.share),
        stretch=np.ones((steps, 3)),
        tint=setting.rgb.copy(),
        tinted=np.zeros(steps),
        visible=np.ones(steps, dtype=bool),
        camera=np.tile(setting.camera, (steps, 1, 1)),
        zoom=np.ones(steps),
        gain=np.ones((steps, 3)),
    )
