# SPDX-License-Identifier: Apache-2.0
"""2D tracks and depth to 3D object flow.

A point's depth is read within its own surface, its confidence is the tracker's, weakened beside
depth edges; positions that no object could have reached are left out. Which points stay is a rule
of its own: those seen throughout (NovaFlow), most of the time, or whatever is valid in each frame
(Dream2Flow).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import (
    CancelledError,
    ConfigurationError,
    ImplausibleVideoError,
    InvalidInputError,
    TracksLostError,
)
from flow_manip_core.flow import MAX_COORDINATE, ObjectFlow, VISIBLE_ABOVE
from flow_manip_core.point_tracks import PointTracks
from flow_manip_perception.depth import never
from flow_manip_perception.depth_sampling import sample_depth
from flow_manip_perception.tracking.spatial import SpatialTracks

KEEP = ('always', 'share', 'per_frame')
NEIGHBOURS = 8
SLACK = 0.02  # [m] of depth noise that is no motion
Array = NDArray[np.float64]


@dataclass(frozen=True)
class LiftingConfig:
    """How tracks become flow.

    Attributes:
        keep: 'always' (points seen in every frame, NovaFlow), 'share' (in `min_share` of them) or
            'per_frame' (points seen in the first frame, valid where they are, Dream2Flow).
        min_share: of the frames that a point must be seen in, for 'share'.
        min_points: fewer are refused, at the first frame and at the last.
        min_frames: share of the frames that must show `min_points`.
        edge_step: relative depth step that is an edge between surfaces.
        edge_margin: nearer to an edge than this, a point loses confidence [px].
        own_surface: a depth this near to where the point's surface was going is its own [m].
        max_speed: of any point; what is faster is rejected [m/s].
        max_stretch: of the distances to a point's neighbours, in the median; what is pulled
            farther is rejected [m]. 0 turns it off.
        smoothing: standard deviation in time of the weights of a local line [s]; 0 is off.
    """

    keep: str = field(default='share', metadata={'doc': f'One of {KEEP}'})
    min_share: float = field(default=0.8, metadata={'doc': 'Frames that show a point'})
    min_points: int = field(default=6, metadata={'doc': 'Fewer points are refused'})
    min_frames: float = field(default=0.5, metadata={'doc': 'Frames that show min_points'})
    edge_step: float = field(default=0.02, metadata={'doc': 'Relative step of depth at an edge'})
    edge_margin: float = field(default=2.0, metadata={'doc': 'Less confidence beside edges [px]'})
    own_surface: float = field(default=0.015, metadata={'doc': 'Depth of the same surface [m]'})
    max_speed: float = field(default=2.0, metadata={'doc': 'Faster points are rejected [m/s]'})
    max_stretch: float = field(default=0.02, metadata={'doc': 'Farther pulled is rejected [m]'})
    smoothing: float = field(default=0.0, metadata={'doc': 'Smoothing over time [s], 0 is off'})

    def __post_init__(self) -> None:
        """Refuse unknown rules and numbers without meaning."""
        if self.keep not in KEEP:
            raise ConfigurationError(f"lifting keeps '{self.keep}'; known: {', '.join(KEEP)}")
        for name in ('min_share', 'min_frames'):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigurationError(f'lifting: {name} is {getattr(self, name)}')
        for name in ('edge_step', 'max_speed', 'own_surface'):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f'lifting: {name} is {getattr(self, name)}')
        if self.min_points < 1 or min(self.edge_margin, self.max_stretch, self.smoothing) < 0:
            raise ConfigurationError(
                f'lifting: min_points {self.min_points}, edge_margin {self.edge_margin}, '
                f'max_stretch {self.max_stretch}, smoothing {self.smoothing}'
            )


def lift_tracks(
    tracks: PointTracks,
    depth: NDArray,
    camera: CameraModel,
    T_world_camera: NDArray,
    config: LiftingConfig | None = None,
    *,
    object: str = '',
    source: str = '',
    frame_id: str = 'world',
    stamp: float = 0.0,
    cancelled: Callable[[], bool] = never,
) -> ObjectFlow:
    """Lift tracks into the world.

    Args:
        tracks: (T, N) in the pixels of `depth`.
        depth: (T, H, W) along the optical axis [m], NaN where unknown.
        camera: of those pixels.
        T_world_camera: (4, 4), or (T, 4, 4) of a moving camera.
        config: rules and limits.
        object: words for the object.
        source: where the flow comes from.
        frame_id: of "world".
        stamp: of the observation that the flow starts from [s].
        cancelled: polled once per frame.

    Returns:
        Flow with the ids of the tracks that were kept; where a point has no confidence its
        position is NaN.

    Raises:
        InvalidInputError: shapes do not belong together.
        TracksLostError: too little is left; the message says how many points were lost to what.
        ImplausibleVideoError: most points jump at once, as at a cut.
        CancelledError: `cancelled` said so.
    """
    config = config or LiftingConfig()
    num_steps, num_points = tracks.confidence.shape
    poses = np.broadcast_to(np.asarray(T_world_camera, dtype=np.float64), (num_steps, 4, 4))
    if depth.shape != (num_steps, camera.height, camera.width):
        raise InvalidInputError(
            f'depth is {depth.shape}, the tracks have {num_steps} frames and the camera '
            f'{camera.height} x {camera.width} px'
        )
    z, confidence = _surface_depth(tracks, depth, config, cancelled)
    if isinstance(tracks, SpatialTracks):
        # The tracker knows better, and knows what is hidden.
        believed = tracks.support > confidence
        z = np.where(believed, tracks.depth, z)
        confidence = np.where(believed, tracks.support, confidence)
    local = camera.deproject(np.where(np.isfinite(tracks.points), tracks.points, 0.0), z)
    points = np.einsum('tij,tnj->tni', poses[:, :3, :3], local) + poses[:, None, :3, 3]
    lost = {'not tracked': int((~tracks.visible).any(axis=0).sum())}
    valid = (confidence > 0) & (np.abs(points) < MAX_COORDINATE).all(axis=-1)
    lost['without depth'] = int((tracks.visible & ~valid).any(axis=0).sum())
    lost['beside an edge'] = int((valid & (confidence <= VISIBLE_ABOVE)).any(axis=0).sum())
    jumped = valid & ~reachable(points, valid, tracks.times, config.max_speed)
    valid &= ~jumped
    torn = valid & ~unstretched(points, valid, config.max_stretch)
    valid &= ~torn
    lost['too fast'], lost['pulled away'] = (int(a.any(axis=0).sum()) for a in (jumped, torn))
    if config.smoothing > 0:
        points = smooth(points, np.where(valid, confidence, 0.0), tracks.times, config.smoothing)
    confidence = np.where(valid, confidence, 0.0)
    kept = _kept(confidence > VISIBLE_ABOVE, config, num_points, lost)
    return ObjectFlow(
        points=np.where(valid[..., None], points, np.nan)[:, kept].astype(np.float32),
        confidence=confidence[:, kept].astype(np.float32),
        times=tracks.times,
        frame_id=frame_id,
        object=object,
        source=source,
        point_ids=tracks.point_ids[kept],
        stamp=stamp,
    )


def _surface_depth(
    tracks: PointTracks, depth: NDArray, config: LiftingConfig, cancelled: Callable[[], bool]
) -> tuple[Array, Array]:
    """Return (T, N) depth on each point's own surface, and confidence.

    Where a point lies between two surfaces, it takes the pixel that is nearest in depth to where
    it was last seen, moved as the other points moved since; if none is near, it is not valid.
    """
    num_steps, num_points = tracks.confidence.shape
    z, confidence = np.full((2, num_steps, num_points), np.nan)
    last, margin = np.full(num_points, np.nan), config.edge_margin
    for step in range(num_steps):
        if cancelled():
            raise CancelledError(f'cancelled at frame {step} of {num_steps} while lifting')
        seen = tracks.confidence[step] > 0
        pixels = np.where(seen[:, None], tracks.points[step], np.nan)
        found = sample_depth(depth[step], pixels, config.edge_step)
        clear = np.isfinite(found.depth) & ~found.mixed
        common = clear & np.isfinite(last)
        moved = np.median(found.depth[common] - last[common]) if common.any() else 0.0
        value = np.where(found.mixed, np.nan, found.depth)
        doubtful = seen & ~clear & np.isfinite(last)
        if doubtful.any():
            away = np.abs(found.corners[doubtful] - (last[doubtful] + moved)[:, None])
            away = np.where(np.isfinite(away), away, np.inf)
            best = away.argmin(axis=1)
            own = np.take_along_axis(found.corners[doubtful], best[:, None], axis=1)[:, 0]
            value[doubtful] = np.where(away.min(axis=1) <= config.own_surface, own, np.nan)
        z[step] = value
        weight = np.clip((found.edge_distance + 1.0) / (margin + 1.0), 0.0, 1.0)
        confidence[step] = np.where(
            np.isfinite(value) & seen, tracks.confidence[step] * weight, 0.0
        )
        last = np.where(confidence[step] > VISIBLE_ABOVE, value, last + moved)
    return z, confidence


def reachable(
    points: Array, valid: NDArray[np.bool_], times: Array, max_speed: float
) -> NDArray[np.bool_]:
    """Say of (T, N) positions which could have been reached from the last that could.

    Args:
        points: (T, N, 3) [m].
        valid: (T, N) True where a position is known.
        times: (T,) [s].
        max_speed: [m/s]; 2 cm more are left to noise.

    Raises:
        ImplausibleVideoError: most points jump between the same two frames.
    """
    good = valid.copy()
    last, since = points[0].copy(), np.full(points.shape[1], times[0])
    known = valid[0].copy()
    for step in range(1, len(points)):
        away = np.linalg.norm(points[step] - last, axis=-1)
        with np.errstate(invalid='ignore'):
            far = known & valid[step] & (away > max_speed * (times[step] - since) + SLACK)
        compared = known & valid[step] & (since == times[step - 1])
        if compared.sum() >= 6 and (far & compared).sum() > 0.5 * compared.sum():
            raise ImplausibleVideoError(
                f'{int((far & compared).sum())} of {int(compared.sum())} points jump by '
                f'{np.median(away[far & compared]):.3f} m in the median between frames '
                f'{step - 1} and {step} ({times[step] - times[step - 1]:.3f} s), faster than '
                f'{max_speed:g} m/s'
            )
        good[step] &= ~far
        last[good[step]], since[good[step]] = points[step][good[step]], times[step]
        known |= good[step]
    return good


def unstretched(points: Array, valid: NDArray[np.bool_], max_stretch: float) -> NDArray[np.bool_]:
    """Say of (T, N) positions which kept their distance to their neighbours at the start.

    The median over the eight nearest: a neighbour across a joint does no harm, and deformable
    things bend without pulling neighbours apart.
    """
    start = np.flatnonzero(valid[0])
    if max_stretch <= 0 or len(start) < 4:
        return np.ones_like(valid)
    count = min(NEIGHBOURS, len(start) - 1)
    found = cKDTree(points[0, start]).query(points[0, start], k=count + 1)
    distance, near = (np.asarray(a) for a in found)
    near, distance = start[near[:, 1:]], distance[:, 1:]
    now = np.linalg.norm(points[:, start, None] - points[:, near], axis=-1)
    both = valid[:, start, None] & valid[:, near]
    # What has no valid neighbour is compared with none: beyond every value, left out by count.
    pulled = np.where(both, np.abs(now - distance), np.inf)
    pulled.sort(axis=-1)
    middle = np.maximum((both.sum(axis=-1) - 1) // 2, 0)
    median = np.take_along_axis(pulled, middle[..., None], axis=-1)[..., 0]
    good = np.ones_like(valid)
    good[:, start] = (median <= max_stretch) | (both.sum(axis=-1) < 3)
    return good


def smooth(points: Array, weights: Array, times: Array, sigma: float) -> Array:
    """Return the value at each step of a line fitted to the steps around it.

    Args:
        points: (T, N, 3).
        weights: (T, N), 0 where a position is not valid.
        times: (T,) [s].
        sigma: standard deviation of the weights in time [s].
    """
    lag = times[:, None] - times[None]  # (T, T) step, other step
    kernel = np.exp(-0.5 * (lag / sigma) ** 2)
    values = np.where(weights[..., None] > 0, points, 0.0)
    w0 = np.einsum('ts,sn->tn', kernel, weights)
    w1 = np.einsum('ts,sn->tn', kernel * lag, weights)
    w2 = np.einsum('ts,sn->tn', kernel * lag**2, weights)
    p0 = np.einsum('ts,sn,snc->tnc', kernel, weights, values, optimize=True)
    p1 = np.einsum('ts,sn,snc->tnc', kernel * lag, weights, values, optimize=True)
    spread = w0 * w2 - w1**2
    line = (w2[..., None] * p0 - w1[..., None] * p1) / np.maximum(spread, 1e-30)[..., None]
    alone = spread <= 1e-9 * np.maximum(w0 * sigma, 1e-30) ** 2
    return np.where((alone | (weights <= 0))[..., None], points, line)


def _kept(
    visible: NDArray[np.bool_], config: LiftingConfig, total: int, lost: dict[str, int]
) -> NDArray[np.int64]:
    """Return the indices of the points that stay.

    Raises:
        TracksLostError: too few are left, or they are seen too seldom.
    """
    share = visible.mean(axis=0)
    needed = {'always': 1.0, 'share': config.min_share, 'per_frame': 0.0}[config.keep]
    kept = np.flatnonzero(visible[0] & (share >= needed))
    reasons = ', '.join(f'{count} {why}' for why, count in lost.items() if count)
    if len(kept) < config.min_points:
        raise TracksLostError(
            f"{len(kept)} of {total} points are left by the rule '{config.keep}', "
            f'{config.min_points} are needed; points lost at some frame: {reasons or "none"}'
        )
    counts = visible[:, kept].sum(axis=1)
    enough = float((counts >= config.min_points).mean())
    if counts[-1] < config.min_points or enough < config.min_frames:
        raise TracksLostError(
            f'{counts[-1]} of {len(kept)} points are seen in the last frame and '
            f'{config.min_points} or more in {enough:.0%} of {len(visible)} frames; needed are '
            f'{config.min_points} and {config.min_frames:.0%}; points lost at some frame: '
            f'{reasons or "none"}'
        )
    return kept
