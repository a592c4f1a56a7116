# SPDX-License-Identifier: Apache-2.0
"""Real recordings: what is left of the flow of a static room, and poses of a moved flashlight.

`handheld_rgbd`: a room in which nothing moves, filmed from the hand. Points on a grid are followed
and lifted; once the camera's motion is taken out, by the poses that came with the recording or by
those read from the background, nothing should be left. Peer: no removal. The poses from the
background are held against the recording's own, which have errors of their own.

`arc_bin`: one real RGB-D image of a bin and one of the same bin empty. The flashlight's pixels are
carried along known rigid motions and drawn over the empty bin, with depth of an unknown scale and
shift; the video is lifted, and its points' rigid motion held against the truth. Peer: the same
lifting of chained DIS flow, AVDC's way.

The recordings lie in ``../shared/data`` beside the checkout or in ``$FLOW_MANIP_DATA``; what is
not there is left out, and said so.

A part of it: ``python tests/benchmarks/ego_motion.py --motions 3 --pictures /tmp/out``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rows import row

from flow_manip_cameras.recording import RecordingCamera
from flow_manip_core.backends import create_backend, pipeline_parameters
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import FlowManipError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.rigid import fit_rigid_transforms, flow_weights
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    rotation_about,
    transform_distance,
    transform_points,
)
from flow_manip_core.video import Video
from flow_manip_perception.depth.sensor import SensorDepth
from flow_manip_perception.ego_motion import EgoMotionConfig, find_camera_motion
from flow_manip_perception.lifting import lift_tracks, LiftingConfig
from flow_manip_perception.segmentation import SEGMENTERS
from flow_manip_perception.tracking import PointTracker, TRACKERS
from flow_manip_perception.tracking.queries import grid_queries
from flow_manip_perception.video_to_flow import VideoToFlow

DATA = Path(os.environ.get('FLOW_MANIP_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
MOTIONS, SEED = 8, 0
FRAMES, RATE = 24, 16.0
SATURATED = 60.0  # [m] depth counts of 65535 are no reading
# The room's depth and colour are not registered, and the intrinsics are those of depth. Edges of
# both meet best, over ten frames, where depth pixels are scaled and shifted like this.
REGISTERED = np.array([[0.9, 0.0, 24.0], [0.0, 0.9, 23.0]])
Array = NDArray[np.float64]


def run(motions: int = MOTIONS, seed: int = SEED, pictures: Path | None = None) -> list[Any]:
    """Measure and return the rows."""
    rows: list[dict[str, Any]] = []
    context = Context(load_robot('franka'), load_rig('arc_bin'))
    parts: dict[str, Callable[[], list[dict[str, Any]]]] = {
        'handheld_rgbd': lambda: room_rows(DATA / 'handheld_rgbd', context, pictures),
        'arc_bin': lambda: bin_rows(DATA / 'arc_bin', context, motions, seed, pictures),
    }
    for name, measure in parts.items():
        if (DATA / name).is_dir():
            rows += measure()
        else:
            print(f'  {name} is left out: no recording at {DATA / name} (set FLOW_MANIP_DATA)')
    return rows


def default_tracker(context: Context) -> PointTracker:
    """Return the tracker of the CPU profile."""
    return create_backend(TRACKERS, {'backend': 'lucas_kanade'}, context)


# ---------------------------------------------------------------- a static room


def read_room(folder: Path) -> tuple[Video, CameraModel]:
    """Return the hand-held recording, with metric depth registered to colour, and poses."""
    names = sorted(folder.glob('frame-*.color.jpg'))
    frames, depths, poses = [], [], []
    for path in names:
        stem = path.name.split('.')[0]
        frames.append(cv2.imread(str(path))[..., ::-1])
        counts = cv2.imread(str(folder / f'{stem}.depth.png'), cv2.IMREAD_UNCHANGED)
        depth = counts.astype(np.float32) / 1000.0
        depth = np.where((depth > 0) & (depth < SATURATED), depth, np.nan)
        depths.append(
            cv2.warpAffine(
                depth, REGISTERED, depth.shape[::-1], flags=cv2.INTER_NEAREST, borderValue=np.nan
            )
        )
        pose = np.loadtxt(folder / f'{stem}.pose.txt')
        # Written with seven digits: put the rotation right.
        u, _, vt = np.linalg.svd(pose[:3, :3])
        poses.append(make_transform(pose[:3, 3], u @ vt))
    numbers = np.array([int(path.name.split('.')[0].split('-')[1]) for path in names])
    times = (numbers - numbers[0]) / 30.0
    matrix = np.eye(3)
    matrix[:2] = REGISTERED @ np.loadtxt(folder / 'camera-intrinsics.txt')
    camera = CameraModel.from_matrix(frames[0].shape[1], frames[0].shape[0], matrix)
    video = Video(
        np.stack(frames),
        times,
        source='handheld_rgbd',
        depth=np.stack(depths).astype(np.float32),
        camera_poses=np.stack(poses),
    )
    return video, camera


def room_rows(folder: Path, context: Context, pictures: Path | None) -> list[dict[str, Any]]:
    """Return the rows of the static room."""
    video, camera = read_room(folder)
    assert video.depth is not None
    assert video.camera_poses is not None
    tracker = default_tracker(context)
    known = np.isfinite(video.depth[0])
    queries = grid_queries(video.size, 32)
    queries = queries[known[tuple(np.rint(queries[:, ::-1]).astype(int).T)]]
    tracks = tracker.track(video, queries)
    poses = video.camera_poses
    unknown = replace(video, camera_poses=None)
    found = find_camera_motion(
        unknown, video.depth, camera, poses[0], tracker, EgoMotionConfig(mode='background')
    )
    ways = {'none': poses[0], 'given': poses, 'background': found.poses}
    left = {name: _left(tracks, video, camera, way) for name, way in ways.items()}
    if pictures is not None:
        _draw_room(pictures, video, tracks, left)
    errors = np.array([transform_distance(a, b) for a, b in zip(found.poses, poses, strict=True)])
    moved = float(np.linalg.norm(poses[:, :3, 3] - poses[0, :3, 3], axis=1).max())
    n = len(poses)
    rows = [
        row(
            f'handheld_residual_flow_{name}', 1e3 * float(np.nanmedian(left[name])), 'mm',
            n=int(np.isfinite(left[name]).sum()), peer='no_removal',
            peer_value=1e3 * float(np.nanmedian(left['none'])),
            percentile_90=1e3 * float(np.nanpercentile(left[name], 90)),
        )
        for name in ('given', 'background')
    ]  # fmt: skip
    shift, turn = float(np.median(errors[:, 0])), float(np.median(errors[:, 1]))
    common = {'n': n, 'moved_mm': 1e3 * moved, 'inlier_share': float(found.inlier_share.min())}
    return [
        *rows,
        row('handheld_pose_difference', 1e3 * shift, 'mm', **common),
        row('handheld_turn_difference', float(np.degrees(turn)), 'deg', **common),
    ]


def _left(tracks: PointTracks, video: Video, camera: CameraModel, poses: Array) -> Array:
    """Return (T - 1, N) how far points are from where they began [m], NaN where not seen."""
    # No limit on what moves: the camera's whole motion is in the flow of the peer.
    config = LiftingConfig(keep='per_frame', max_speed=1e3, max_stretch=0.0)
    flow = lift_tracks(tracks, np.asarray(video.depth), camera, poses, config)
    away = np.linalg.norm(flow.points[1:] - flow.points[0], axis=-1)
    return np.where(flow.visible[1:] & flow.visible[0], away, np.nan)


def _draw_room(folder: Path, video: Video, tracks: PointTracks, left: dict[str, Array]) -> None:
    """Write the last frame with its tracks, and what is left of the flow over time."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = video.frames[-1][..., ::-1].copy()
    for a, b, seen in zip(tracks.points[0], tracks.points[-1], tracks.visible[-1], strict=True):
        if seen:
            ends = [tuple(int(x) for x in p) for p in (a, b)]
            cv2.line(picture, ends[0], ends[1], (0, 200, 0), 1)
            cv2.circle(picture, ends[1], 2, (0, 0, 255), -1)
    cv2.imwrite(str(folder / 'room_tracks.png'), picture)
    for name, away in left.items():
        print(f'  left with {name}, mm per frame:', np.nanmedian(away, axis=1).round(4) * 1e3)


