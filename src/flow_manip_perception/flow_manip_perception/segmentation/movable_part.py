# SPDX-License-Identifier: Apache-2.0
"""The part of a thing that moves: a drawer's front out of the cabinet's mask.

Tracks in and around a mask are parted by how fast they move in the image (Dream2Flow: a mean of
more than one pixel per frame). Points that move are on the part, those that stand are not; the
part is then grown from them: by SAM 2 with the points as positive and negative prompts, or
without a model, by geodesic distance over colour and depth: every pixel belongs to the points
that are nearest to it on a way that avoids edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

from flow_manip_core.errors import (
    ConfigurationError,
    InvalidInputError,
    ObjectAbsentError,
    TracksLostError,
)
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks

WINDOW = 5  # frames
JITTERS = 2.5  # times the speed of the slowest quarter of points is motion
MAX_PROMPTS = 16  # points of a kind that a model is given
Prompted = Callable[[NDArray[np.uint8], NDArray, NDArray], NDArray[np.bool_]]


@dataclass(frozen=True)
class MovablePartConfig:
    """How a part is told from the rest.

    Attributes:
        min_speed: mean motion above which a point moves [px per frame] (Dream2Flow: 1).
        min_slow: above it points belong to a part of which others are that fast, if it is clearly
            more than the tracks' jitter [px per frame].
        min_points: that move, and that are seen in half of the frames.
        margin: round the mask, where points that stand are looked at too [px].
        color_step: difference of Lab colours that is as far as one pixel.
        depth_step: of neighbouring pixels' depth that is as far as one pixel [m].
        min_pixels: of a part.
    """

    min_speed: float = 1.0
    min_slow: float = 0.2
    min_points: int = 4
    margin: int = 12
    color_step: float = 2.0
    depth_step: float = 0.002
    min_pixels: int = 40

    def __post_init__(self) -> None:
        """Refuse numbers without meaning.

        Raises:
            ConfigurationError: with what is wrong.
        """
        above = (self.min_speed, self.min_points, self.color_step, self.depth_step)
        if min(above) <= 0 or self.min_slow <= 0 or self.margin < 0:
            raise ConfigurationError(f'movable part: {self}')


@dataclass(frozen=True)
class MovingPoints:
    """Points of the first frame, parted by motion.

    Attributes:
        moving: (P, 2) pixels (u, v) inside the mask that move.
        still: (Q, 2) pixels in and around the mask that stand.
        speeds: (N,) mean motion of every track [px per frame]; NaN where it is hardly seen.
    """

    moving: NDArray[np.float64]
    still: NDArray[np.float64]
    speeds: NDArray[np.float64]


def track_speeds(tracks: PointTracks) -> NDArray[np.float64]:
    """Return (N,) mean 2D motion per frame [px]; NaN where less than half of it is seen.

    Measured over `WINDOW` frames at a time: jitter of a tracker is no motion.
    """
    points, seen = tracks.points.astype(np.float64), tracks.visible
    window = min(WINDOW, len(points) - 1)
    if window < 1:
        raise TracksLostError('one frame shows no motion')
    both = seen[window:] & seen[:-window]
    steps = np.linalg.norm(points[window:] - points[:-window], axis=-1) / window
    count = both.sum(axis=0)
    mean = np.where(both, steps, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(2 * count >= len(both), mean, np.nan)


def part_points(tracks: PointTracks, mask: Mask, config: MovablePartConfig) -> MovingPoints:
    """Part the tracks by their motion.

    Raises:
        TracksLostError: too few points of the mask are seen for half of the frames.
        ObjectAbsentError: too few of them move; the message has the speeds.
    """
    height, width = mask.pixels.shape
    start = tracks.points[0].astype(np.float64)
    speeds = track_speeds(tracks)
    known = np.isfinite(speeds) & tracks.visible[0] & np.isfinite(start).all(axis=1)
    pixels = np.where(known[:, None], np.rint(np.nan_to_num(start)), 0).astype(int)
    known &= ((pixels >= 0) & (pixels < [width, height])).all(axis=1)
    pixels[~known] = 0
    inside = known & mask.pixels[pixels[:, 1], pixels[:, 0]]
    size = 2 * config.margin + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    around = cv2.dilate(mask.pixels.astype(np.uint8), kernel).astype(bool)
    near = known & around[pixels[:, 1], pixels[:, 0]]
    if inside.sum() < config.min_points:
        raise TracksLostError(
            f"{int(inside.sum())} points of '{mask.label}' are seen in half of the frames, "
            f'{config.min_points} are needed'
        )
    moving = inside & (np.nan_to_num(speeds) > config.min_speed)
    if moving.sum() < config.min_points:
        raise ObjectAbsentError(
            f"no part of '{mask.label}' moves: {int(moving.sum())} points are faster than "
            f'{config.min_speed:g} px per frame, {config.min_points} are needed; the fastest has '
            f'{np.nanmax(speeds[inside]):.2f}'
        )
    # Near a hinge a part is slow. Once it is known to move, what is faster than jitter belongs.
    jitter = float(np.median(np.sort(speeds[near])[: max(int(near.sum()) // 4, 1)]))
    limit = max(config.min_slow, JITTERS * jitter)
    if limit < config.min_speed:
        moving = inside & (np.nan_to_num(speeds) > limit)
    still = near & (np.nan_to_num(speeds, nan=np.inf) < min(limit, config.min_speed))
    return MovingPoints(start[moving], start[still], speeds)


def movable_part(
    observation: Observation,
    mask: Mask,
    tracks: PointTracks,
    config: MovablePartConfig | None = None,
    prompted: Prompted | None = None,
) -> Mask:
    """Return the mask of the part that moves; the mask itself where all of it does.

    Args:
        observation: what the first frame shows.
        mask: of the whole thing in it.
        tracks: of points in the mask, and better around it too.
        config: how the part is told.
        prompted: `(image, positive (P, 2), negative (Q, 2)) -> (H, W) mask`, e.g. SAM 2 by
            `grounded_sam2.point_mask`; regions of colour and depth if left out.

    Raises:
        InvalidInputError: sizes differ.
        TracksLostError, ObjectAbsentError: see `part_points`; also where the part would be too
            small.
    """
    config = config or MovablePartConfig()
    if mask.pixels.shape != observation.depth.shape:
        raise InvalidInputError(
            f'mask is {mask.pixels.shape}, the image {observation.depth.shape}'
        )
    points = part_points(tracks, mask, config)
    if not len(points.still):
        return mask
    if prompted is None:
        pixels = geodesic_part(observation, mask, points, config)
    else:
        inside, outside = spread(points.moving), spread(points.still)
        pixels = prompted(observation.color, inside, outside) & mask.pixels
    pixels = _seeded(pixels, points.moving)
    if pixels.sum() < config.min_pixels:
        raise ObjectAbsentError(
            f"the part of '{mask.label}' that moves has {int(pixels.sum())} pixels, "
            f'{config.min_pixels} are needed'
        )
    return Mask(pixels, mask.label, mask.score)


def spread(points: NDArray[np.float64], count: int = MAX_PROMPTS) -> NDArray[np.float64]:
    """Return at most `count` of (P, 2) points that cover them evenly (Gonzalez, 1985)."""
    chosen = [int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return points[chosen]


def geodesic_part(
    observation: Observation, mask: Mask, points: MovingPoints, config: MovablePartConfig
) -> NDArray[np.bool_]:
    """Return the (H, W) pixels of the mask that are nearer to the moving points.

    The length of a step between neighbouring pixels is one, and more where colour or depth
    change. Ways lead through the mask and a margin around it, where points may stand.
    """
    margin = np.ones((2 * config.margin + 1,) * 2, np.uint8)
    area = cv2.dilate(mask.pixels.astype(np.uint8), margin).astype(bool)
    number = np.full(area.shape, -1)
    number[area] = np.arange(int(area.sum()))
    graph = _graph(observation, area, number, config)
    away = []
    for seeds in (points.moving, points.still):
        u, v = np.rint(seeds).astype(int).T
        nodes = np.unique(number[v, u])
        away.append(dijkstra(graph, directed=False, indices=nodes[nodes >= 0], min_only=True))
    result = np.zeros(area.shape, dtype=bool)
    result[area] = away[0] < away[1]
    return result & mask.pixels


def _graph(
    observation: Observation,
    area: NDArray[np.bool_],
    number: NDArray[np.int64],
    config: MovablePartConfig,
) -> csr_matrix:
    """Return the lengths between neighbouring pixels of an area, over eight neighbours."""
    lab = cv2.cvtColor(observation.color.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    depth = observation.depth
    total = int(area.sum())
    rows, columns, lengths = [], [], []
    for dv, du in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = (slice(0, area.shape[0] - dv), slice(max(-du, 0), area.shape[1] - max(du, 0)))
        b = (slice(dv, None), slice(max(du, 0), area.shape[1] - max(-du, 0)))
        both = area[a] & area[b]
        colors = np.linalg.norm(lab[a][both] - lab[b][both], axis=-1)
        # Unknown depth is no step: colour decides there.
        steps = np.nan_to_num(np.abs(depth[a][both] - depth[b][both]))
        extra = colors / config.color_step + steps / config.depth_step
        rows.append(number[a][both])
        columns.append(number[b][both])
        lengths.append(np.hypot(dv, du) * (1.0 + extra))
    places = (np.concatenate(rows), np.concatenate(columns))
    return coo_matrix((np.concatenate(lengths), places), shape=(total, total)).tocsr()


def _seeded(pixels: NDArray[np.bool_], seeds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the regions of a mask that hold a seed, small holes filled."""
    closed = cv2.morphologyEx(pixels.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(closed, connectivity=8)
    u, v = np.rint(seeds).astype(int).T
    u, v = u.clip(0, pixels.shape[1] - 1), v.clip(0, pixels.shape[0] - 1)
    kept = np.unique(labels[v, u])
    return np.isin(labels, kept[kept > 0])
