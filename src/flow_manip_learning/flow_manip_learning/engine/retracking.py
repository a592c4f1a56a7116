# SPDX-License-Identifier: Apache-2.0
"""A7, A8: a dense grid inside the box of the movers: the object's points and its mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.video import Video
from flow_manip_learning.engine.config import DetectionConfig
from flow_manip_learning.engine.detection import Box, Movers, Pixels
from flow_manip_learning.engine.gripper import grown
from flow_manip_learning.engine.movement import measure_movement, Movement
from flow_manip_learning.engine.rejection import ClipRejectedError, reject
from flow_manip_learning.engine.static_view import StaticView
from flow_manip_learning.engine.vacated import place_under, vacated_places
from flow_manip_perception.tracking import never, PointTracker

MARGIN = 1.0  # [cells of the first grid] that the box is grown by: the object may end there


@dataclass(frozen=True)
class DenseMovers:
    """The object in the sample's pixels.

    Attributes:
        tracks: of the object's points.
        mask: (H, W) of the object in the first frame.
        box: (x, y, width, height) of the mask [px].
        displacement: (N,) of the points [px of the working frame].
    """

    tracks: PointTracks
    mask: Pixels
    box: Box
    displacement: NDArray[np.float64]


def follow_one(
    video: Video,
    movers: Movers,
    view: StaticView,
    tracker: PointTracker,
    config: DetectionConfig,
    *,
    colour_cut: bool = True,
    cancelled: Callable[[], bool] = never,
) -> tuple[Movers, DenseMovers]:
    """Look at the things that move one by one, until one stands up to it.

    Args:
        video: the sample's frames, of any size, the same times as the working frames.
        movers: of the first pass.
        view: the camera's part, in this video's pixels.
        tracker: follows the grid.
        config: thresholds.
        colour_cut: sharpen the mask by colour.
        cancelled: polled while tracking.

    Returns:
        The movers with the thing that was chosen, and what was found of it.

    Raises:
        ClipRejectedError: what the thing that moves most was refused for, if all were.
        CancelledError: as `cancelled` says.
    """
    first: ClipRejectedError | None = None
    for number in range(min(config.tries, len(movers.groups))):
        chosen = replace(movers, chosen=number)
        try:
            found = follow_inside(
                video, chosen, view, tracker, config, colour_cut=colour_cut, cancelled=cancelled
            )
            return chosen, found
        except ClipRejectedError as error:
            first = first or error
    assert first is not None
    raise first


def follow_inside(
    video: Video,
    movers: Movers,
    view: StaticView,
    tracker: PointTracker,
    config: DetectionConfig,
    *,
    colour_cut: bool,
    cancelled: Callable[[], bool],
) -> DenseMovers:
    """Follow a dense grid inside the chosen movers' box and keep what moves with them.

    Arguments as of `follow_one`.

    Raises:
        ClipRejectedError: 'tracks_lost' where too little of it moves; 'large_box'.
        CancelledError: as `cancelled` says.
    """
    scale = np.array(video.size) / config.frame_size
    box = scaled_box(_whole_box(movers, config), config, scale, video.size)
    queries, side = grid_in(box, config.grid)
    tracks = tracker.track(video, queries, cancelled=cancelled)
    movement = measure_movement(video, tracks, view, tracker, config, cancelled)
    gripper = cv2.resize(
        grown(movers.gripper, 1).astype(np.uint8), video.size, interpolation=cv2.INTER_NEAREST
    )
    columns, rows = np.rint(queries).astype(int).T
    chosen = _moves_along(movement, movers, config) & (gripper[rows, columns] == 0)
    chosen = _tidy(chosen.reshape(side[::-1])).ravel() & chosen
    if chosen.sum() < config.min_points:
        raise reject(
            'tracks_lost',
            points_in_the_box=len(queries),
            points_that_move=int(chosen.sum()),
            needed=config.min_points,
        )
    mask = _mask(chosen.reshape(side[::-1]), box, video.size)
    if colour_cut:
        places = vacated_places(video, view, config.early_frame + 1)
        place = place_under(places, queries[chosen]) & (gripper == 0)
        mask = cut_by_colour(video.frames[0], mask, place, gripper > 0)
    chosen &= mask[rows, columns]
    if chosen.sum() < config.min_points:
        raise reject('tracks_lost', points_on_the_mask=int(chosen.sum()), needed=config.min_points)
    share = float(np.prod(box_of_mask(mask)[2:])) / mask.size
    if share > config.max_box:
        raise reject('large_box', share_of_image=share, limit=config.max_box)
    kept = PointTracks(
        tracks.points[:, chosen],
        tracks.confidence[:, chosen],
        tracks.times,
        tracks.point_ids[chosen],
    )
    return DenseMovers(kept, mask, box_of_mask(mask), movement.displacement[chosen])


def scaled_box(box: Box, config: DetectionConfig, scale: NDArray, size: tuple[int, int]) -> Box:
    """Return the box in the sample's pixels: shrunk if wanted, and grown by a part of a cell."""
    x, y, w, h = box
    cell = config.frame_size / config.grid
    grow = MARGIN * cell if config.shrink == 0 else 0.0
    low = np.array([x + config.shrink * w / 2, y + config.shrink * h / 2]) - grow
    high = np.array([x + w - config.shrink * w / 2, y + h - config.shrink * h / 2]) + grow
    low = np.maximum((low + 0.5) * scale - 0.5, -0.5)
    high = np.minimum((high + 0.5) * scale - 0.5, np.array(size) - 0.5)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def grid_in(box: Box, count: int) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return points in the middles of a box's cells, row by row, and (columns, rows).

    There are `count` of each, fewer where the box has fewer pixels.
    """
    x, y, w, h = box
    columns, rows = max(2, min(count, int(w))), max(2, min(count, int(h)))
    u = x + (np.arange(columns) + 0.5) * w / columns
    v = y + (np.arange(rows) + 0.5) * h / rows
    points = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2).astype(np.float32)
    return points, (columns, rows)


def box_of_mask(mask: Pixels) -> Box:
    """Return the tight (x, y, width, height) of a mask, from edge to edge of its pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = columns[0] - 0.5, rows[0] - 0.5
    return float(x), float(y), float(columns[-1] + 0.5 - x), float(rows[-1] + 0.5 - y)


