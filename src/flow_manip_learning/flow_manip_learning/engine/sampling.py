# SPDX-License-Identifier: Apache-2.0
"""One clip to one sample, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.backends import create_backend
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.robot import Context
from flow_manip_learning.clips import Clip, in_metres
from flow_manip_learning.dataset import FlowSample
from flow_manip_learning.engine.config import EngineConfig
from flow_manip_learning.engine.detection import find_movers, Pixels, working_video
from flow_manip_learning.engine.gripper import mask_by_words, mask_from_file
from flow_manip_learning.engine.rejection import reject
from flow_manip_learning.engine.retracking import follow_one
from flow_manip_learning.engine.sheet import Findings
from flow_manip_learning.engine.static_view import DeepView, FlatView, StaticView, still_view
from flow_manip_perception.depth import DEPTH_ESTIMATORS, never
from flow_manip_perception.ego_motion import find_camera_motion
from flow_manip_perception.lifting import lift_tracks
from flow_manip_perception.tracking import TRACKERS
from flow_manip_perception.video_to_flow import scaled_camera

PLANE = 'plane'
LAST_SEEN = 0.25  # share of the object's points that the last step of a sample shows


@dataclass(frozen=True)
class ClipNotes:
    """What a sample says about its clip.

    Attributes:
        key: of the sample.
        instruction: in words; '' where nobody said.
        licence: of the images.
        footage: name of the collection.
        gripper: picture of the gripper's mask in the first frame; None where there is none.
        tags: for the sample.
    """

    key: str
    instruction: str = ''
    licence: str = 'unknown'
    footage: str = ''
    gripper: Path | None = None
    tags: Mapping[str, str] | None = None


class ClipEngine:
    """Turns clips into samples; keeps the tracker between them."""

    def __init__(self, config: EngineConfig, context: Context) -> None:
        """Load the tracker.

        Raises:
            BackendError, ConfigurationError: there is no such tracker, or its model is missing.
        """
        self._config, self._context = config, context
        self._tracker = create_backend(TRACKERS, {'backend': config.tracker}, context)
        self._depth = None
        if config.depth != PLANE:
            self._depth = create_backend(DEPTH_ESTIMATORS, {'backend': config.depth}, context)

    def find(
        self,
        clip: Clip,
        notes: ClipNotes,
        findings: Findings,
        cancelled: Callable[[], bool] = never,
    ) -> tuple[Clip, StaticView]:
        """Find the thing that moves; `findings` is filled in as far as it gets.

        Args:
            clip: of any size.
            notes: on it.
            findings: to fill in.
            cancelled: polled at every frame.

        Returns:
            The clip in the sample's size, and the camera's part in its pixels.

        Raises:
            ClipRejectedError: with the reason.
            FlowManipError: what a stage raises.
        """
        config = self._config
        clip = resized(clip, config)
        findings.video = clip.video
        findings.working = working_video(clip.video, config.detection)
        deep = self._deep_view(clip, cancelled)
        movers = find_movers(
            findings.working,
            self._tracker,
            config.detection,
            config.gripper,
            mask=self._gripper_mask(clip, notes),
            view=None if deep is None else in_working_pixels(deep, config.detection.frame_size),
            cancelled=cancelled,
        )
        findings.movers = movers
        view = deep or in_other_pixels(movers.view, config.detection.frame_size, clip.video.size)
        findings.movers, findings.dense = follow_one(
            clip.video,
            movers,
            view,
            self._tracker,
            config.detection,
            colour_cut=config.colour_cut,
            cancelled=cancelled,
        )
        return clip, view

    def moving_thing(self, clip: Clip, label: str) -> Mask:
        """Return the thing that moves, in the first frame of a clip of any size.

        Args:
            clip: to look at.
            label: words for it.

        Raises:
            ClipRejectedError: there is none; with the reason.
            FlowManipError: what a stage raises.
        """
        findings = Findings()
        self.find(clip, ClipNotes('moving'), findings)
        assert findings.dense is not None
        height, width = clip.observation.depth.shape
        pixels = cv2.resize(
            findings.dense.mask.astype(np.uint8),
            (width, height),
            interpolation=cv2.INTER_NEAREST_EXACT,
        )
        return Mask(pixels > 0, label)

    def sample(
        self,
        clip: Clip,
        notes: ClipNotes,
        findings: Findings,
        cancelled: Callable[[], bool] = never,
    ) -> FlowSample:
        """Make the sample of a clip.

        Args:
            clip: of any size.
            notes: on it.
            findings: to fill in.
            cancelled: polled at every frame.

        Raises:
            ClipRejectedError: with the reason.
            FlowManipError: what a stage raises.
        """
        clip, view = self.find(clip, notes, findings, cancelled)
        assert findings.dense is not None
        mask = Mask(findings.dense.mask, 'object')
        depth, scale = self._depth_of(clip, mask, cancelled)
        flow = self._lift(clip, findings.dense.tracks, view, depth, notes, cancelled)
        first = clip.observation
        tags = dict(notes.tags or {}) | {'scale': scale[:256], 'depth': self._depth_name(clip)}
        return FlowSample(
            color=first.color,
            depth=depth[0],
            camera=first.camera,
            T_world_camera=first.T_world_camera,
            instruction=notes.instruction,
            mask=mask.pixels,
            flow=flow,
            source=f'engine:{notes.footage}' if notes.footage else 'engine',
            licence=notes.licence,
            key=notes.key,
            tags=tags,
        )

    # ---------------------------------------------------------------- inside

    def _depth_name(self, clip: Clip) -> str:
        return 'measured' if clip.measured else self._config.depth

    def _deep_view(self, clip: Clip, cancelled: Callable[[], bool]) -> StaticView | None:
        """Return the camera's part of a clip with measured depth (A9), None without."""
        if not clip.measured:
            return None
        assert clip.video.depth is not None
        if not np.isfinite(clip.video.depth[0]).any():
            raise reject('no_depth', share_known=0.0)
        motion = find_camera_motion(
            clip.video,
            clip.video.depth,
            clip.observation.camera,
            clip.observation.T_world_camera,
            self._tracker,
            self._config.ego_motion,
            cancelled=cancelled,
        )
        if np.allclose(motion.poses, motion.poses[0], atol=1e-9):
            return still_view(clip.video.num_frames)
        return DeepView(motion.poses, clip.video.depth[0], clip.observation.camera, motion.moved)

    def _gripper_mask(self, clip: Clip, notes: ClipNotes) -> Pixels | None:
        """Return the gripper in working pixels; None: to be found by its motion."""
        config, side = self._config, self._config.detection.frame_size
        if notes.gripper is not None:
            return mask_from_file(notes.gripper, (side, side))
        if config.gripper.source in ('segmenter', 'none'):
            mask = None
            if config.gripper.source == 'segmenter':
                mask = mask_by_words(clip.observation, config.gripper, self._context)
            if mask is None:
                return np.zeros((side, side), dtype=bool)
            small = cv2.resize(
                mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST
            )
            return small > 0
        if config.gripper.source == 'file':
            raise reject('unreadable', f'{notes.key} has no mask of the gripper beside it')
        return None

    def _depth_of(
        self, clip: Clip, mask: Mask, cancelled: Callable[[], bool]
    ) -> tuple[NDArray[np.float32], str]:
        """Return (T, H, W) depth [m] and what a length in it means (A10)."""
        if clip.measured or self._depth is None:
            assert clip.video.depth is not None
            return np.ascontiguousarray(clip.video.depth), clip.scale
        estimate = self._depth.estimate(replace(clip.video, depth=None), cancelled=cancelled)
        depth, scale = in_metres(estimate, self._depth.kind, mask, self._config.distance)
        return np.minimum(depth, np.float32(self._config.max_depth)), scale

    def _lift(
        self,
        clip: Clip,
        tracks: PointTracks,
        view: StaticView,
        depth: NDArray[np.float32],
        notes: ClipNotes,
        cancelled: Callable[[], bool],
    ) -> ObjectFlow:
        """Lift the object's tracks in the sample's steps (A11), up to where it is last seen."""
        counts = tracks.visible.sum(axis=1)
        enough = max(self._config.lifting.min_points, LAST_SEEN * counts[0])
        seen = np.flatnonzero(counts >= enough)
        # A hand that covers the object at the end takes nothing away from what went before.
        steps = max(int(seen[-1]) + 1 if len(seen) else 0, 2)
        keep = np.unique(
            np.linspace(0, steps - 1, min(self._config.num_frames, steps)).round().astype(int)
        )
        points, poses = tracks.points, clip.observation.T_world_camera
        if isinstance(view, DeepView):
            poses = view.poses[keep]
        elif isinstance(view, FlatView):
            points = without_camera(points, view)
        thinned = PointTracks(
            points[keep], tracks.confidence[keep], tracks.times[keep], tracks.point_ids
        )
        return lift_tracks(
            thinned,
            depth[keep],
            clip.observation.camera,
            poses,
            self._config.lifting,
            object='object',
            source=f'engine:{notes.footage}' if notes.footage else 'engine',
            cancelled=cancelled,
        )


