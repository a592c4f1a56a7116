# SPDX-License-Identifier: Apache-2.0
"""A video of an imagined or a recorded motion to 3D flow of one object.

Depth is estimated and calibrated once, to the sensor's depth of the first frame; points of the
object are followed; the camera's own motion is found and taken out; what is left is lifted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
import time
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.backends import create_backend
from flow_manip_core.camera import CameraModel
from flow_manip_core.config import from_mapping
from flow_manip_core.errors import (
    CancelledError,
    ConfigurationError,
    ImplausibleVideoError,
    InvalidInputError,
    TracksLostError,
)
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_perception.calibration import calibrate, CalibrationConfig, DepthCalibration
from flow_manip_perception.depth import DEPTH_ESTIMATORS, DepthEstimator, never
from flow_manip_perception.ego_motion import CameraMotion, EgoMotionConfig, find_camera_motion
from flow_manip_perception.exposure import evenly_lit
from flow_manip_perception.flicker import Flicker, measure_flicker
from flow_manip_perception.lifting import lift_tracks, LiftingConfig
from flow_manip_perception.tracking import FREE, PointTracker, TRACKERS
from flow_manip_perception.tracking.queries import farthest_queries, grid_queries

QUERIES = ('farthest', 'grid')
FLICKER = ('measure', 'auto')
Progress = Callable[[str, float], None]
Cancelled = Callable[[], bool]


def silent(stage: str, share: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class LiftedVideo:
    """What was read out of one video.

    Attributes:
        flow: of the object, in the observation's world.
        tracks: of the object's points, in the video's pixels.
        depth: (T, H, W) float32 calibrated [m], NaN where unknown.
        calibration: how the estimate became metres.
        camera: how the camera moved.
        seconds: by stage.
        flicker: of the depth.
    """

    flow: ObjectFlow
    tracks: PointTracks
    depth: NDArray[np.float32]
    calibration: DepthCalibration
    camera: CameraMotion
    seconds: dict[str, float]
    flicker: Flicker


class VideoLifter(Protocol):
    """Reads an object's flow out of a video."""

    def lift(
        self,
        video: Video,
        observation: Observation,
        mask: Mask,
        *,
        on_progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> LiftedVideo:
        """Lift; see `VideoToFlow.lift`."""


class VideoToFlow:
    """Depth, tracks and the camera's motion, joined to flow. Keeps nothing between calls."""

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            calibration: of the depth.
            lifting: of the tracks.
            ego_motion: of the camera.
            queries: 'farthest' (spread over the object, Dream2Flow) or 'grid' (over the image,
                those on the object kept, NovaFlow).
            grid: rows and columns of the grid (NovaFlow: 32).
            max_points: on the object (Dream2Flow: 1024).
            min_points: on the object, where it has as many pixels.
            ratio: points per pixel of the object (Dream2Flow: 0.01).
            erosion: side of the square that the mask is eroded by [px] (Dream2Flow: 11); less
                where next to nothing would be left.
            min_similarity: correlation of the first frame with the observation's image.
            flicker: 'measure', or 'auto' to correct it where that measures better.
        """

        calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
        lifting: LiftingConfig = field(default_factory=LiftingConfig)
        ego_motion: EgoMotionConfig = field(default_factory=EgoMotionConfig)
        queries: str = field(default='farthest', metadata={'doc': f'One of {QUERIES}'})
        grid: int = field(default=32, metadata={'doc': 'Rows and columns of the grid'})
        max_points: int = field(default=1024, metadata={'doc': 'Points on the object, at most'})
        min_points: int = field(default=100, metadata={'doc': 'Points on the object, at least'})
        ratio: float = field(default=0.01, metadata={'doc': 'Points per pixel of the object'})
        erosion: int = field(default=11, metadata={'doc': 'Erosion of the mask [px]'})
        min_similarity: float = field(default=0.6, metadata={'doc': 'First frame, observation'})
        flicker: str = field(default='auto', metadata={'doc': f'One of {FLICKER}'})

        def __post_init__(self) -> None:
            """Refuse unknown names and numbers without meaning."""
            if self.queries not in QUERIES or self.flicker not in FLICKER:
                raise ConfigurationError(
                    f"queries '{self.queries}', flicker '{self.flicker}'; known: "
                    f'{", ".join(QUERIES)}; {", ".join(FLICKER)}'
                )
            if not 1 <= self.min_points <= self.max_points or not 0 < self.ratio <= 1:
                raise ConfigurationError(
                    f'{self.min_points} to {self.max_points} points at {self.ratio} per pixel'
                )
            if self.grid < 1 or self.erosion < 0 or not -1 <= self.min_similarity <= 1:
                raise ConfigurationError(
                    f'grid {self.grid}, erosion {self.erosion}, min_similarity '
                    f'{self.min_similarity}'
                )

    def __init__(
        self,
        config: Config,
        context: Context,
        depth_estimator: DepthEstimator,
        tracker: PointTracker,
    ) -> None:
        """Keep the parts; the world is the observation's, so the rig is not asked."""
        self._config = config
        self._depth = depth_estimator
        self._tracker = tracker

    def lift(
        self,
        video: Video,
        observation: Observation,
        mask: Mask,
        *,
        on_progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> LiftedVideo:
        """Read the flow of the object under `mask` out of a video that begins at `observation`.

        Args:
            video: of any size; it shows what the observation's camera sees.
            observation: the first frame with the sensor's depth.
            mask: the object, in the observation's image.
            on_progress: told what is worked on, and the share that is done.
            cancelled: polled at every frame.

        Raises:
            InvalidInputError: mask and observation do not belong together.
            ImplausibleVideoError: the video does not begin at the observation, or jumps.
            DepthCalibrationError: its depth cannot be trusted.
            CameraMotionError: the camera's motion is not determined, or a zoom.
            TracksLostError: too little of the object can be followed.
            CancelledError: `cancelled` said so.
        """
        start = View.of(observation, mask, video.size)
        self._check_first_frame(video, start)
        seen = evenly_lit(video, start.mask)
        clock = _Clock(on_progress, cancelled)
        clock.begin('depth', 0.0)
        estimate = self._depth.estimate(video, cancelled=cancelled)
        if estimate.shape != video.frames.shape[:3]:
            raise InvalidInputError(
                f'estimated depth is {estimate.shape}, the video {video.frames.shape[:3]}'
            )
        clock.begin('calibration', 0.3)
        calibration = calibrate(
            estimate[0], start.depth, self._config.calibration, start.mask, kind=self._depth.kind
        )
        depth = calibration.apply(estimate)
        # The camera first: it tells flicker, and steady depth is easier to track in.
        clock.begin('ego-motion', 0.35)
        camera = find_camera_motion(
            seen,
            depth,
            start.camera,
            observation.T_world_camera,
            self._tracker,
            self._config.ego_motion,
            mask=start.mask,
            cancelled=cancelled,
        )
        depth, flicker = self._steady(depth, start, camera)
        clock.begin('tracking', 0.5)
        queries = self.queries(start.mask & np.isfinite(depth[0]), video.size)
        tracks = self._tracker.track(
            seen,
            queries,
            depth=depth,
            camera=start.camera,
            regions=np.where(start.mask, 0, FREE),
            cancelled=cancelled,
        )
        clock.begin('lifting', 0.9)
        flow = lift_tracks(
            tracks,
            depth,
            start.camera,
            camera.poses,
            self._config.lifting,
            object=mask.label,
            source=video.source,
            frame_id=observation.frame_id,
            stamp=observation.stamp,
            cancelled=cancelled,
        )
        return LiftedVideo(flow, tracks, depth, calibration, camera, clock.end(), flicker)

    def queries(self, mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float32]:
        """Return (N, 2) pixels of the first frame to follow.

        The mask's border is left out; where a thin object would vanish, less of it.

        Args:
            mask: (H, W) pixels of the object that have depth.
            size: (width, height) of the video.

        Raises:
            TracksLostError: the mask has too few pixels with depth.
        """
        config = self._config
        inner = _inner(mask, config.erosion, 4 * config.lifting.min_points)
        if inner.sum() < config.lifting.min_points:
            raise TracksLostError(
                f'{int(mask.sum())} pixels of the object have depth in the first frame, '
                f'{config.lifting.min_points} are needed'
            )
        if config.queries == 'farthest':
            return farthest_queries(
                inner, config.max_points, config.ratio, min_points=config.min_points
            )
        points = grid_queries(size, min(config.grid, *size))
        columns, rows = np.rint(points).astype(int).T
        on_object = inner[rows, columns]
        if on_object.sum() < config.lifting.min_points:
            raise TracksLostError(
                f'{int(on_object.sum())} of {len(points)} grid points lie on the object '
                f'({int(inner.sum())} pixels), {config.lifting.min_points} are needed'
            )
        return points[on_object]

    def _check_first_frame(self, video: Video, start: View) -> None:
        """Refuse a video that does not begin where the observation was made."""
        similarity = image_similarity(video.frames[0], start.color)
        if similarity < self._config.min_similarity:
            raise ImplausibleVideoError(
                f'the first frame correlates with the observation by {similarity:.2f}, '
                f'{self._config.min_similarity:g} is needed: it shows another view'
            )

    def _steady(
        self, depth: NDArray[np.float32], start: View, camera: CameraMotion
    ) -> tuple[NDArray[np.float32], Flicker]:
        """Return depth without flicker where that measures better, and what was measured."""
        side = 2 * self._config.ego_motion.dilation + 1
        moving = cv2.dilate(start.mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
        flicker = measure_flicker(depth, start.camera, camera.poses, moving)
        if self._config.flicker != 'auto' or not flicker.correction_helps:
            return depth, flicker
        factors = np.where(np.isfinite(flicker.factors), flicker.factors, 1.0)
        # In place: the clip was made by the calibration and is nobody else's.
        depth /= factors.astype(np.float32)[:, None, None]
        return depth, replace(flicker, corrected=True)


@dataclass(frozen=True)
class View:
    """An observation in a video's size.

    Attributes:
        color: (H, W, 3) uint8.
        depth: (H, W) [m], NaN where unknown.
        mask: (H, W) bool.
        camera: of those pixels.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.float32]
    mask: NDArray[np.bool_]
    camera: CameraModel

    @classmethod
    def of(cls, observation: Observation, mask: Mask, size: tuple[int, int]) -> View:
        """Resize to (width, height); depth and mask are taken from the nearest pixel.

        Raises:
            InvalidInputError: the mask is not of the observation, or vanishes.
        """
        if mask.pixels.shape != observation.depth.shape:
            raise InvalidInputError(
                f'mask is {mask.pixels.shape}, the observation {observation.depth.shape}'
            )
        old = observation.camera
        camera = scaled_camera(old, size)
        depth = np.where(observation.depth > 0, observation.depth, np.nan).astype(np.float32)
        if size == (old.width, old.height):
            return cls(observation.color, depth, mask.pixels, camera)
        # cv2's INTER_NEAREST is off by up to half a pixel.
        nearest = cv2.INTER_NEAREST_EXACT
        pixels = cv2.resize(mask.pixels.astype(np.uint8), size, interpolation=nearest) > 0
        if not pixels.any():
            raise InvalidInputError(f"mask of '{mask.label}' vanishes at {size[0]} x {size[1]} px")
        return cls(
            cv2.resize(observation.color, size, interpolation=cv2.INTER_AREA).astype(np.uint8),
            cv2.resize(depth, size, interpolation=nearest).astype(np.float32),
            pixels,
            camera,
        )


def scaled_camera(camera: CameraModel, size: tuple[int, int]) -> CameraModel:
    """Return the intrinsics of the same view at another (width, height)."""
    a, b = size[0] / camera.width, size[1] / camera.height
    # The centre of the first pixel is (0, 0), so its corner is at -0.5.
    return CameraModel(
        size[0],
        size[1],
        camera.fx * a,
        camera.fy * b,
        (camera.cx + 0.5) * a - 0.5,
        (camera.cy + 0.5) * b - 0.5,
    )


def image_similarity(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the correlation of two images' brightness, seen from afar, -1 to 1.

    Exposure and contrast do not count. Two images without any contrast are alike.
    """
    small = [
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (64, 48), interpolation=cv2.INTER_AREA)
        for image in (a, b)
    ]
    left, right = (image.astype(np.float64) - image.mean() for image in small)
    power = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / power if power > 0 else float(left.std() == right.std())


def _inner(mask: NDArray[np.bool_], erosion: int, enough: int) -> NDArray[np.bool_]:
    """Return the mask eroded by a square of this side, or of a smaller one that leaves enough."""
    side = erosion
    while side > 1:
        eroded = cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
        if eroded.sum() >= enough:
            return eroded
        side = (side // 2) | 1 if side > 3 else 1
    return mask


class _Clock:
    """Says what is worked on, stops when asked to, and counts seconds by stage."""

    def __init__(self, on_progress: Progress, cancelled: Cancelled) -> None:
        self._on_progress, self._cancelled = on_progress, cancelled
        self._seconds: dict[str, float] = {}
        self._stage, self._since = '', time.perf_counter()

    def begin(self, stage: str, share: float) -> None:
        """Begin a stage; raises CancelledError."""
        self.end()
        if self._cancelled():
            raise CancelledError(f'cancelled before {stage}')
        self._stage, self._since = stage, time.perf_counter()
        self._on_progress(stage, share)

    def end(self) -> dict[str, float]:
        """End the running stage and return all seconds."""
        if self._stage:
            self._seconds[self._stage] = time.perf_counter() - self._since
            self._stage = ''
        return dict(self._seconds)


def create_video_lifter(parameters: Mapping[str, Any], context: Context) -> VideoToFlow:
    """Build a lifter from the world model node's parameters.

    Args:
        parameters: with the mappings 'depth' and 'tracking' (each ``{'backend': name, name:
            {...}}``) and, if wanted, 'lifting' (fields of `VideoToFlow.Config`).
        context: robot and rig.

    Raises:
        BackendError: a backend is unknown or cannot be imported.
        ConfigurationError: a parameter is missing, unknown or of the wrong type.
    """
    for name in ('depth', 'tracking'):
        if not isinstance(parameters.get(name), Mapping):
            raise ConfigurationError(f"lifting a video needs the parameters '{name}'")
    return VideoToFlow(
        from_mapping(VideoToFlow.Config, parameters.get('lifting', {}), where='lifting'),
        context,
        create_backend(DEPTH_ESTIMATORS, parameters['depth'], context),
        create_backend(TRACKERS, parameters['tracking'], context),
    )