def _whole_box(movers: Movers, config: DetectionConfig) -> Box:
    """Return the movers' box, with the whole of the place that they left.

    A hand that holds a thing hides the points of a part of it.
    """
    x, y, w, h = movers.box
    place = place_under(movers.places, movers.movement.start[movers.points])
    if not place.any():
        return x, y, w, h
    a, b, c, d = box_of_mask(place)
    low, high = (min(x, a), min(y, b)), (max(x + w, a + c), max(y + h, b + d))
    share = (high[0] - low[0]) * (high[1] - low[1]) / config.frame_size**2
    if share > config.max_box:
        return x, y, w, h  # it runs into what the arm changed
    return low[0], low[1], high[0] - low[0], high[1] - low[1]


def _moves_along(movement: Movement, movers: Movers, config: DetectionConfig) -> NDArray[np.bool_]:
    """Return (N,) the movers in the box, by the same rules as in the whole image (A4, A6)."""
    late = movement.believable & (movement.early < config.early_motion)
    # The box holds still ground as well as the object; where it does not, the smallest
    # displacement of the whole image is the still ground's.
    least = np.nanmin(movers.movement.displacement[movers.movement.believable])
    moved = np.nan_to_num(movement.displacement)
    largest = float(moved[late].max()) if late.any() else 0.0
    return late & (moved > config.mover_share * (largest - least)) & (moved > config.early_motion)


def _tidy(cells: Pixels) -> Pixels:
    """Close gaps of one cell and keep the largest part."""
    closed = cv2.morphologyEx(
        np.pad(cells, 2).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)
    )[2:-2, 2:-2]
    count, parts, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    if count < 2:
        return closed > 0
    return parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def _mask(cells: Pixels, box: Box, size: tuple[int, int]) -> Pixels:
    """Return the (H, W) pixels of the cells, gaps closed and holes filled."""
    cells = _tidy(cells)
    x, y, w, h = box
    u = np.arange(size[0])
    v = np.arange(size[1])
    columns = np.floor((u - x) * cells.shape[1] / w).astype(int)
    rows = np.floor((v - y) * cells.shape[0] / h).astype(int)
    inside_u = (columns >= 0) & (columns < cells.shape[1])
    inside_v = (rows >= 0) & (rows < cells.shape[0])
    mask = np.zeros((size[1], size[0]), dtype=bool)
    mask[np.ix_(inside_v, inside_u)] = cells[np.ix_(rows[inside_v], columns[inside_u])]
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled > 0


def cut_by_colour(
    frame: NDArray[np.uint8],
    mask: Pixels,
    place: Pixels,
    forbidden: Pixels,
    rounds: int = 3,
) -> Pixels:
    """Move a mask's border to where the colour changes (GrabCut, Rother et al. 2004).

    Args:
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W) where points of the object were followed.
        place: (H, W) that the object left: it may be all of this, and what is neither in here nor
            in the mask is not it.
        forbidden: (H, W) where it is not for sure.
        rounds: of the cut.

    Returns:
        The cut, or the mask as it was where the colours tell nothing apart.
    """
    both = mask | place
    x, y, w, h = (round(v) for v in box_of_mask(both))
    reach = max(4, round(0.5 * min(w, h)))
    window = np.s_[max(0, y - reach) : y + h + reach, max(0, x - reach) : x + w + reach]
    rough, left = mask[window], place[window]
    labels = np.full(rough.shape, cv2.GC_BGD, np.uint8)
    labels[cv2.dilate((rough | left).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = (
        cv2.GC_PR_BGD
    )
    labels[rough | left] = cv2.GC_PR_FGD
    # Both are too large by a pixel or two: the border is for the colours to decide.
    inner = cv2.erode(np.pad(rough & left, 1).astype(np.uint8), np.ones((3, 3), np.uint8))
    labels[inner[1:-1, 1:-1] > 0] = cv2.GC_FGD
    labels[forbidden[window]] = cv2.GC_BGD
    sure = labels == cv2.GC_FGD
    if not (labels == cv2.GC_BGD).any() or not np.isin(labels, (1, 3)).any():
        return mask
    cv2.setRNGSeed(0)
    image = np.ascontiguousarray(frame[window][..., ::-1])
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image, labels, None, *models, rounds, cv2.GC_INIT_WITH_MASK)
    cut = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    cut = cv2.morphologyEx(cut, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, parts, _, _ = cv2.connectedComponentsWithStats(cut)
    meant = sure if sure.any() else rough
    inside = np.bincount(parts[meant], minlength=count)[1:]
    if count < 2 or not inside.size or inside.max() < 0.3 * meant.sum():
        return mask
    found = np.zeros(mask.shape, dtype=bool)
    found[window] = parts == 1 + int(inside.argmax())
    return found
