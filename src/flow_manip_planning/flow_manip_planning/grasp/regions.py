# SPDX-License-Identifier: Apache-2.0
"""Part words as regions of an object's shape: where its handle, rim, neck, top, base, body are.

All is read off the geometry of one partial cloud: heights, the silhouette's width over the height,
and what a disc of the fingers' size cannot reach inside the outline seen from above.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from flow_manip_core.errors import NoGraspError
from flow_manip_planning.grasp.candidate import Candidate
from flow_manip_planning.grasp.completion import CELL, find_outline, ObjectShape
from flow_manip_planning.kinematics import Array

RIM_BAND = 0.012  # [m] from the edge, sideways and down
NARROW = 0.72  # a neck is at most this share of the widest place
SLICE = 0.006  # [m]
MIN_NECK = 0.012  # [m] long
HANDLE_RADIUS = 0.013  # [m] a disc of this size does not fit into a handle
MIN_HANDLE_REACH = 0.012  # [m] that it stands out from the body
MIN_REGION_POINTS = 6
BAR_PIECE = 0.012  # [m] of a handle that is measured at once
MIN_BAR = 0.006  # [m] it is at least thick
NEAR_REGION = 0.009  # [m] from both contacts to the region

Region = NDArray[np.bool_]


def find_region(part: str, shape: ObjectShape, camera: Array, label: str = '') -> Region:
    """Say which of a shape's points belong to a part.

    Args:
        part: a value of `flow_manip_core.parts.PARTS`.
        shape: of the object.
        camera: (3,) where it was seen from [m].
        label: the object's name, for messages.

    Returns:
        (N,) True on the part.

    Raises:
        NoGraspError: the part is not known, or nothing of the shape looks like it.
    """
    finders = {
        'top': lambda: _heights(shape) > 1.0 - max(0.25, 0.015 / _extent(shape)),
        'base': lambda: _heights(shape) < max(0.3, 0.02 / _extent(shape)),
        'body': lambda: _body(shape),
        'neck': lambda: _neck(shape, camera),
        'rim': lambda: _rim(shape),
        'handle': lambda: _handle(shape),
    }
    if part not in finders:
        raise NoGraspError(f"no part '{part}'; known: {sorted(finders)}")
    region = finders[part]()
    if region.sum() < MIN_REGION_POINTS:
        raise NoGraspError(
            f"'{label}' shows no {part}: {int(region.sum())} of its {len(region)} points look "
            f'like one, {MIN_REGION_POINTS} are needed'
        )
    return region


def thin_region(shape: ObjectShape, region: Region, camera: Array) -> tuple[ObjectShape, Array]:
    """Treat a handle as a thin bar that stands out from the body.

    The normals of something a few pixels wide are noise and its far side is not seen: two sheets,
    as far apart as the bar looks wide there, stand for its sides.

    Args:
        shape: of the whole object.
        region: (N,) True on the handle.
        camera: (3,) where it was seen from [m].

    Returns:
        the two sheets, and (3,) the horizontal unit direction across the handle.
    """
    points, body = shape.points[region], shape.points[~region]
    outward = points.mean(axis=0) - body.mean(axis=0)
    across = np.array([-outward[1], outward[0], 0.0])
    across /= max(float(np.linalg.norm(across)), 1e-9)
    if (camera - points.mean(axis=0)) @ across < 0:
        across = -across  # the side that is seen better is the upper one
    sides = points @ across
    around = cKDTree(points).query_ball_point(points, BAR_PIECE)
    high = np.array([sides[index].max() for index in around])
    low = np.array([sides[index].min() for index in around])
    low = np.minimum(low, high - MIN_BAR)
    sheets = [points + (side - sides)[:, None] * across for side in (low, high)]
    normals = [np.tile(sign * across, (len(points), 1)) for sign in (-1.0, 1.0)]
    flags = [np.concatenate([flag[region]] * 2) for flag in (shape.seen, shape.walls)]
    bar = ObjectShape(
        np.concatenate(sheets), np.concatenate(normals), flags[0], shape.bottom, flags[1]
    )
    return bar, across


def holds_region(candidate: Candidate, region_points: cKDTree) -> bool:
    """Say whether both fingers of a hand close on a region."""
    reach = 0.5 * candidate.width * candidate.rotation[:, 1]
    contacts = np.stack([candidate.tcp - reach, candidate.tcp + reach])
    return bool((region_points.query(contacts)[0] < NEAR_REGION).all())


def _extent(shape: ObjectShape) -> float:
    return max(float(shape.points[:, 2].max()) - shape.bottom, 1e-3)


def _heights(shape: ObjectShape) -> Array:
    """Return heights over the bottom as shares of the whole."""
    return (shape.points[:, 2] - shape.bottom) / _extent(shape)


def _body(shape: ObjectShape) -> Region:
    heights = _heights(shape)
    return (heights > 0.2) & (heights < 0.85) & ~_handle(shape)


def _rim(shape: ObjectShape) -> Region:
    """Take what is close to the upper end of the outline."""
    outline = find_outline(shape.surface.points)
    high = outline.points[outline.points[:, 2] > np.percentile(outline.points[:, 2], 40)]
    distance, nearest = cKDTree(high[:, :2]).query(shape.points[:, :2])
    below = high[nearest, 2] - shape.points[:, 2]
    return (distance < RIM_BAND) & (below < RIM_BAND)


def _neck(shape: ObjectShape, camera: Array) -> Region:
    """Take the narrow part above the widest one."""
    surface = shape.surface.points
    view = surface.mean(axis=0) - camera
    sideways = np.array([-view[1], view[0], 0.0]) / np.hypot(view[0], view[1])
    across, z = surface @ sideways, surface[:, 2]
    floors = np.arange(shape.bottom, z.max(), SLICE)
    widths = np.full(len(floors), np.nan)
    for index, floor in enumerate(floors):
        inside = (z >= floor) & (z < floor + SLICE)
        if inside.sum() >= 3:
            widths[index] = np.ptp(across[inside])
    if not np.isfinite(widths).any():
        return np.zeros(len(shape.points), dtype=bool)
    widest = int(np.nanargmax(ndimage.median_filter(np.nan_to_num(widths), 3)))
    narrow = widths < NARROW * widths[widest]
    narrow[: widest + 1] = False
    label, count = ndimage.label(narrow | (np.isnan(widths) & (np.arange(len(widths)) > widest)))
    if count == 0:
        return np.zeros(len(shape.points), dtype=bool)
    largest = int(np.argmax(np.bincount(label)[1:])) + 1
    rows = np.flatnonzero(label == largest)
    low, high = floors[rows[0]], floors[rows[-1]] + SLICE
    if high - low < MIN_NECK:
        return np.zeros(len(shape.points), dtype=bool)
    return (shape.points[:, 2] >= low) & (shape.points[:, 2] <= high)


def _handle(shape: ObjectShape) -> Region:
    """Take what stands out from the body: a disc that fits the body does not fit into it."""
    # Only what was seen: a mirror image would have a second handle.
    cells = find_outline(shape.points[shape.seen]).cells
    nothing = np.zeros(len(shape.points), dtype=bool)
    if len(cells) == 0:
        return nothing
    low = cells.min(axis=0) - 8 * CELL
    index = np.rint((cells - low) / CELL).astype(int)
    filled = np.zeros(index.max(axis=0) + 9, dtype=bool)
    filled[index[:, 0], index[:, 1]] = True
    filled = ndimage.binary_fill_holes(filled)
    # Opening by a disc, through distances: what no disc inside the outline covers is thin.
    inner = ndimage.distance_transform_edt(filled) * CELL > HANDLE_RADIUS
    body = ndimage.distance_transform_edt(~inner) * CELL <= HANDLE_RADIUS + 0.5 * CELL
    if not inner.any():
        return nothing
    label, count = ndimage.label(filled & ~body)
    away = ndimage.distance_transform_edt(~body) * CELL
    region = nothing
    at = np.rint((shape.points[:, :2] - low) / CELL - 0.5).astype(int)
    at = np.clip(at, 0, np.array(filled.shape) - 1)
    for number in range(1, count + 1):
        if away[label == number].max() >= MIN_HANDLE_REACH:
            grown = ndimage.binary_dilation(label == number)
            region = region | grown[at[:, 0], at[:, 1]]
    return region
