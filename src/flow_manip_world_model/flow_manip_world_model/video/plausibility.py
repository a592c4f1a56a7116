# SPDX-License-Identifier: Apache-2.0
"""What can be said against a video before anything is computed from it.

Two failures of generators are seen in the pictures alone: the video does not begin with what the
camera saw (then nothing in it is where it is in the room), and it cuts to another view (then no
point can be followed). Both are told apart from what videos may do: flicker changes all pixels by
one gain and offset, which correlation does not see; an object that moves changes few parts of the
picture; a camera that moves, or few frames a second, change many, but at every frame. A cut is one
step that stands out of its own clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import CancelledError, ConfigurationError, ImplausibleVideoError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.video import Video
from flow_manip_world_model.progress import never_cancelled

WIDTH = 160  # [px] at which pictures are compared
BLOCK = 20  # [px] side of the parts that are compared
MIN_TEXTURE = 3.0  # grey values; flatter parts correlate with anything
ALIKE = 0.5  # correlation above which two parts show the same
NUM_FEATURES = 300
MAX_HAMMING = 48  # bits of 256 in which descriptors of one corner may differ
MIN_FEATURES = 20  # fewer say nothing about a cut


@dataclass(frozen=True)
class VideoCheckConfig:
    """Limits of a plausible video; ours, no source states any.

    Attributes:
        min_first_correlation: of grey values of the first frame and the observation.
        max_first_difference: mean difference of colours on the object's pixels in the first frame
            [0..255].
        max_jump: share of a frame's textured parts that may look different in the next one, beyond
            `usual_factor` times what is usual in the clip.
        usual_factor: see there.
        min_matched: share of corners that must be found near their place in the next frame where
            more changed than that, relative to the frames beside.
        max_corner_motion: how far a corner may move between frames, as a share of the diagonal.
    """

    min_first_correlation: float = 0.7
    max_first_difference: float = 40.0
    max_jump: float = 0.15
    usual_factor: float = 4.0
    min_matched: float = 0.6
    max_corner_motion: float = 0.1

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        for name in ('max_jump', 'min_matched', 'max_corner_motion'):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationError(f'{name} is {getattr(self, name)}, expected 0..1')


def check_video(
    video: Video,
    observation: Observation,
    mask: Mask | None,
    config: VideoCheckConfig,
    cancelled: Callable[[], bool] = never_cancelled,
) -> None:
    """Refuse a video that does not begin with the observation, or that cuts.

    Args:
        video: of the observation's camera.
        observation: that it should begin with.
        mask: of the object that moves, where known: its pixels are compared on their own.
        config: the limits.
        cancelled: polled at every frame.

    Raises:
        ImplausibleVideoError: with the numbers.
        CancelledError: the caller asked to stop.
    """
    if video.size != (observation.camera.width, observation.camera.height):
        raise ImplausibleVideoError(
            f'the video is {video.size[0]} x {video.size[1]} px, the camera '
            f'{observation.camera.width} x {observation.camera.height}'
        )
    _check_first(video.frames[0], observation, mask, config)
    _check_cuts(video, config, cancelled)


def _check_first(
    first: NDArray[np.uint8],
    observation: Observation,
    mask: Mask | None,
    config: VideoCheckConfig,
) -> None:
    """Compare the first frame with what the camera saw, everywhere and at the object."""
    found = correlation(_small(first), _small(observation.color))
    if found < config.min_first_correlation:
        raise ImplausibleVideoError(
            f'the first frame does not show what the camera sees: correlation {found:.2f}, '
            f'at least {config.min_first_correlation:g} is needed'
        )
    if mask is None:
        return
    parts = (
        cv2.GaussianBlur(image, (0, 0), 2.0)[mask.pixels].astype(np.float32)
        for image in (first, observation.color)
    )
    difference = float(np.abs(np.subtract(*parts)).mean())
    if difference > config.max_first_difference:
        raise ImplausibleVideoError(
            f"the first frame does not show the '{mask.label}' where it is: colours there differ "
            f'by {difference:.0f} of 255, limit {config.max_first_difference:g}'
        )


def _check_cuts(video: Video, config: VideoCheckConfig, cancelled: Callable[[], bool]) -> None:
    """Compare neighbouring frames; ask for corners only where much more changed than usual."""
    changes = np.empty(video.num_frames - 1)
    previous = _small(video.frames[0])
    for step in range(len(changes)):
        if cancelled():
            raise CancelledError(f'cancelled while looking at frame {step + 1}')
        current = _small(video.frames[step + 1])
        changes[step] = changed_share(previous, current)
        previous = current
    usual = float(np.median(changes))
    standing_out = np.flatnonzero(changes > config.max_jump + config.usual_factor * usual)
    for step in map(int, standing_out):
        if cancelled():
            raise CancelledError(f'cancelled while looking at frame {step + 1}')
        _check_step(video, step, changes[step], usual, config)


def _check_step(
    video: Video, step: int, changed: float, usual: float, config: VideoCheckConfig
) -> None:
    """Refuse the step from one frame to the next if its corners are gone and others' are not."""
    beside = [n for n in (step - 1, step + 1) if 0 <= n < video.num_frames - 1]
    found, *others = (
        matched_share(video.frames[n], video.frames[n + 1], config.max_corner_motion)
        for n in (step, *beside)
    )
    needed = config.min_matched * max(others, default=1.0)
    if found < needed:
        raise ImplausibleVideoError(
            f'the video cuts at frame {step + 1} of {video.num_frames}: {100 * changed:.0f} % of '
            f'the picture changed (usual here: {100 * usual:.0f} %) and {100 * found:.0f} % of '
            f'its corners were found again (at least {100 * needed:.0f} % are needed)'
        )


