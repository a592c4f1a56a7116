# SPDX-License-Identifier: Apache-2.0
"""The exact flow of a motion: points of the visible surface, carried along, seen or hidden."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import project_from
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.transforms import (
    interpolate_transforms,
    invert_transform,
    transform_points,
)
from flow_manip_learning.simulated.canvas import Canvas
from flow_manip_learning.simulated.looks import View
from flow_manip_mujoco.tasks import ReferenceMotion

TOLERANCE = 0.006  # [m] between a point and the surface drawn at its pixel, or beside it


def choose_pixels(
    mask: NDArray[np.bool_], depth: NDArray[np.float32], most: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose (N, 2) pixels (u, v) of a mask that have depth, at most `most`, evenly spread.

    Pixels are taken in the order of a random grid: one per cell of a lattice coarse enough, then
    at random until there are `most`.
    """
    v, u = np.nonzero(mask & np.isfinite(depth))
    pixels = np.column_stack([u, v])
    if len(pixels) <= most:
        return pixels
    side = float(np.sqrt(len(pixels) / most))
    cells = np.floor((pixels - pixels.min(axis=0)) / side).astype(np.int64)
    order = rng.permutation(len(pixels))
    _, first = np.unique(cells[order] @ np.array([1, 1 << 20]), return_index=True)
    spread = order[np.sort(first)]
    chosen = np.concatenate([spread, np.setdiff1d(order, spread, assume_unique=True)])[:most]
    return pixels[np.sort(chosen)]


def exact_flow(
    canvas: Canvas,
    view: View,
    motion: ReferenceMotion,
    bodies: Sequence[str],
    pixels: NDArray[np.int64],
    depth: NDArray[np.float32],
    *,
    steps: int,
    words: str,
) -> ObjectFlow:
    """Return how points of a body move, and when they can be seen.

    Args:
        canvas: the scene; seen from `view`, without robot and scenery.
        view: of the first frame.
        motion: of the first of `bodies`.
        bodies: what moves, then what it carries along.
        pixels: (N, 2) of it in the first frame (u, v).
        depth: (H, W) true depth of the first frame [m].
        steps: T, equally spaced in time.
        words: for what moves.
    """
    times = np.linspace(0.0, motion.times[-1], steps)
    poses = interpolate_transforms(motion.times, motion.poses, times)
    changes = poses @ invert_transform(motion.poses[0])
    seen = depth[pixels[:, 1], pixels[:, 0]]
    points = transform_points(view.T_world_camera, view.camera.deproject(pixels, seen))
    flow = flow_from_transforms(
        points, changes, times, object=words, source='simulated', contact=motion.contact
    )
    for step in range(1, steps):
        canvas.move(bodies, changes[step])
        flow.confidence[step] = visible(view, canvas.picture()[1], flow.points[step])
    canvas.move(bodies)
    return flow


def visible(
    view: View, depth: NDArray[np.float32], points: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Say which of (N, 3) world points lie on the surface whose (H, W) depth [m] is given.

    The depth at the point's pixel or one beside it (edges, slopes) must be the point's own.
    """
    camera = view.camera
    z = transform_points(invert_transform(view.T_world_camera), points)[:, 2]
    uv = project_from(camera, view.T_world_camera, points)
    inside = np.isfinite(uv).all(axis=1)
    inside &= (uv > -0.5).all(axis=1)
    inside &= (uv < [camera.width - 0.5, camera.height - 0.5]).all(axis=1)
    u, v = np.rint(np.where(inside[:, None], uv, 0.0)).astype(np.int64).T
    around = np.pad(depth, 1, constant_values=np.nan)
    beside = np.stack([around[v + dv, u + du] for dv in range(3) for du in range(3)])
    return inside & (np.abs(beside - z) <= TOLERANCE).any(axis=0)