# ---------------------------------------------------------------- a flashlight


def bin_rows(
    folder: Path, context: Context, motions: int, seed: int, pictures: Path | None
) -> list[dict[str, Any]]:
    """Return the rows of the flashlight that is moved by hand of the program."""
    camera = RecordingCamera(RecordingCamera.Config(path=str(folder)), context)
    observation = next(camera.frames())
    parameters = pipeline_parameters('default', 'franka')['segmentation_node']
    mask = create_backend(SEGMENTERS, parameters, context).segment(observation, 'blue flashlight')
    empty = _read_empty(folder, observation)
    trackers = {'lucas_kanade': default_tracker(context), 'dis': DisTracker()}
    errors: dict[str, list[Array]] = {name: [] for name in trackers}
    for number in range(motions):
        poses = _motion(observation, mask, np.random.default_rng([23, seed, number]))
        video = draw_motion(observation, mask, empty, poses, seed + number)
        if pictures is not None:
            _draw_bin(pictures / f'bin_{number}.png', video)
        for name, tracker in trackers.items():
            try:
                errors[name].append(pose_error(video, observation, mask, poses, tracker, context))
            except FlowManipError as error:
                print(f'  {name}, motion {number}: {type(error).__name__}: {error}', flush=True)
    return _bin_rows(errors, motions, seed)


