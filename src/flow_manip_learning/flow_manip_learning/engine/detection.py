# SPDX-License-Identifier: Apache-2.0
"""A2 to A8: the thing that moves, found without knowing what it is.

The order is 3DFlowAction's. Points all over the first frame, outside the gripper, are followed;
those that move from the beginning belong to the arm; of the rest, those that move far are the
object. A second, denser grid inside their box gives the points and the mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from flow_manip_core.video import Video
from flow_manip_learning.engine.config import DetectionConfig, GripperConfig
from flow_manip_learning.engine.gripper import grown, mask_from_motion
from flow_manip_learning.engine.movement import measure_movement, Movement
from flow_manip_learning.engine.rejection import reject
from flow_manip_learning.engine.static_view import corners_among, flat_view, StaticView
from flow_manip_learning.engine.vacated import vacated_places
from flow_manip_perception.tracking import never, PointTracker
from flow_manip_perception.tracking.queries import grid_queries

Pixels = NDArray[np.bool_]
Box = tuple[float, float, float, float]
MIN_OUTSIDE = 16  # grid points outside the gripper


@dataclass(frozen=True)
class Movers:
    """The first pass, for pictures and numbers.

    Attributes:
        movement: of the grid's points [working frame].
        gripper: (S, S) the gripper in the working frame.
        early: (N,) points that the arm's rule takes out.
        groups: indices of the points of each thing that moves, the one that moves most first.
        view: the camera's part.
        places: (S, S) pixels of the first working frame that changed for good.
        cell: distance of the grid's points [px of the working frame].
        chosen: which of the groups is meant.
    """

    movement: Movement
    gripper: Pixels
    early: NDArray[np.bool_]
    groups: tuple[NDArray[np.int64], ...]
    view: StaticView
    places: Pixels
    cell: float
    chosen: int = 0

    @property
    def points(self) -> NDArray[np.int64]:
        """Indices of the points of the chosen thing."""
        return self.groups[self.chosen]

    @property
    def box(self) -> Box:
        """(x, y, width, height) of the chosen thing [px of the working frame]."""
        side = self.gripper.shape[0]
        return box_of(self.movement.start[self.points], self.cell, (side, side))


def working_video(video: Video, config: DetectionConfig) -> Video:
    """Return the video as square frames of the working size (A2), thinned."""
    size = (config.frame_size, config.frame_size)
    thin = video.thinned(config.max_frames)
    shrinks = min(thin.size) > config.frame_size
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    frames = np.stack([cv2.resize(frame, size, interpolation=way) for frame in thin.frames])
    return Video(frames, thin.times, source=video.source)


def find_movers(
    video: Video,
    tracker: PointTracker,
    config: DetectionConfig,
    gripper: GripperConfig,
    *,
    mask: Pixels | None = None,
    view: StaticView | None = None,
    cancelled: Callable[[], bool] = never,
) -> Movers:
    """Find the thing that moves.

    Args:
        video: working frames.
        tracker: follows the grid.
        config: thresholds.
        gripper: how the gripper is found, where `mask` is none.
        mask: (S, S) of the gripper in the first working frame, from whoever knows it.
        view: the camera's part in working pixels; fitted to the grid where left out.
        cancelled: polled while tracking.

    Raises:
        ClipRejectedError: with the reason.
        CancelledError: as `cancelled` says.
    """
    if video.num_frames < config.early_frame + 2:
        raise reject('too_short', frames=video.num_frames, frames_needed=config.early_frame + 2)
    queries = grid_queries(video.size, config.grid)
    tracks = tracker.track(video, queries, cancelled=cancelled)
    view = view or flat_view(tracks, corners_among(queries, video.frames[0]), config)
    if mask is None:
        mask = np.zeros((config.frame_size, config.frame_size), dtype=bool)
        if gripper.source == 'motion':
            mask = mask_from_motion(video, view, gripper, config)
    places = vacated_places(video, view, config.early_frame + 1)
    if config.dense:
        close = grid_queries(video.size, 2 * config.grid)
        extra = close[_under(places, close)]
        if len(extra):
            queries = np.vstack([queries, extra])
            tracks = tracker.track(video, queries, cancelled=cancelled)
    covered = _under(grown(mask, gripper.dilation), queries)
    if (~covered).sum() < MIN_OUTSIDE:
        raise reject(
            'masked_out', share_masked=covered.mean(), points_outside=int((~covered).sum())
        )
    movement = measure_movement(video, tracks, view, tracker, config, cancelled)
    early = covered | (movement.early >= config.early_motion)
    things = _things(movement, early, mask, config)
    return Movers(movement, mask, early, things, view, places, config.frame_size / config.grid)


def _under(mask: Pixels, points: NDArray) -> NDArray[np.bool_]:
    columns, rows = np.rint(points).astype(int).T
    return mask[rows, columns]


def _things(
    movement: Movement, early: NDArray[np.bool_], gripper: Pixels, config: DetectionConfig
) -> tuple[NDArray[np.int64], ...]:
    """Return the points of every thing that moves, the one that moves most first (A4 to A7).

    Raises:
        ClipRejectedError: 'still', 'only_early_movers', 'no_object' or 'large_box'.
    """
    known = movement.believable
    largest = float(movement.displacement[known].max()) if known.any() else 0.0
    if largest < config.still_motion:
        raise reject('still', largest_px=largest, needed_px=config.still_motion)
    late = known & ~early
    moved = movement.displacement[late]
    largest_late = float(moved.max()) if len(moved) else 0.0
    if largest_late < config.still_motion:
        raise reject(
            'only_early_movers',
            largest_px=largest,
            largest_late_px=largest_late,
            needed_px=config.still_motion,
            share_early=early.mean(),
        )
    threshold = config.mover_share * float(moved.max() - moved.min())
    movers = np.flatnonzero(late & (np.nan_to_num(movement.displacement) > threshold))
    groups = _groups(movement, movers, gripper, config)
    enough = [group for group in groups if len(group) >= config.min_movers]
    if not enough:
        raise reject(
            'no_object',
            movers=len(movers),
            groups=len(groups),
            largest_group=max(len(group) for group in groups),
            needed=config.min_movers,
        )
    share = {n: _share(movement.start[group], config) for n, group in enumerate(enough)}
    fitting = tuple(group for n, group in enumerate(enough) if share[n] <= config.max_box)
    # The thing that moves most decides, as the release's one box does.
    if share[0] > config.max_box:
        raise reject('large_box', share_of_image=share[0], limit=config.max_box)
    return fitting


def _groups(
    movement: Movement, movers: NDArray[np.int64], gripper: Pixels, config: DetectionConfig
) -> list[NDArray[np.int64]]:
    """Return connected groups of movers, the one that moves most in all first.

    What touches the gripper or the image's border is rather a part of the arm.
    """
    if config.link == 0:
        return [movers]
    cells = movement.start[movers] / (config.frame_size / config.grid)
    near = np.abs(cells[:, None] - cells[None]).max(axis=-1) < config.link
    count, labels = connected_components(near, directed=False)
    groups = [movers[labels == n] for n in range(count)]
    cell = config.frame_size / config.grid
    arm = grown(gripper, round(cell))
    arm[:, [0, -1]] = arm[[0, -1]] = True
    arm = grown(arm, round(cell / 2)) if not gripper.all() else arm

    def weight(group: NDArray[np.int64]) -> float:
        touches = _under(arm, movement.start[group]).any()
        moved = float(movement.displacement[group].sum())
        return moved * (config.arm_weight if touches else 1.0)

    return sorted(groups, key=weight, reverse=True)


def _share(points: NDArray, config: DetectionConfig) -> float:
    """Return the share of the image that the box of points takes up."""
    side = config.frame_size
    _, _, width, height = box_of(points, side / config.grid, (side, side))
    return width * height / side**2


def box_of(points: NDArray, cell: float, size: tuple[int, int]) -> Box:
    """Return (x, y, width, height) around points, each of which stands for its cell, clipped."""
    low = np.maximum(points.min(axis=0) - cell / 2, -0.5)
    high = np.minimum(points.max(axis=0) + cell / 2, np.array(size) - 0.5)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])
