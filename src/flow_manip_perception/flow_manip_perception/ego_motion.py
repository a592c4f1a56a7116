# SPDX-License-Identifier: Apache-2.0
"""How the camera moved during a video: given, still, or read from the static background.

Points of the background are followed, lifted with the video's depth, and fitted as one rigid body:
three points propose, all vote (RANSAC), and those that agree refine the pose on what was measured,
pixels and depth, each with its own noise. Where points leave the view a new key frame is begun.
A camera that stands still is recognised before any of that, so that no jitter is added. A zoom is
no motion of a rigid body: the same fit with a free focal length tells it, and it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import (
    CameraMotionError,
    CancelledError,
    ConfigurationError,
    InvalidInputError,
)
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.rigid import fit_rigid_transforms
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_core.video import Video
from flow_manip_perception.background import (
    background_queries,
    check_cut,
    check_jump,
    stands_still,
)
from flow_manip_perception.camera_pose import refine_pose
from flow_manip_perception.depth import never
from flow_manip_perception.depth_sampling import depth_edges, sample_depth
from flow_manip_perception.tracking import PointTracker

Array = NDArray[np.float64]
Cancelled = Callable[[], bool]
MODES = ('auto', 'given', 'still', 'background')


@dataclass(frozen=True)
class EgoMotionConfig:
    """How the camera's motion is found, and when it is not.

    Attributes:
        mode: 'auto' (the video's own poses if it has any, else its background), 'given', 'still'
            (whoever made the video held the camera still) or 'background'.
        grid: rows and columns of cells that give one background point each.
        dilation: of the object's mask, within which nothing is background [px].
        still: median motion of the background below which the camera stands [px].
        inlier_band: a point agrees within this, at 1 m; grows with the distance [m].
        iterations: hypotheses of the consensus.
        seed: of the consensus.
        pixel_noise: of tracks, for the weights of the refinement [px].
        depth_noise: of depth, relative, for the weights of the refinement.
        min_points: fewer background points are refused.
        min_inliers: share of them that must agree.
        max_residual: root mean square of those that agree, at 1 m; grows with the distance [m].
        max_zoom: change of the focal length that passes as none.
        key_share: a new key frame is begun when fewer of its points are seen.
        edge_step: relative depth step that parts surfaces.
    """

    mode: str = field(default='auto', metadata={'doc': f'One of {MODES}'})
    grid: int = field(default=24, metadata={'doc': 'Rows and columns of background points'})
    dilation: int = field(default=15, metadata={'doc': "Around the object's mask [px]"})
    still: float = field(default=0.4, metadata={'doc': 'Median motion of a still view [px]'})
    inlier_band: float = field(default=0.02, metadata={'doc': 'Agreement at 1 m [m]'})
    iterations: int = field(default=300, metadata={'doc': 'Hypotheses of the consensus'})
    seed: int = field(default=0, metadata={'doc': 'Seed of the consensus'})
    pixel_noise: float = field(default=0.5, metadata={'doc': 'Noise of tracks [px]'})
    depth_noise: float = field(default=0.005, metadata={'doc': 'Relative noise of depth'})
    min_points: int = field(default=24, metadata={'doc': 'Fewer background points are refused'})
    min_inliers: float = field(default=0.5, metadata={'doc': 'Share of points that agree'})
    max_residual: float = field(default=0.012, metadata={'doc': 'RMS of those that agree [m]'})
    max_zoom: float = field(default=0.03, metadata={'doc': 'Change of focal length'})
    key_share: float = field(default=0.5, metadata={'doc': 'Points left before a new key frame'})
    edge_step: float = field(default=0.02, metadata={'doc': 'Relative step of depth at an edge'})

    def __post_init__(self) -> None:
        """Refuse unknown modes and numbers without meaning."""
        if self.mode not in MODES:
            raise ConfigurationError(f"ego-motion '{self.mode}'; known: {', '.join(MODES)}")
        for name in ('grid', 'inlier_band', 'iterations', 'pixel_noise', 'depth_noise'):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f'ego-motion: {name} is {getattr(self, name)}')
        if self.min_points < 4 or not 0 < self.min_inliers <= 1 or not 0 < self.key_share < 1:
            raise ConfigurationError(
                f'ego-motion: min_points {self.min_points}, min_inliers {self.min_inliers}, '
                f'key_share {self.key_share}'
            )


@dataclass(frozen=True)
class CameraMotion:
    """Where the camera was.

    Attributes:
        poses: (T, 4, 4) T_world_camera, the first being the observation's.
        source: 'given', 'still' or 'background'.
        residuals: (T,) root mean square of the background points that agree, at 1 m [m]; 0 where
            none were needed.
        inlier_share: (T,) of the background points that agree; 1 where none were needed.
        zoom: (T,) focal length over the first frame's; 1 where none was fitted.
    """

    poses: Array
    source: str
    residuals: Array
    inlier_share: Array
    zoom: Array

    @property
    def moved(self) -> float:
        """How far the camera went at most [m]."""
        return float(np.linalg.norm(self.poses[:, :3, 3] - self.poses[0, :3, 3], axis=1).max())


def still_camera(num_frames: int, T_world_camera: NDArray, source: str = 'still') -> CameraMotion:
    """Return the motion of a camera that stands."""
    poses = np.tile(np.asarray(T_world_camera, dtype=np.float64), (num_frames, 1, 1))
    ones = np.ones(num_frames)
    return CameraMotion(poses, source, np.zeros(num_frames), ones, ones)


def given_motion(camera_poses: NDArray, T_world_camera: NDArray) -> CameraMotion:
    """Return poses that came with a video, with the first one put where the observation was.

    Args:
        camera_poses: (T, 4, 4) in any fixed frame.
        T_world_camera: (4, 4) of the observation.
    """
    steps = invert_transform(camera_poses[0]) @ np.asarray(camera_poses, dtype=np.float64)
    still = still_camera(len(steps), T_world_camera, 'given')
    return CameraMotion(
        np.asarray(T_world_camera) @ steps,
        'given',
        still.residuals,
        still.inlier_share,
        still.zoom,
    )


def find_camera_motion(
    video: Video,
    depth: NDArray,
    camera: CameraModel,
    T_world_camera: NDArray,
    tracker: PointTracker,
    config: EgoMotionConfig | None = None,
    *,
    mask: NDArray | None = None,
    object_tracks: PointTracks | None = None,
    cancelled: Cancelled = never,
) -> CameraMotion:
    """Find how the camera moved, in the way that `config.mode` says.

    Args:
        video: to look at.
        depth: (T, H, W) [m], NaN where unknown.
        camera: of the frames.
        T_world_camera: (4, 4) at the first frame.
        tracker: follows the background.
        config: way and limits.
        mask: (H, W) bool of the first frame: what moves by itself.
        object_tracks: where that is later, for key frames.
        cancelled: polled once per frame.

    Raises:
        InvalidInputError: shapes do not belong together.
        CameraMotionError: the motion is not determined, or no motion; the message has the numbers.
        ImplausibleVideoError: the view changes from one frame to the next.
        CancelledError: `cancelled` said so.
    """
    config = config or EgoMotionConfig()
    shape = (video.num_frames, camera.height, camera.width)
    if depth.shape != shape or video.frames.shape[:3] != shape:
        raise InvalidInputError(
            f'depth {depth.shape}, frames {video.frames.shape} and camera {shape[1:]} do not '
            'belong together'
        )
    if config.mode == 'given' and video.camera_poses is None:
        raise CameraMotionError(f"the video of '{video.source}' came without camera poses")
    if video.camera_poses is not None and config.mode in ('auto', 'given'):
        return given_motion(video.camera_poses, T_world_camera)
    if config.mode == 'still':
        return still_camera(video.num_frames, T_world_camera)
    key, pose = 0, np.asarray(T_world_camera, dtype=np.float64)
    found = still_camera(video.num_frames, pose, 'background')
    poses, residuals = found.poses.copy(), found.residuals.copy()
    shares, zoom = found.inlier_share.copy(), found.zoom.copy()
    while key < video.num_frames - 1:
        moving = _moving(mask, object_tracks, key, config.dilation, shape[1:])
        background = track_background(
            video, depth, key, moving, tracker, config, cancelled=cancelled
        )
        if key == 0 and stands_still(background, config.still):
            return still_camera(video.num_frames, pose)
        check_cut(background, key)
        last = _next_key(background, config.key_share)
        part = fit_background(
            background, depth[key : key + last + 1], camera, config, frame=key, cancelled=cancelled
        )
        here = slice(key, key + last + 1)
        poses[here], residuals[here] = poses[key] @ part.poses, part.residuals
        shares[here], zoom[here] = part.inlier_share, zoom[key] * part.zoom
        key += last
    check_jump(poses)
    return CameraMotion(poses, 'background', residuals, shares, zoom)


def track_background(
    video: Video,
    depth: NDArray,
    key: int,
    moving: NDArray[np.bool_],
    tracker: PointTracker,
    config: EgoMotionConfig,
    *,
    cancelled: Cancelled = never,
) -> PointTracks:
    """Follow a grid of background points with depth from frame `key` to the end.

    Raises:
        CameraMotionError: there is too little background.
    """
    # Corners of silhouettes belong to what lies behind as well.
    edges = depth_edges(depth[key], config.edge_step).astype(np.uint8)
    usable = np.isfinite(depth[key]) & ~moving & (cv2.dilate(edges, np.ones((7, 7))) == 0)
    queries = background_queries(video.frames[key], usable, config.grid, 3 * config.min_points)
    if len(queries) < config.min_points:
        raise CameraMotionError(
            f'{len(queries)} of {config.grid**2} cells of frame {key} have background with depth '
            f'and texture, {config.min_points} are needed'
        )
    rest = Video(
        video.frames[key:],
        video.times[key:] - video.times[key],
        source=video.source,
    )
    # Without depth: one that flickers looks like something that passes in front.
    return tracker.track(rest, queries, cancelled=cancelled)


def _moving(
    mask: NDArray | None,
    tracks: PointTracks | None,
    key: int,
    dilation: int,
    shape: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Return (H, W) True where the object is at frame `key`, with a margin."""
    moving = np.zeros(shape, np.uint8)
    if key == 0 and mask is not None:
        moving[:] = mask
    elif tracks is not None:
        seen = tracks.points[key][tracks.visible[key]]
        if len(seen) >= 3:
            cv2.fillConvexPoly(moving, cv2.convexHull(np.rint(seen).astype(np.int32)), 1)
    side = 2 * dilation + 1
    return cv2.dilate(moving, np.ones((side, side), np.uint8)) > 0


def _next_key(background: PointTracks, share: float) -> int:
    """Return the last frame that still shows enough of the first frame's points, at least 1."""
    seen = background.visible.sum(axis=1)
    enough = np.flatnonzero(seen < share * max(int(seen[0]), 1))
    return max(int(enough[0]) - 1, 1) if len(enough) else len(seen) - 1


def fit_background(
    background: PointTracks,
    depth: NDArray,
    camera: CameraModel,
    config: EgoMotionConfig,
    *,
    frame: int = 0,
    cancelled: Cancelled = never,
) -> CameraMotion:
    """Fit the camera's pose at every frame of `depth` from tracks of static points.

    Args:
        background: tracks with at least as many frames.
        depth: (K, H, W) [m].
        camera: of the frames.
        config: limits.
        frame: number of the first frame, for messages.
        cancelled: polled once per frame.

    Returns:
        Motion in the frame of the first camera: the first pose is identity.

    Raises:
        CameraMotionError: too few points, too few that agree, a large residual, or a zoom.
        CancelledError: `cancelled` said so.
    """
    rng, noise = np.random.default_rng(config.seed), (config.pixel_noise, config.depth_noise)
    start = _lift(background, 0, depth[0], camera, config)
    motion = still_camera(len(depth), np.eye(4), 'background')
    poses, guess = motion.poses, np.eye(4)
    residuals, shares, zoom = (
        a.copy() for a in (motion.residuals, motion.inlier_share, motion.zoom)
    )
    for step in range(1, len(depth)):
        if cancelled():
            raise CancelledError(f'cancelled at frame {frame + step} of the camera motion')
        now = _lift(background, step, depth[step], camera, config)
        known = np.isfinite(start).all(axis=1) & np.isfinite(now).all(axis=1)
        where = f'frame {frame + step}'
        if known.sum() < config.min_points:
            raise CameraMotionError(
                f'{where}: {int(known.sum())} background points have depth here and at frame '
                f'{frame}, {config.min_points} are needed'
            )
        guess, agree = _consensus(start[known], now[known], guess, config, rng)
        pixels = background.points[step][known].astype(np.float64)
        if agree.sum() >= 4:
            guess, zoom[step], factor = refine_pose(
                guess, start[known][agree], pixels[agree], now[known][agree, 2], camera, noise
            )
            now = now / factor
            agree = _agree(start[known], now[known], guess[None], config)[0]
        away = np.linalg.norm(transform_points(guess, start[known]) - now[known], axis=1)
        away /= np.maximum(now[known, 2], 1.0)
        shares[step] = agree.mean()
        residuals[step] = np.sqrt((away[agree] ** 2).mean()) if agree.any() else np.inf
        _check_frame(where, int(known.sum()), shares[step], residuals[step], zoom[step], config)
        poses[step] = invert_transform(guess)
    return CameraMotion(poses, 'background', residuals, shares, zoom)


def _check_frame(
    where: str, count: int, share: float, residual: float, zoom: float, config: EgoMotionConfig
) -> None:
    """Refuse what no motion of a rigid camera explains.

    Raises:
        CameraMotionError: with the numbers.
    """
    problems = []
    if abs(zoom - 1.0) > config.max_zoom:
        problems.append(
            f'the focal length changes by {zoom - 1.0:+.1%} (limit {config.max_zoom:.1%}): a zoom'
        )
    if share < config.min_inliers:
        problems.append(
            f'{share:.0%} of {count} background points move as one, {config.min_inliers:.0%} are '
            'needed'
        )
    if residual > config.max_residual:
        problems.append(f'residual {residual:.4f} m, limit {config.max_residual:g} m')
    if problems:
        raise CameraMotionError(f'{where}: ' + '; '.join(problems))


def _lift(
    tracks: PointTracks, step: int, depth: NDArray, camera: CameraModel, config: EgoMotionConfig
) -> Array:
    """Return (N, 3) points in the camera's frame, NaN where hidden, without depth or mixed."""
    pixels = np.where(tracks.visible[step][:, None], tracks.points[step], np.nan)
    found = sample_depth(depth, pixels, config.edge_step)
    clear = ~found.mixed & (found.edge_distance > 1.0)
    return camera.deproject(pixels, np.where(clear, found.depth, np.nan))


def _agree(
    start: Array, now: Array, transforms: Array, config: EgoMotionConfig
) -> NDArray[np.bool_]:
    """Return (M, N) True where (M, 4, 4) transforms carry points to where they are now."""
    away = transforms[:, :3, :3] @ start.T + transforms[:, :3, 3:] - now.T
    band = config.inlier_band * np.maximum(now[:, 2], 1.0)
    return np.einsum('min,min->mn', away, away) <= band**2


def _consensus(
    start: Array, now: Array, before: Array, config: EgoMotionConfig, rng: np.random.Generator
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the rigid motion that most points agree on, and (N,) which do.

    The pose of the frame before takes part as a hypothesis.
    """
    picks = rng.integers(len(start), size=(config.iterations, 3))
    fits = fit_rigid_transforms(start[picks], now[picks])
    candidates = np.concatenate([before[None], fits.transforms[fits.determined]])
    agree = _agree(start, now, candidates, config)
    best = int(agree.sum(axis=1).argmax())
    pose, members = candidates[best], agree[best]
    for _ in range(3):
        if members.sum() < 4:
            break
        fit = fit_rigid_transforms(start, now[None], members[None].astype(float))
        if not fit.determined[0]:
            break
        pose = fit.transforms[0]
        members = _agree(start, now, pose[None], config)[0]
    return pose, members