def correlation(first: NDArray, second: NDArray) -> float:
    """Return the correlation of two pictures' grey values, -1..1; 0 where one of them is flat."""
    a, b = (image.astype(np.float64) - image.mean() for image in (first, second))
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def changed_share(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the share of textured parts of two grey pictures that do not correlate, 0..1."""
    a, b = _blocks(first), _blocks(second)
    deviation_a, deviation_b = a.std(axis=1), b.std(axis=1)
    textured = np.maximum(deviation_a, deviation_b) >= MIN_TEXTURE
    if not textured.any():
        return 0.0
    centred = (a - a.mean(axis=1, keepdims=True)) * (b - b.mean(axis=1, keepdims=True))
    # A part that turned flat has lost what was there: its correlation counts as none.
    scale = np.maximum(deviation_a, MIN_TEXTURE) * np.maximum(deviation_b, MIN_TEXTURE)
    alike = centred.mean(axis=1) / scale > ALIKE
    return float((~alike[textured]).mean())


def matched_share(first: NDArray[np.uint8], second: NDArray[np.uint8], max_motion: float) -> float:
    """Return the share of ORB corners of one picture that the other has near the same place.

    Args:
        first: (H, W, 3) uint8 RGB.
        second: (H, W, 3) uint8 RGB.
        max_motion: how far they may have moved, as a share of the diagonal.

    Returns:
        0..1; 1 where there are too few corners to say.
    """
    orb = cv2.ORB_create(nfeatures=NUM_FEATURES, fastThreshold=10)  # type: ignore[attr-defined]
    found = [
        orb.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
        for image in (first, second)
    ]
    (corners_a, described_a), (corners_b, described_b) = found
    if len(corners_a) < MIN_FEATURES:
        return 1.0
    if described_b is None:
        return 0.0
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(described_a, described_b)
    limit = max_motion * float(np.hypot(*first.shape[:2]))
    near = sum(
        match.distance <= MAX_HAMMING
        and np.hypot(*np.subtract(corners_a[match.queryIdx].pt, corners_b[match.trainIdx].pt))
        <= limit
        for match in matches
    )
    return float(near) / len(corners_a)


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a small, slightly blurred grey picture."""
    height = max(round(image.shape[0] * WIDTH / image.shape[1]), BLOCK)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 1.0)  # type: ignore[return-value]


def _blocks(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the (B, BLOCK * BLOCK) grey values of the parts of a picture."""
    rows, columns = image.shape[0] // BLOCK, image.shape[1] // BLOCK
    cut = image[: rows * BLOCK, : columns * BLOCK].astype(np.float32)
    parts = cut.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    return parts.reshape(rows * columns, BLOCK * BLOCK)
