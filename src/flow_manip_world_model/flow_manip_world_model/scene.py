# SPDX-License-Identifier: Apache-2.0
"""What stands on the support, as heights over the workspace.

A camera sees surfaces, and hides what is behind them. Where a cell of the height map has no point,
the column above it is
carved: a height counts as free if the camera saw something farther away along the sight-line
through it. What neither a point nor a free sight-line explains is taken as filled, so that nothing
is moved through what nobody has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import logging

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.camera import project_from
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import RigConfig, WorkspaceConfig
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_world_model.grid import Grid
from flow_manip_world_model.points import grow_mask

CELL = 0.005  # [m]
GRID_MARGIN = 0.03  # [m] around the workspace
MASK_MARGIN = 3  # [px] around the moving object that may still show it
FLYING = 0.02  # [m] to both neighbours: a point between an edge and its background
TOP_SHARE = 0.9  # of a cell's points below its height: outliers do not make obstacles
SUPPORT_BAND = 0.04  # [m] how far the rig's support height may be off
SUPPORT_MIN_POINTS = 300
SUPPORT_MAX_SLOPE = 0.14  # 8 degrees; more is an object's side, not the support
SUPPORT_TOLERANCE = 0.005  # [m] from the plane
SUPPORT_TRIALS = 200
SUPPORT_SAMPLE = 1500  # points that vote
SUPPORT_MIN_AREA = 0.002  # [m^2] twice the triangle that fixes a plane
CARVE_STEP = 0.01  # [m]
CARVE_HEIGHT = 0.35  # [m] above the support; taller things are seen by their points
CARVE_TOLERANCE = 0.01  # [m] of depth

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SupportPlane:
    """What objects stand on: z = height + slope . xy in the world frame; nearly horizontal."""

    height: float
    slope: tuple[float, float] = (0.0, 0.0)

    def height_at(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Return the (...,) heights at (..., 2) positions [m]."""
        return np.asarray(self.height + np.asarray(xy, dtype=np.float64) @ np.asarray(self.slope))


def fit_support(points: NDArray[np.float64], rough_height: float) -> SupportPlane:
    """Find the support near its rough height.

    The nearly horizontal plane with the most points within 5 mm, of 200 through three points each
    (RANSAC, Fischler and Bolles, 1981), then least squares through the points near it, twice.

    Args:
        points: (N, 3) world points of the workspace.
        rough_height: from the rig [m].

    Returns:
        The plane. Where fewer than 300 points are near, the rig's height stands: then things cover
        the support.
    """
    near = points[np.abs(points[:, 2] - rough_height) < SUPPORT_BAND]
    if len(near) < SUPPORT_MIN_POINTS:
        logger.warning('%d points near the support: its height is taken from the rig', len(near))
        return SupportPlane(rough_height)
    best = _most_agreed(near)
    for _ in range(2):
        close = near[np.abs(near @ [-best[1], -best[2], 1.0] - best[0]) < SUPPORT_TOLERANCE]
        center = close[:, :2].mean(axis=0)
        design = np.column_stack([np.ones(len(close)), close[:, :2] - center])
        height, *slope = np.linalg.lstsq(design, close[:, 2], rcond=None)[0]
        best = np.array([height - center @ slope, *slope])
    return SupportPlane(float(best[0]), (float(best[1]), float(best[2])))


