# SPDX-License-Identifier: Apache-2.0
"""Reading a clip: a video file without depth, or a recording with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow_manip_cameras.recording import open_recording
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_core.video import MAX_FRAMES, Video
from flow_manip_perception.depth import DepthEstimator
from flow_manip_world_model.video.files import read_video

MIN_DISPARITY = 1e-3  # of the largest: farther is taken for unknown
FOV_DEGREES = 55.0  # horizontal, where nobody knows: what 3DFlowAction assumes
DISTANCE = 1.0  # [m] of the object, where nobody knows


@dataclass(frozen=True)
class Clip:
    """A video, its first frame as an observation, and what a length in it means.

    Attributes:
        video: with metric depth where a sensor made it.
        observation: the first frame; its depth is the reference that depth is calibrated to.
        scale: in words.
        measured: depth is a sensor's.
    """

    video: Video
    observation: Observation
    scale: str
    measured: bool


def read_clip(
    path: Path,
    context: Context,
    *,
    num_frames: int = 41,
    fov_degrees: float = FOV_DEGREES,
    distance: float = DISTANCE,
    start: float = 0.0,
    seconds: float | None = None,
) -> Clip:
    """Read a clip, or a part of it.

    Args:
        path: a video file; or what `open_recording` opens: a folder, a bag, a description.
        context: whose rig gives the camera's pose where a recording does not.
        num_frames: kept of a longer clip, spread evenly.
        fov_degrees: horizontal field of view of a video file's camera.
        distance: of the object at the start of a video file [m].
        start: where to begin [s].
        seconds: to read from there; None: to the end.

    Raises:
        InvalidInputError: a number makes no sense, or the recording is too short.
        VideoFailedError: the file cannot be read.
        ConfigurationError, BackendError: as `open_recording` says.
    """
    if not 1.0 < fov_degrees < 179.0 or not 0.01 <= distance <= 100.0 or num_frames < 2:
        raise InvalidInputError(
            f'field of view {fov_degrees} degrees, distance {distance} m, {num_frames} frames'
        )
    if start < 0.0 or (seconds is not None and not seconds > 0.0):
        raise InvalidInputError(f'no part of {seconds} s from {start} s')
    if path.is_file() and path.suffix.lower() not in ('.mcap', '.db3', '.yaml', '.yml'):
        frames, times = read_video(path, num_frames, start=start, seconds=seconds)
        return clip_without_depth(frames, times, path.name, fov_degrees, distance)
    return _recording(path, context, num_frames, start, seconds)


def _recording(
    path: Path, context: Context, num_frames: int, start: float, seconds: float | None
) -> Clip:
    recording = open_recording(
        path,
        T_world_camera=context.rig.camera.pose.matrix,
        frame_id=context.rig.frame_id,
    )
    try:
        frames = list(islice(_part(recording.frames(), start, seconds), MAX_FRAMES))
    finally:
        recording.close()
    if len(frames) < 2:
        raise InvalidInputError(f'{path} has {len(frames)} frames, 2 are needed')
    stamps = np.array([frame.stamp for frame in frames])
    video = Video(
        frames=np.stack([frame.color for frame in frames]),
        times=stamps - stamps[0],
        source=path.name,
        depth=np.stack([frame.depth for frame in frames]),
        camera_poses=np.stack([frame.T_world_camera for frame in frames]),
    )
    return Clip(video.thinned(num_frames), frames[0], "metres, of the recording's depth", True)


def _part(
    frames: Iterator[Observation], start: float, seconds: float | None
) -> Iterator[Observation]:
    """Pass on the frames of a part, counted from the first frame's stamp."""
    first = None
    for frame in frames:
        first = frame.stamp if first is None else first
        since = frame.stamp - first - start
        if seconds is not None and since > seconds:
            return
        if since >= 0.0:
            yield frame


def clip_without_depth(
    frames: NDArray[np.uint8],
    times: NDArray[np.float64],
    source: str,
    fov_degrees: float = FOV_DEGREES,
    distance: float = DISTANCE,
) -> Clip:
    """Return colour frames as a clip in which everything is equally far.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        times: (T,) seconds from the first frame.
        source: name of where they come from.
        fov_degrees: horizontal field of view of the camera.
        distance: of everything [m].
    """
    _, height, width, _ = frames.shape
    focal = width / (2.0 * math.tan(math.radians(fov_degrees) / 2.0))
    camera = CameraModel(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)
    flat = np.full((height, width), distance, dtype=np.float32)
    observation = Observation(
        color=frames[0],
        depth=flat,
        camera=camera,
        T_world_camera=np.eye(4),
        frame_id='camera_color_optical_frame',
    )
    scale = (
        f'no depth: everything is taken to be {distance:g} m away, so only motion across the view '
        f'is seen and lengths are true where that is (field of view {fov_degrees:g} degrees)'
    )
    depth = np.broadcast_to(flat, frames.shape[:3])
    return Clip(Video(frames, times, source=source, depth=depth), observation, scale, False)


def with_estimated_depth(
    clip: Clip, estimator: DepthEstimator, mask: Mask, distance: float = DISTANCE
) -> Clip:
    """Give a clip without a sensor the reference depth that an estimate of its first frame says.

    A metric estimate is believed. One up to scale is scaled so that the object is `distance` away;
    its unknown shift is taken for none, as there is nothing to tell it from.

    Raises:
        InvalidInputError: the estimate says nothing about the object.
        FlowManipError: what the estimator raises.
    """
    first = replace(
        clip.video, frames=clip.video.frames[:2], times=clip.video.times[:2], depth=None
    )
    depth, scale = in_metres(estimator.estimate(first)[:1], estimator.kind, mask, distance)
    return replace(
        clip,
        video=replace(clip.video, depth=None),
        observation=replace(clip.observation, depth=depth[0]),
        scale=scale,
    )


def in_metres(
    estimate: NDArray, kind: str, mask: Mask, distance: float
) -> tuple[NDArray[np.float32], str]:
    """Give an estimate of depth a scale where nothing was measured.

    Args:
        estimate: (T, H, W), see `DepthEstimator`.
        kind: of the estimate.
        mask: of the object in the first frame.
        distance: of the object at the start where the estimate has no unit [m].

    Returns:
        (T, H, W) [m], NaN where unknown, and what a length in it means, in words.

    Raises:
        InvalidInputError: the estimate says nothing about the object.
    """
    depth = np.asarray(estimate, dtype=np.float64)
    if kind == 'disparity':
        least = MIN_DISPARITY * np.nanmax(depth)
        depth = 1.0 / np.where(depth > least, depth, np.nan)
    on_object = depth[0][mask.pixels & np.isfinite(depth[0]) & (depth[0] > 0)]
    if not len(on_object):
        raise InvalidInputError(f"the estimated depth has no value on '{mask.label}'")
    if kind == 'metric':
        scale = 'metres, as the depth model believes them: no sensor has measured anything'
        return _positive(depth), scale
    scale = f'the object is taken to be {distance:g} m away at the start; all scales with it'
    return _positive(distance / float(np.median(on_object)) * depth), scale


def _positive(depth: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.where(depth > 0, depth, np.nan).astype(np.float32)