def _bin_rows(errors: dict[str, list[Array]], motions: int, seed: int) -> list[dict[str, Any]]:
    """Return a row per measure, the default tracker against DIS."""
    measured = {name: np.array(e).reshape(-1, 3) for name, e in errors.items()}
    ours, theirs = measured['lucas_kanade'], measured['dis']
    rows = []
    names = (('end_error', 'mm'), ('end_turn', 'deg'), ('way_error', 'mm'))
    for column, (what, unit) in enumerate(names):
        rows.append(
            row(
                f'arc_bin_{what}',
                float(np.median(ours[:, column])) if len(ours) else float('nan'),
                unit,
                n=motions,
                seed=seed,
                peer='dis',
                peer_value=float(np.median(theirs[:, column])) if len(theirs) else None,
                answered=len(ours),
                peer_answered=len(theirs),
                worst=float(ours[:, column].max()) if len(ours) else None,
            )
        )
    return rows


def _read_empty(folder: Path, observation: Observation) -> tuple[NDArray[np.uint8], Array]:
    """Return colour and depth [m] of the empty bin, holes in depth filled from around them."""
    color = cv2.imread(str(folder / 'background-0.color.png'))[..., ::-1]
    counts = cv2.imread(str(folder / 'background-0.depth.png'), cv2.IMREAD_UNCHANGED)
    depth = counts.astype(np.float64) / 1e4
    hole = depth <= 0
    _, label = cv2.distanceTransformWithLabels(
        hole.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(label.max() + 1)
    values[label[~hole]] = depth[~hole]
    return color.astype(np.uint8), values[label]


def _motion(observation: Observation, mask: Mask, rng: np.random.Generator) -> Array:
    """Return (T, 4, 4) T_world_start: up, aside and down again, turning and tilting."""
    centre = mask.points(observation).mean(axis=0)
    share = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, FRAMES))
    heading = rng.uniform(-np.pi, np.pi)
    aside = rng.uniform(0.05, 0.10) * np.array([np.cos(heading), np.sin(heading), 0.0])
    rise, turn, tilt = rng.uniform(0.06, 0.12), rng.uniform(-0.8, 0.8), rng.uniform(-0.3, 0.3)
    poses = []
    for s in share:
        up = np.array([0.0, 0.0, rise * np.sin(0.75 * np.pi * s)])
        spin = rotation_about([0, 0, 1], turn * s) @ rotation_about([1, 0, 0], tilt * s)
        poses.append(
            make_transform(centre + s * aside + up) @ make_transform(rotation=spin)
            @ make_transform(-centre)
        )  # fmt: skip
    return np.stack(poses)