def resized(clip: Clip, config: EngineConfig) -> Clip:
    """Return a clip thinned and scaled: no side above `max_side`, none below the working size."""
    video = clip.video.thinned(config.detection.max_frames)
    width, height = video.size
    factor = min(1.0, config.max_side / max(width, height))
    factor = max(factor, config.detection.frame_size / min(width, height))
    if factor == 1.0:
        return replace(clip, video=video)
    size = (round(width * factor), round(height * factor))
    way = cv2.INTER_AREA if factor < 1.0 else cv2.INTER_CUBIC
    frames = np.stack([cv2.resize(frame, size, interpolation=way) for frame in video.frames])
    depth = _resized_depth(video.depth, size)
    first = clip.observation
    observation = replace(
        first,
        color=frames[0],
        depth=cv2.resize(first.depth, size, interpolation=cv2.INTER_NEAREST_EXACT),
        camera=scaled_camera(first.camera, size),
    )
    return replace(clip, video=replace(video, frames=frames, depth=depth), observation=observation)


def _resized_depth(
    depth: NDArray[np.float32] | None, size: tuple[int, int]
) -> NDArray[np.float32] | None:
    if depth is None:
        return None
    return np.stack(
        [cv2.resize(image, size, interpolation=cv2.INTER_NEAREST_EXACT) for image in depth]
    )


