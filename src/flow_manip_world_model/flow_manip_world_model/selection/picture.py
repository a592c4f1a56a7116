# SPDX-License-Identifier: Apache-2.0
"""Candidates as one numbered picture: every motion drawn on what the camera saw.

A tile per candidate (NovaFlow; the two halves of a tile as in NovaPlan): above, the ways of some
points on the first frame, from blue at the start to red at the end; below, the object's pixels
where the motion ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import project_from
from flow_manip_core.errors import DegenerateFlowError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.rigid import fit_rigid_transforms, flow_weights
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_world_model.points import farthest_points

Image = NDArray[np.uint8]
WAYS = 24  # points whose ways are drawn
TILE = 480  # [px] width of a tile
COLUMNS = 4
MARGIN = 0.25  # of the box around object and ways, shown around it
MIN_BOX = 0.3  # of the image's width: a tile shows at least so much
MAX_SPLATS = 4000  # pixels of the object drawn at its end


def candidates_picture(
    observation: Observation, mask: Mask, flows: Sequence[ObjectFlow], numbers: Sequence[int]
) -> Image:
    """Draw flows side by side, each with its number.

    All tiles show the same part of the image, so that they can be compared.

    Args:
        observation: the flows start from.
        mask: of the object that should move.
        flows: to draw.
        numbers: of them, as they are to be called.

    Returns:
        (H, W, 3) uint8 RGB; at most four tiles side by side.
    """
    box = _common_box(observation, mask, flows)
    tiles = [_tile(observation, mask, flow, n, box) for flow, n in zip(flows, numbers)]
    columns = min(COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (rows * columns - len(tiles))
    lines = [np.concatenate(tiles[r * columns : (r + 1) * columns], axis=1) for r in range(rows)]
    return np.concatenate(lines, axis=0)


def _ways(observation: Observation, flow: ObjectFlow) -> NDArray[np.float64]:
    """Return (T, P, 2) pixels of evenly spread points' ways; NaN where hidden."""
    first = np.flatnonzero(flow.visible[0])
    if not len(first):
        first = np.arange(flow.num_points)
    chosen = first[farthest_points(flow.points[0, first].astype(np.float64), WAYS)]
    points = np.where(flow.visible[:, chosen, None], flow.points[:, chosen], np.nan)
    return project_from(observation.camera, observation.T_world_camera, points)


def _common_box(
    observation: Observation, mask: Mask, flows: Sequence[ObjectFlow]
) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of the part of the image that all motions happen in."""
    height, width = mask.pixels.shape
    x, y, w, h = mask.box
    corners = [np.array([[x, y], [x + w, y + h]], dtype=np.float64)]
    for flow in flows:
        pixels = _ways(observation, flow).reshape(-1, 2)
        pixels = pixels[np.isfinite(pixels).all(axis=1)]
        # A motion out of the picture must not make everything else small.
        corners.append(pixels[((pixels >= 0) & (pixels < [width, height])).all(axis=1)])
    together = np.concatenate(corners)
    low, high = together.min(axis=0), together.max(axis=0)
    center, side = (low + high) / 2, (high - low) * (1.0 + 2.0 * MARGIN)
    side = np.maximum(side, MIN_BOX * width)
    # Tiles have the image's shape.
    side = max(side[0], side[1] * width / height) * np.array([1.0, height / width])
    side = np.minimum(side, [width, height])
    corner = np.clip(center - side / 2, 0, [width, height] - side)
    return (*np.floor(corner).astype(int).tolist(), *np.floor(side).astype(int).tolist())


def _tile(
    observation: Observation,
    mask: Mask,
    flow: ObjectFlow,
    number: int,
    box: tuple[int, int, int, int],
) -> Image:
    """Draw one candidate: its ways above, its end below, a bar with its number on top."""
    x, y, w, h = box
    scale = TILE / w
    size = (TILE, round(h * scale))

    def shown(image: Image) -> Image:
        part = np.ascontiguousarray(image[y : y + h, x : x + w])
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    above = shown(observation.color)
    _draw_ways(above, (_ways(observation, flow) - [x, y]) * scale)
    bar = np.full((36, TILE, 3), 255, np.uint8)
    cv2.putText(bar, str(number), (8, 28), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    tile = np.concatenate([bar, above, shown(end_picture(observation, mask, flow))], axis=0)
    tile[:, -2:] = 0
    tile[-2:] = 0
    return tile


def _draw_ways(image: Image, ways: NDArray[np.float64]) -> None:
    """Draw (T, P, 2) ways, blue at the start, red at the end, a dot where they end."""
    steps = np.linspace(0.0, 1.0, len(ways))
    for way in ways.swapaxes(0, 1):
        known = np.flatnonzero(np.isfinite(way).all(axis=1))
        for a, b in pairwise(known):
            color = (int(255 * steps[b]), 60, int(255 * (1.0 - steps[b])))
            cv2.line(image, _pixel(way[a]), _pixel(way[b]), color, 2, cv2.LINE_AA)
        if len(known):
            cv2.circle(image, _pixel(way[known[-1]]), 4, (255, 60, 0), -1, cv2.LINE_AA)


def _pixel(point: NDArray[np.float64]) -> tuple[int, int]:
    """Return a drawable pixel; far outside is far enough."""
    u, v = np.clip(point, -5000, 5000)
    return round(float(u)), round(float(v))


def end_picture(observation: Observation, mask: Mask, flow: ObjectFlow) -> Image:
    """Draw the object where the flow ends, over the scene: (H, W, 3) uint8 RGB.

    Its place at the start is filled from around it. Where the end does not fix a rigid motion,
    its points alone are drawn.
    """
    grown = cv2.dilate(mask.pixels.astype(np.uint8), np.ones((5, 5), np.uint8))
    image = np.asarray(cv2.inpaint(observation.color, grown, 3, cv2.INPAINT_TELEA), np.uint8)
    try:
        points, colors = _moved_pixels(observation, mask, flow)
    except DegenerateFlowError:
        points = flow.points[-1][flow.visible[-1]].astype(np.float64)
        colors = np.tile(np.array([255, 60, 0], np.uint8), (len(points), 1))
    depth = transform_points(invert_transform(observation.T_world_camera), points)[:, 2]
    pixels = project_from(observation.camera, observation.T_world_camera, points)
    for i in np.argsort(-depth):
        if np.isfinite(pixels[i]).all():
            u, v = _pixel(pixels[i])
            cv2.rectangle(image, (u - 1, v - 1), (u + 2, v + 2), colors[i].tolist(), -1)
    return image


def _moved_pixels(
    observation: Observation, mask: Mask, flow: ObjectFlow
) -> tuple[NDArray[np.float64], Image]:
    """Return (N, 3) world points of the mask's pixels at the flow's end, and (N, 3) colours.

    Raises:
        DegenerateFlowError: the end does not fix a rigid motion.
    """
    points = flow.points[[0, -1]].astype(np.float64)
    fits = fit_rigid_transforms(points[0], points[1:], flow_weights(flow)[-1:])
    if not fits.determined[0]:
        raise DegenerateFlowError('the end does not fix a rigid motion')
    cloud = observation.points_world()
    known = mask.pixels & np.isfinite(cloud).all(axis=-1)
    start, colors = cloud[known], observation.color[known]
    every = max(len(start) // MAX_SPLATS, 1)
    return transform_points(fits.transforms[0], start[::every]), colors[::every]
