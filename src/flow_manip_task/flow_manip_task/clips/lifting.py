# SPDX-License-Identifier: Apache-2.0
"""From a clip and words to object flow, with the pictures that show whether to believe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from flow_manip_core.backends import create_backend, pipeline_parameters
from flow_manip_core.errors import InvalidInputError, RecordError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask
from flow_manip_core.robot import Context
from flow_manip_learning.clips import Clip, DISTANCE, mask_in_box, read_clip, with_estimated_depth
from flow_manip_learning.engine import ClipEngine, EngineConfig
from flow_manip_perception.depth import DEPTH_ESTIMATORS
from flow_manip_perception.segmentation import SEGMENTERS
from flow_manip_perception.video_to_flow import create_video_lifter, LiftedVideo
from flow_manip_task.drawing.canvas import time_colors
from flow_manip_task.drawing.flow import draw_flow, spread_points
from flow_manip_task.drawing.flow_3d import draw_flow_3d
from flow_manip_task.drawing.mask import draw_masks
from flow_manip_task.video import VideoWriter

DRAWN = 80  # tracks in the video
TAIL = 12  # frames that a track's tail goes back
SENSOR = 'sensor'
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class LiftOptions:
    """What to lift, and how.

    Attributes:
        object: words for the thing whose flow is wanted.
        box: (x, y, width, height) around it in the first frame [px]; None: not given.
        mask: picture, not black on it; None: not given.
        moving: find what moves, by the data engine's detection; the words only name it.
        segmenter: backend that finds it by words where nothing else is given.
        depth: backend; 'sensor' takes the recording's, and none of a video file.
        tracker: backend; '' for the pipeline's.
        camera: 'auto', 'still' (it stood: nothing is taken out), 'given' or 'background'.
        pipeline: whose parameters count.
        num_frames: kept of a longer clip.
        start: where the clip begins in the file or recording [s].
        seconds: that are lifted from there; None: to the end.
        fov_degrees: horizontal, of a video file's camera.
        distance: of the object at the start of a clip without metric depth [m].
    """

    object: str
    box: tuple[int, int, int, int] | None = None
    mask: Path | None = None
    moving: bool = False
    segmenter: str = ''
    depth: str = SENSOR
    tracker: str = ''
    camera: str = 'auto'
    pipeline: str = 'novaflow'
    num_frames: int = 41
    start: float = 0.0
    seconds: float | None = None
    fov_degrees: float = 55.0
    distance: float = DISTANCE


def lift_clip(
    path: Path,
    options: LiftOptions,
    folder: Path,
    context: Context,
    on_progress: Progress = lambda stage, share: None,
) -> dict[str, Any]:
    """Lift a clip and write flow, pictures and report into a folder.

    Args:
        path: see `read_clip`.
        options: what, and how.
        folder: made if it is not there; files of an earlier call are overwritten.
        context: robot and rig.
        on_progress: told what is worked on, and the share that is done.

    Returns:
        the report: what `report.json` holds.

    Raises:
        InvalidInputError: box, mask or numbers do not fit the clip.
        FlowManipError: what a stage raises.
        RecordError: the folder cannot be written.
    """
    on_progress('reading', 0.0)
    clip = read_clip(
        path,
        context,
        num_frames=options.num_frames,
        fov_degrees=options.fov_degrees,
        distance=options.distance,
        start=options.start,
        seconds=options.seconds,
    )
    parameters = pipeline_parameters(options.pipeline, context.robot.name)
    world_model = dict(parameters['world_model_node'])
    mask = find_mask(clip, options, parameters, context)
    depth = dict(world_model.get('depth', {})) | {'backend': options.depth}
    # There is nothing to calibrate metres to; what is known up to scale gets its scale here.
    method = 'none'
    if options.depth == SENSOR:
        depth[SENSOR] = {'kind': 'metric'}
    else:
        estimator = create_backend(DEPTH_ESTIMATORS, depth, context)
        clip = with_estimated_depth(clip, estimator, mask, options.distance)
        method = 'none' if estimator.kind == 'metric' else 'scale'
    lifting = dict(world_model.get('lifting', {}))
    lifting['calibration'] = dict(lifting.get('calibration', {})) | {'method': method}
    lifting['ego_motion'] = dict(lifting.get('ego_motion', {})) | {'mode': options.camera}
    world_model |= {'depth': depth, 'lifting': lifting}
    if options.tracker:
        world_model['tracking'] = dict(world_model.get('tracking', {})) | {
            'backend': options.tracker
        }
    lifter = create_video_lifter(world_model, context)
    lifted = lifter.lift(clip.video, clip.observation, mask, on_progress=on_progress)
    on_progress('drawing', 0.95)
    report = report_of(clip, mask, lifted)
    write(folder, clip, mask, lifted, report)
    return report


def find_mask(
    clip: Clip, options: LiftOptions, parameters: Mapping[str, Any], context: Context
) -> Mask:
    """Return the object in the first frame: mask, thing in the box, what moves, or by words.

    Raises:
        InvalidInputError: mask or box do not fit; or a clip without depth has neither, and no
            segmenter that does without.
        ClipRejectedError: what moves was looked for, and nothing was found.
        FlowManipError: what the segmenter raises.
    """
    if options.mask is not None:
        return _mask_file(options.mask, clip, options.object)
    if options.box is not None:
        return mask_in_box(clip.video.frames[0], options.box, options.object)
    if options.moving:
        config = EngineConfig(tracker=options.tracker or EngineConfig.tracker)
        return ClipEngine(config, context).moving_thing(clip, options.object)
    segmentation = dict(parameters['segmentation_node'])
    if options.segmenter:
        segmentation['backend'] = options.segmenter
    elif not clip.measured:
        raise InvalidInputError(
            f"'{segmentation['backend']}' finds things by their depth, and this clip has none: "
            'give --box, --mask, --moving or --segmenter grounded_sam2'
        )
    segmenter = create_backend(SEGMENTERS, segmentation, context)
    return segmenter.segment(clip.observation, options.object)


def _mask_file(path: Path, clip: Clip, label: str) -> Mask:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    shape = clip.observation.depth.shape
    if image is None or image.shape != shape:
        got = 'no picture' if image is None else f'{image.shape[1]} x {image.shape[0]} px'
        raise InvalidInputError(f'{path} is {got}, expected {shape[1]} x {shape[0]} px')
    return Mask(image > 0, label)


def report_of(clip: Clip, mask: Mask, lifted: LiftedVideo) -> dict[str, Any]:
    """Return what was found, in numbers and words."""
    flow = lifted.flow
    moved = np.where(flow.visible[..., None], flow.points, np.nan)
    shift = np.linalg.norm(moved[-1] - moved[0], axis=1)
    seen = np.isfinite(shift)
    return {
        'object': mask.label,
        'source': clip.video.source,
        'frames': clip.video.num_frames,
        'seconds_of_clip': round(float(clip.video.times[-1]), 3),
        'scale': clip.scale,
        'frame_id': flow.frame_id,
        'mask_pixels': int(mask.pixels.sum()),
        'points': flow.num_points,
        'visible': round(float(flow.visible.mean()), 3),
        'seen_at_the_end': int(seen.sum()),
        'median_shift': round(float(np.median(shift[seen])), 4) if seen.any() else None,
        'camera': {'source': lifted.camera.source, 'moved': round(lifted.camera.moved, 4)},
        'calibration': {
            'kind': lifted.calibration.kind,
            'scale': round(lifted.calibration.scale, 4),
            'shift': round(lifted.calibration.shift, 4),
            'inlier_share': round(lifted.calibration.inlier_share, 3),
            'residual': round(lifted.calibration.residual, 5),
        },
        'seconds': {stage: round(value, 3) for stage, value in lifted.seconds.items()},
    }


def write(
    folder: Path, clip: Clip, mask: Mask, lifted: LiftedVideo, report: Mapping[str, Any]
) -> None:
    """Write flow.npz, report.json, mask.png, flow.png, flow_3d.png and tracks.mp4.

    Raises:
        RecordError: something cannot be written.
    """
    flow, title = lifted.flow, mask.label
    pictures = {
        'mask': draw_masks(clip.observation, [mask], title),
        'flow': draw_flow(clip.observation, flow, mask, title),
        'flow_3d': draw_flow_3d(clip.observation, flow, title),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            Image.fromarray(picture).save(folder / f'{name}.png')
        (folder / 'report.json').write_text(json.dumps(report, indent=1) + '\n')
        save_flow(flow, folder / 'flow.npz')
    except OSError as error:
        raise RecordError(f'{folder}: {error.strerror}') from error
    write_tracks(clip, lifted, folder / 'tracks.mp4')


def save_flow(flow: ObjectFlow, path: Path) -> None:
    """Write a flow as arrays that need no pickle; texts are arrays of one string."""
    np.savez_compressed(
        path,
        points=flow.points,
        confidence=flow.confidence,
        times=flow.times,
        point_ids=flow.point_ids,
        frame_id=np.array(flow.frame_id),
        object=np.array(flow.object),
        source=np.array(flow.source),
        stamp=np.array(flow.stamp),
    )


def write_tracks(clip: Clip, lifted: LiftedVideo, path: Path) -> None:
    """Write the clip with its tracks drawn on it, tails behind them."""
    tracks = lifted.tracks
    chosen = spread_points(tracks.points[0], DRAWN)
    colors = time_colors(len(chosen))
    writer = VideoWriter(path)
    for step, frame in enumerate(clip.video.frames):
        picture = frame.copy()
        first = max(step - TAIL, 0)
        for color, index in zip(colors, chosen):
            seen = tracks.visible[first : step + 1, index]
            tail = np.rint(tracks.points[first : step + 1, index][seen]).astype(np.int32)
            cv2.polylines(picture, [tail.reshape(-1, 1, 2)], False, color, 2, cv2.LINE_AA)
            if seen.size and seen[-1]:
                cv2.circle(picture, tail[-1].tolist(), 3, color, -1, cv2.LINE_AA)
        writer.add(picture, float(clip.video.times[step]))
    writer.close()