def in_working_pixels(view: StaticView, side: int) -> StaticView:
    """Return the view of a clip with depth in the square working frames."""
    if not isinstance(view, DeepView):
        return view
    size = (side, side)
    depth = cv2.resize(view.depth, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return DeepView(view.poses, depth, scaled_camera(view.camera, size), view.moved)


def in_other_pixels(view: StaticView, side: int, size: tuple[int, int]) -> StaticView:
    """Return homographies of the working frames in frames of another (width, height)."""
    if not isinstance(view, FlatView):
        return view
    a, b = size[0] / side, size[1] / side
    # The corner of the first pixel stays where it is.
    A = np.array([[a, 0.0, (a - 1) / 2], [0.0, b, (b - 1) / 2], [0.0, 0.0, 1.0]])
    return replace(view, homographies=A @ view.homographies @ np.linalg.inv(A))


def without_camera(points: NDArray[np.float32], view: FlatView) -> NDArray[np.float32]:
    """Return (T, N, 2) track points where they would be had the camera stood still."""
    back = [
        cv2.perspectiveTransform(p.reshape(-1, 1, 2).astype(np.float64), np.linalg.inv(H))
        for p, H in zip(np.nan_to_num(points), view.homographies)
    ]
    return np.stack(back).reshape(points.shape).astype(np.float32)