def _most_agreed(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (height, slope x, slope y) of the plane that most of (N, 3) points lie on.

    The level planes at the points' heights compete too, so that something always does.
    """
    rng = np.random.default_rng(0)
    fewer = points[:: -(-len(points) // SUPPORT_SAMPLE)]
    corners = fewer[rng.integers(0, len(fewer), size=(SUPPORT_TRIALS, 3))]
    design = np.concatenate([np.ones((SUPPORT_TRIALS, 3, 1)), corners[..., :2]], axis=-1)
    wide = np.abs(np.linalg.det(design)) > SUPPORT_MIN_AREA
    planes = np.linalg.solve(design[wide], corners[wide][..., 2:])[..., 0]
    planes = planes[np.hypot(planes[:, 1], planes[:, 2]) < SUPPORT_MAX_SLOPE]
    level = np.zeros((20, 3))
    level[:, 0] = np.percentile(fewer[:, 2], np.linspace(2, 98, 20))
    planes = np.concatenate([planes, level])
    off = fewer[:, 2] - planes[:, :1] - planes[:, 1:] @ fewer[:, :2].T
    return planes[(np.abs(off) < SUPPORT_TOLERANCE).sum(axis=1).argmax()]


def drop_flying_points(
    points_world: NDArray[np.float64], depth: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Set those of (H, W, 3) points to NaN that hang between an edge and its background."""
    flying = np.zeros(depth.shape, dtype=bool)
    for axis in (0, 1):
        before = np.abs(depth - np.roll(depth, 1, axis=axis))
        after = np.roll(before, -1, axis=axis)
        jump = (before > FLYING) & (after > FLYING)
        inner = np.zeros_like(jump)
        inner[1:-1, 1:-1] = True
        flying |= jump & inner
    return np.where(flying[..., None], np.nan, points_world)


@dataclass(frozen=True)
class Scene:
    """One observation, sorted into support, moving object, references and the rest.

    Attributes:
        observation: it was made from.
        workspace: of the rig.
        points: (H, W, 3) world points, NaN where unknown [m].
        depth: (H, W) depth [m], holes filled from the nearest pixel; inf where nothing is known at
            all.
        moving: (H, W) True on the moving object and a few pixels around it.
        support: what objects stand on.
        grid: of the maps below.
        top: (nx, ny) height of what is there, the moving object left out; NaN where nothing was
            seen [m].
        filled: (nx, ny) height up to which something is or may be; the support where it is free
            [m].
        seen: (nx, ny) True where nothing is hidden above the support or the cell's own surface.
        right: (2,) unit vector of the image's right in xy of the world.
        away: (2,) unit vector in xy away from the camera.
    """

    observation: Observation
    workspace: WorkspaceConfig
    points: NDArray[np.float64]
    depth: NDArray[np.float64]
    moving: NDArray[np.bool_]
    support: SupportPlane
    grid: Grid
    top: NDArray[np.float64]
    filled: NDArray[np.float64]
    seen: NDArray[np.bool_]
    right: NDArray[np.float64]
    away: NDArray[np.float64]

    @property
    def support_map(self) -> NDArray[np.float64]:
        """(nx, ny) height of the bare support [m]."""
        return self.support.height_at(self.grid.centers)

    def rise_above(self, level: ArrayLike) -> NDArray[np.float64]:
        """Return how far each cell is filled above a level (a number or (nx, ny)) [m], at least 0.

        Single cells that differ from all around them are noise, and smoothed away.
        """
        rise = (self.filled - level).astype(np.float32)
        return np.maximum(cv2.medianBlur(rise, 3), 0.0).astype(np.float64)

    def surface_of(self, mask: Mask, share: float = 0.5) -> NDArray[np.float64]:
        """Return the (nx, ny) height map of one thing's own points; NaN elsewhere [m]."""
        points = self.points[mask.pixels & ~self.moving]
        return self.grid.height_map(points[np.isfinite(points).all(axis=1)], share)

    def depth_at(self, points: NDArray[np.float64]) -> tuple[NDArray, NDArray, NDArray]:
        """Look along the sight-lines through (..., 3) world points.

        Returns:
            (...,) depth of the points themselves and depth seen there [m]; NaN seen where a point
            is outside the image; and (..., 2) pixels [column, row], clipped to the image.
        """
        camera, pose = self.observation.camera, self.observation.T_world_camera
        own = transform_points(invert_transform(pose), points)[..., 2]
        pixels = project_from(camera, pose, points)
        limits = np.array([camera.width - 1, camera.height - 1])
        inside = ((pixels >= -0.5) & (pixels <= limits + 0.5)).all(axis=-1)
        pixels = np.clip(np.rint(np.nan_to_num(pixels)), 0, limits).astype(np.int64)
        seen = self.depth[pixels[..., 1], pixels[..., 0]]
        return own, np.where(inside, seen, np.nan), pixels


def keep_going() -> None:
    """Do nothing: the poll of callers that never cancel."""


def build_scene(
    observation: Observation,
    rig: RigConfig,
    moving: Mask,
    poll: Callable[[], None] = keep_going,
) -> Scene:
    """Sort an observation.

    Args:
        observation: expressed in the rig's world frame.
        rig: workspace and rough support height.
        moving: mask of the object that is to be moved; it is no obstacle to itself.
        poll: called between the steps of the work; what it raises passes through.

    Raises:
        InvalidInputError: no point of the observation lies in the workspace, or sizes differ.
    """
    if moving.pixels.shape != observation.depth.shape:
        raise InvalidInputError(
            f'mask is {moving.pixels.shape}, the image {observation.depth.shape}'
        )
    points = observation.points_world()
    poll()
    points = drop_flying_points(points, observation.depth)
    poll()
    own = grow_mask(moving.pixels, MASK_MARGIN)
    others = points[~own]
    grid = Grid.covering(rig.workspace, CELL, GRID_MARGIN)
    others = others[np.isfinite(others).all(axis=1)]
    others = others[grid.contains(grid.cells(others[:, :2]))]
    others = others[others[:, 2] < rig.workspace.upper[2]]
    if not len(others):
        raise InvalidInputError('no point of the observation lies in the workspace of the rig')
    poll()
    support = fit_support(others, rig.support_height)
    poll()
    right, away = image_directions(observation.T_world_camera)
    top = grid.height_map(others, TOP_SHARE)
    poll()
    scene = Scene(
        observation=observation,
        workspace=rig.workspace,
        points=points,
        depth=fill_depth(observation.depth),
        moving=own,
        support=support,
        grid=grid,
        top=top,
        filled=top,
        seen=np.isfinite(top),
        right=right,
        away=away,
    )
    poll()
    filled, seen = _carve(scene)
    return replace(scene, filled=filled, seen=seen)


def image_directions(T_world_camera: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (2,) unit vectors in xy of the world: the image's right, and away from the camera.

    A camera that looks straight down has no "away" of its own: then it is the image's upper side.
    """
    right = np.asarray(T_world_camera, dtype=np.float64)[:2, 0]
    away = np.asarray(T_world_camera, dtype=np.float64)[:2, 2] - T_world_camera[:2, 1]
    if np.linalg.norm(right) < 0.1 or np.linalg.norm(away) < 0.1:
        raise InvalidInputError('the camera is rolled so that left and right are above each other')
    return right / np.linalg.norm(right), away / np.linalg.norm(away)


def fill_depth(depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give pixels without depth that of the nearest pixel with one; inf if there is none."""
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        return np.full(depth.shape, np.inf)
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(int(labels.max()) + 1)
    by_label[labels[known]] = depth[known]
    return by_label[labels]


def _carve(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return how high every cell is or may be filled, and which cells the camera sees."""
    support = scene.support_map
    filled = np.where(np.isfinite(scene.top), scene.top, support)
    seen = np.isfinite(scene.top)
    unknown = np.argwhere(~seen)
    if not len(unknown):
        return np.maximum(filled, support), seen
    x, y = unknown.T
    levels = np.arange(0.0, CARVE_HEIGHT, CARVE_STEP)
    columns = np.empty((len(unknown), len(levels), 3))
    columns[..., :2] = scene.grid.centers[x, y][:, None]
    columns[..., 2] = support[x, y][:, None] + levels
    own, depth, pixels = scene.depth_at(columns)
    behind_moving = scene.moving[pixels[..., 1], pixels[..., 0]]
    hidden = own > depth + CARVE_TOLERANCE  # False outside the image, where depth is NaN
    # The moving object's own shadow is free to move through, since it is lifted first, but nothing
    # is put into it.
    above = np.where(hidden & ~behind_moving, levels, 0.0).max(axis=1)
    filled[x, y] = support[x, y] + above
    seen[x, y] = ~hidden[:, 0] & ~behind_moving[:, 0] & np.isfinite(depth[:, 0])
    return np.maximum(filled, support), seen
