# SPDX-License-Identifier: Apache-2.0
"""Videos and a lifter that do what a test says, importable in worker processes too."""

from __future__ import annotations

from dataclasses import dataclass
import os
import time

import cv2
import numpy as np

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import (
    BackendError,
    CameraMotionError,
    CancelledError,
    DepthCalibrationError,
    TracksLostError,
    VideoFailedError,
)
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import make_transform
from flow_manip_core.video import Video

WIDTH, HEIGHT, FRAMES = 320, 240, 9
BLOCK = (120, 90, 60, 50)  # x, y, width, height of the object [px]


def texture(seed, width=WIDTH, height=HEIGHT):
    """Return a picture with corners: smoothed noise with sharp patches."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (height // 10, width // 10, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    noise = rng.normal(0.0, 4.0, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def make_observation():
    """Return a textured scene at 1 m and the mask of a block in it."""
    camera = CameraModel.from_fov(WIDTH, HEIGHT, np.radians(45.0))
    color = texture(0)
    x, y, width, height = BLOCK
    color[y : y + height, x : x + width] = (200, 30, 30)
    depth = np.ones((HEIGHT, WIDTH), dtype=np.float32)
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y : y + height, x : x + width] = True
    return Observation(color, depth, camera, np.eye(4), stamp=3.0), Mask(mask, 'red block')


def moved(observation, pixels):
    """Return the picture with the block moved to the right."""
    x, y, width, height = BLOCK
    frame = texture(0)
    frame[y : y + height, x + pixels : x + pixels + width] = (200, 30, 30)
    return frame


def make_video(observation, kind='good', seed=0):
    """Return a video in which the block moves; `kind` says what goes wrong, here or in lifting."""
    frames = np.stack([moved(observation, 5 * step) for step in range(FRAMES)])
    if kind == 'cut':
        frames[FRAMES // 2 :] = texture(77)
    elif kind == 'stranger':
        frames[:] = texture(78)
    times = np.arange(FRAMES) / 8.0
    return Video(frames, times, source='scripted', prompt=kind, seed=seed)


class ScriptedVideo:
    """Gives videos of the kinds that its configuration lists."""

    @dataclass(frozen=True)
    class Config:
        """What comes, in order; 'refused' and 'broken' are no videos."""

        kinds: tuple[str, ...] = ('good',)

    def __init__(self, config, context):
        self.config = config

    def generate(
        self, observation, instruction, *, num_videos, seed, on_failed, on_progress, cancelled, **_
    ):
        for number in range(num_videos):
            kind = self.config.kinds[number % len(self.config.kinds)]
            if cancelled():
                raise CancelledError('cancelled between videos')
            on_progress('drawing', (number + 1) / num_videos)
            if kind == 'refused':
                on_failed(number, VideoFailedError('the service refused'))
            elif kind == 'broken':
                raise BackendError('no such model')
            else:
                yield make_video(observation, kind, seed + number)


@dataclass
class Lifted:
    """What the fake lifter gives."""

    flow: object


class NoPart:
    """A depth estimator or tracker that is never asked."""

    @dataclass(frozen=True)
    class Config:
        """Nothing to set."""

        unused: float = 0.0

    def __init__(self, config, context):
        pass


class ScriptedLifter:
    """Lifts a video as its prompt says."""

    @dataclass(frozen=True)
    class Config:
        """How far the object moves [m]."""

        distance: float = 0.1

    def __init__(self, config, context, depth_estimator, tracker):
        self.config = config

    def lift(self, video, observation, mask, *, on_progress, cancelled):
        on_progress('tracking', 0.5)
        kind = video.prompt
        if kind == 'tracks':
            raise TracksLostError('3 of 200 points were left')
        if kind == 'calibration':
            raise DepthCalibrationError('inlier share 0.2')
        if kind == 'camera':
            raise CameraMotionError('background residual 9 px')
        if kind == 'bug':
            raise ZeroDivisionError('a bug')
        if kind == 'crash':
            os._exit(41)
        begin = time.monotonic()
        while kind == 'hang' and time.monotonic() - begin < 60.0:
            time.sleep(0.005)
            if cancelled():
                raise CancelledError('cancelled while tracking')
        points = np.random.default_rng(video.seed).normal([0.0, 0.0, 1.0], 0.02, (20, 3))
        ways = [
            make_transform([self.config.distance * t, 0, 0])
            for t in np.linspace(0, 1, video.num_frames)
        ]
        return Lifted(flow_from_transforms(points, np.stack(ways), video.times))
