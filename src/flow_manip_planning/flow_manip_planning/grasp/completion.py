# SPDX-License-Identifier: Apache-2.0
"""The side of an object that one camera cannot see, guessed.

A vertical plane of symmetry is searched for whose mirrored points contradict nothing that was seen
(Bohg et al. 2011): a mirrored point may lie on or behind the seen surface, never in seen free
space. What is seen from above is then taken to reach down to the support along its outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from flow_manip_core.camera import project_from
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_planning.kinematics import Array
from flow_manip_planning.surroundings import Surroundings, thin_out

SPACING = 0.003  # [m] between points of the completed object
MAX_POINTS = 1500
CELL = 0.004  # [m] of the outline's raster
DEPTH_TOLERANCE = 0.006  # [m]
MASK_ERROR = 0.008  # [m] that the edge of a mask or of an outline may be off
MAX_CONTRADICTION = 0.06  # share of mirrored points that may lie in seen free space


@dataclass(frozen=True)
class ObjectShape:
    """An object's surface, seen and guessed, in the world frame.

    Attributes:
        points: (N, 3) [m].
        normals: (N, 3) unit, outward.
        seen: (N,) True where the camera saw it.
        bottom: z of what it stands on [m].
        walls: (N,) True where only the outline seen from above says so.
    """

    points: Array
    normals: Array
    seen: NDArray[np.bool_]
    bottom: float
    walls: NDArray[np.bool_]

    @cached_property
    def surface(self) -> ObjectShape:
        """What was seen, and its mirror image: without the guessed walls."""
        keep = ~self.walls
        return ObjectShape(
            self.points[keep], self.normals[keep], self.seen[keep], self.bottom, self.walls[keep]
        )

    @cached_property
    def center(self) -> Array:
        """(3,) middle of the bounding box, which a lopsided view shifts less than the mean."""
        return 0.5 * (self.points.min(axis=0) + self.points.max(axis=0))


def complete_object(
    observation: Observation, mask: Mask, surroundings: Surroundings
) -> ObjectShape:
    """Guess the whole surface of the masked object."""
    spacing = SPACING
    points = thin_out(surroundings.object_points, spacing)
    while len(points) > MAX_POINTS:
        spacing *= 1.25
        points = thin_out(surroundings.object_points, spacing)
    points = drop_stragglers(points)
    camera = observation.T_world_camera[:3, 3]
    normals = estimate_normals(points, camera)
    bottom = max(surroundings.support_height, float(np.percentile(points[:, 2], 1)) - 0.025)
    if points[:, 2].min() - surroundings.support_height < 0.03:
        bottom = surroundings.support_height
    seen = np.ones(len(points), dtype=bool)
    plane = find_symmetry(observation, mask, points, camera)
    if plane is not None:
        mirrored, turned = reflect(points, normals, plane)
        distance, _ = cKDTree(points).query(mirrored)
        # The body is symmetric, its handle may not be: a second one would be seen.
        new = (distance > 1.5 * spacing) & ~contradicts(observation, mask, mirrored)
        points = np.concatenate([points, mirrored[new]])
        normals = np.concatenate([normals, turned[new]])
    num_surface = len(points)
    walls, outward = outline_walls(points, bottom)
    if len(walls):
        distance, _ = cKDTree(points).query(walls)
        # Under a spout or an arm nothing reaches down where the table behind it is seen.
        new = (distance > 0.006) & ~below_gaps(walls, seen_through(observation, mask, walls))
        points, normals = (
            np.concatenate([points, walls[new]]),
            np.concatenate([normals, outward[new]]),
        )
    seen = np.concatenate([seen, np.zeros(len(points) - len(seen), dtype=bool)])
    return ObjectShape(points, normals, seen, bottom, np.arange(len(points)) >= num_surface)


def drop_stragglers(points: Array, neighbours: int = 5, reach: float = 0.012) -> Array:
    """Drop points with fewer than `neighbours` others within `reach`."""
    counts = cKDTree(points).query_ball_point(points, reach, return_length=True)
    kept = points[counts > neighbours]
    return kept if len(kept) >= 0.5 * len(points) else points


def estimate_normals(points: Array, viewpoint: Array, neighbours: int = 14) -> Array:
    """Fit a plane to every point's neighbours; normals look towards the viewpoint."""
    k = min(neighbours, len(points))
    _, index = cKDTree(points).query(points, k=k)
    local = points[index.reshape(len(points), k)]
    local = local - local.mean(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(local.swapaxes(1, 2) @ local)
    normals = vectors[:, :, 0]
    away = ((viewpoint - points) * normals).sum(axis=1) < 0
    return np.where(away[:, None], -normals, normals)


def reflect(points: Array, normals: Array, plane: tuple[Array, float]) -> tuple[Array, Array]:
    """Mirror points and normals at the plane ``axis . p = offset``."""
    axis, offset = plane
    return (
        points - 2.0 * ((points @ axis) - offset)[:, None] * axis,
        normals - 2.0 * (normals @ axis)[:, None] * axis,
    )


def find_symmetry(
    observation: Observation, mask: Mask, points: Array, camera: Array
) -> tuple[Array, float] | None:
    """Find the vertical plane that shows most of the hidden side without contradicting the image.

    Returns:
        the plane's horizontal unit normal and its offset [m]; None if every plane contradicts.
    """
    sparse = points[:: max(1, len(points) // 250)]
    tree = cKDTree(points)
    view = (points.mean(axis=0) - camera)[:2]
    heading = float(np.arctan2(view[1], view[0]))
    best, best_score = None, 0.0
    for turn in np.linspace(-np.pi / 3, np.pi / 3, 13):
        axis = np.array([np.cos(heading + turn), np.sin(heading + turn), 0.0])
        along = points @ axis
        for offset in np.arange(along.min() + 0.004, along.max() + 0.03, 0.004):
            mirrored = sparse - 2.0 * ((sparse @ axis) - offset)[:, None] * axis
            if contradiction(observation, mask, mirrored) > MAX_CONTRADICTION:
                continue
            distance, _ = tree.query(mirrored, distance_upper_bound=0.006)
            # Overlap tells that the plane fits; what is new tells that it helps.
            overlap = float(np.isfinite(distance).mean())
            score = overlap - 0.05 * abs(turn)
            if score > best_score:
                best, best_score = (axis, float(offset)), score
    return best if best_score > 0.15 else None


def contradiction(observation: Observation, mask: Mask, points: Array) -> float:
    """Return the share of (N, 3) world points that the camera would have seen and did not."""
    return float(contradicts(observation, mask, points).sum() / max(len(points), 1))


def contradicts(observation: Observation, mask: Mask, points: Array) -> NDArray[np.bool_]:
    """Say which of (N, 3) world points the camera would have seen and did not."""
    pixels = np.rint(project_from(observation.camera, observation.T_world_camera, points))
    depth = transform_points(invert_transform(observation.T_world_camera), points)[:, 2]
    inside = (
        np.isfinite(pixels).all(axis=1)
        & (pixels >= 0).all(axis=1)
        & (pixels[:, 0] < observation.camera.width)
        & (pixels[:, 1] < observation.camera.height)
    )
    column, row = pixels[inside].astype(int).T
    observed = observation.depth[row, column]
    # Unknown depth contradicts nothing, so NaN must compare as "not in front".
    in_front = depth[inside] < observed - DEPTH_TOLERANCE
    beside = ~mask.pixels[row, column] & (depth[inside] < observed + 0.01)
    wrong = np.zeros(len(points), dtype=bool)
    wrong[inside] = in_front | beside
    return wrong


def seen_through(observation: Observation, mask: Mask, points: Array) -> NDArray[np.bool_]:
    """Say where of (N, 3) world points the camera clearly saw past the object to what is behind.

    Clearly means farther from the mask than outlines and masks are off, `MASK_ERROR`.
    """
    camera = observation.camera
    pixels = np.rint(project_from(camera, observation.T_world_camera, points))
    depth = transform_points(invert_transform(observation.T_world_camera), points)[:, 2]
    size = np.array([camera.width, camera.height])
    inside = np.isfinite(pixels).all(axis=1) & ((pixels >= 0) & (pixels < size)).all(axis=1)
    column, row = pixels[inside].astype(int).T
    beside = ndimage.distance_transform_edt(~mask.pixels)[row, column] * depth[inside] / camera.fx
    free = np.zeros(len(points), dtype=bool)
    # Unknown depth says nothing: NaN compares as "not behind".
    behind = observation.depth[row, column] > depth[inside] + DEPTH_TOLERANCE
    free[inside] = behind & (beside > MASK_ERROR)
    return free


def below_gaps(walls: Array, free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say which of (W, 3) points in vertical columns lie no higher than one that is free."""
    _, column = np.unique(walls[:, :2], axis=0, return_inverse=True)
    column = column.ravel()
    highest = np.full(column.max(initial=-1) + 1, -np.inf)
    np.maximum.at(highest, column[free], walls[free, 2])
    return walls[:, 2] <= highest[column]


@dataclass(frozen=True)
class Outline:
    """The edge of an object seen from above.

    Attributes:
        points: (E, 3) on the edge, z that of the highest point there [m].
        outward: (E, 3) unit, horizontal.
        cells: (C, 2) centres of the raster's cells that the object covers [m].
    """

    points: Array
    outward: Array
    cells: Array


def find_outline(points: Array) -> Outline:
    """Trace the outline of (N, 3) points on a raster of 4 mm."""
    low = points[:, :2].min(axis=0) - 4 * CELL
    cells = np.floor((points[:, :2] - low) / CELL).astype(int)
    shape = cells.max(axis=0) + 5
    top = np.full(shape, -np.inf)
    np.maximum.at(top, (cells[:, 0], cells[:, 1]), points[:, 2])
    filled = ndimage.binary_closing(np.isfinite(top), iterations=2)
    top = ndimage.maximum_filter(top, size=3)
    filled &= np.isfinite(top)
    edge = filled & ~ndimage.binary_erosion(filled)
    blurred = ndimage.gaussian_filter(ndimage.binary_fill_holes(filled).astype(float), 1.5)
    slope = np.stack(np.gradient(blurred), axis=-1)
    steepness = np.linalg.norm(slope, axis=-1)
    at = np.argwhere(edge & (steepness > 0.05))
    i, j = at.T
    outward = np.zeros((len(at), 3))
    outward[:, :2] = -slope[i, j] / steepness[i, j][:, None]
    edges = np.column_stack([low + (at + 0.5) * CELL, top[i, j]])
    return Outline(edges, outward, low + (np.argwhere(filled) + 0.5) * CELL)


def outline_walls(points: Array, bottom: float) -> tuple[Array, Array]:
    """Let the outline seen from above reach down to `bottom`.

    Returns:
        (W, 3) points on the outline and (W, 3) horizontal outward normals.
    """
    outline = find_outline(points)
    walls, normals = [], []
    for edge, outward in zip(outline.points, outline.outward):
        heights = np.arange(bottom + 0.003, edge[2], 0.006)
        column = np.empty((len(heights), 3))
        column[:, :2], column[:, 2] = edge[:2], heights
        walls.append(column)
        normals.append(np.tile(outward, (len(heights), 1)))
    if not walls:
        return np.empty((0, 3)), np.empty((0, 3))
    return np.concatenate(walls), np.concatenate(normals)