def draw_motion(
    observation: Observation,
    mask: Mask,
    empty: tuple[NDArray[np.uint8], Array],
    poses: Array,
    seed: int,
) -> Video:
    """Draw the masked pixels moved by (T, 4, 4), over the scene without them.

    Where they were, the empty bin is seen. Depth comes with an unknown scale and shift.
    """
    rng = np.random.default_rng([29, seed])
    grown = cv2.dilate(mask.pixels.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    color = np.where(grown[..., None], empty[0], observation.color)
    depth = np.where(grown, empty[1], observation.depth)
    points, paint = _surface(observation, mask.pixels)
    inverse = invert_transform(observation.T_world_camera)
    frames, depths = [observation.color], [observation.depth]
    for pose in poses[1:]:
        frame, under = color.copy(), depth.copy()
        _splat(observation.camera, transform_points(inverse @ pose, points), paint, frame, under)
        frames.append(frame)
        depths.append(under.astype(np.float32))
    scale, shift = rng.uniform(0.6, 1.6), rng.uniform(-0.1, 0.1)
    told = (scale * np.stack(depths) + shift).astype(np.float32)
    return Video(np.stack(frames), np.arange(len(poses)) / RATE, source='arc_bin', depth=told)


def _surface(observation: Observation, mask: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return (M, 3) world points, nine for each pixel of the mask, and their colours."""
    smooth = cv2.medianBlur(np.nan_to_num(observation.depth), 5)
    rows, columns = np.nonzero(mask & (smooth > 0))
    offsets = np.array([(u, v) for u in (-1, 0, 1) for v in (-1, 0, 1)]) / 3.0
    pixels = (np.stack([columns, rows], axis=1)[:, None] + offsets).reshape(-1, 2)
    depth = np.repeat(smooth[rows, columns], len(offsets))
    local = observation.camera.deproject(pixels, depth)
    paint = np.repeat(observation.color[rows, columns], len(offsets), axis=0)
    return transform_points(observation.T_world_camera, local), paint


def _splat(
    camera: CameraModel, points: Array, paint: Array, frame: NDArray, depth: NDArray
) -> None:
    """Draw (M, 3) points of the optical frame into colour and depth, the nearest last."""
    pixels = np.rint(camera.project(points)).astype(int)
    inside = (pixels >= 0).all(axis=1) & (pixels < [camera.width, camera.height]).all(axis=1)
    order = np.flatnonzero(inside)[np.argsort(-points[inside, 2], kind='stable')]
    columns, rows = pixels[order].T
    z = points[order, 2]
    with np.errstate(invalid='ignore'):
        # Depth of the bin is measured with a few millimetres of noise.
        front = ~(z > depth[rows, columns] + 0.003)
    rows, columns, order = rows[front], columns[front], order[front]
    frame[rows, columns], depth[rows, columns] = paint[order], points[order, 2]


def pose_error(
    video: Video,
    observation: Observation,
    mask: Mask,
    poses: Array,
    tracker: PointTracker,
    context: Context,
) -> Array:
    """Return the end error [mm], the end turn [deg] and the largest error on the way [mm]."""
    estimator = SensorDepth(SensorDepth.Config(kind='relative'), context)
    lifter = VideoToFlow(
        VideoToFlow.Config(lifting=LiftingConfig(keep='share')), context, estimator, tracker
    )
    lifted = lifter.lift(video, observation, mask)
    flow = lifted.flow
    points = np.nan_to_num(flow.points.astype(np.float64))
    fits = fit_rigid_transforms(points[0], points, flow_weights(flow))
    centre = mask.points(observation).mean(axis=0)
    where = transform_points_each(fits.transforms, centre) - transform_points_each(poses, centre)
    away = np.where(fits.determined, 1e3 * np.linalg.norm(where, axis=1), np.inf)
    turn = np.degrees(transform_distance(fits.transforms[-1], poses[-1])[1])
    return np.array([away[-1], turn, away.max()])


def transform_points_each(transforms: Array, point: Array) -> Array:
    """Return (T, 3) one point moved by each of (T, 4, 4)."""
    return transforms[:, :3, :3] @ point + transforms[:, :3, 3]


class DisTracker:
    """The peer: dense flow from frame to frame, chained (AVDC). Everything counts as seen."""

    def track(self, video: Video, queries: NDArray, **_: Any) -> PointTracks:
        """Follow (N, 2) pixels; see `PointTracker`."""
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video.frames]
        points = [np.asarray(queries, dtype=np.float32)]
        for before, after in pairwise(gray):
            dense = flow.calc(before, after, None)
            at = points[-1]
            step = cv2.remap(dense, at[:, 0], at[:, 1], cv2.INTER_LINEAR)[:, 0]
            points.append(at + step)
        stacked = np.stack(points)
        return PointTracks(stacked, np.ones(stacked.shape[:2], np.float32), video.times)

    def stream(self, **_: Any) -> Any:
        """Nobody asks for it here."""
        raise NotImplementedError


def _draw_bin(path: Path, video: Video) -> None:
    """Write the first, the middle and the last frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = [video.frames[k] for k in (0, video.num_frames // 2, -1)]
    cv2.imwrite(str(path), np.hstack(chosen)[..., ::-1])


def main() -> None:
    """Run a part of it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--motions', type=int, default=MOTIONS)
    parser.add_argument('--seed', type=int, default=SEED)
    parser.add_argument('--pictures', type=Path, default=None)
    given = parser.parse_args()
    for entry in run(given.motions, given.seed, given.pictures):
        theirs = (
            '' if entry['peer_value'] is None else f'{entry["peer"]}: {entry["peer_value"]:.3g}'
        )
        print(f'{entry["name"]:<34} {entry["value"]:.3g} {entry["unit"]}  {theirs}')


if __name__ == '__main__':
    main()
