# SPDX-License-Identifier: Apache-2.0
"""What every check of geometric selection needs of one candidate, measured once.

A dream's points shake: its depth is estimated and its tracks drift. The motion of the whole is
known far better than that of a point, so checks of place and speed look at the start's points
carried by a rigid motion that is fitted to all of them robustly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask
from flow_manip_core.rigid import fit_rigid_transforms, flow_weights
from flow_manip_world_model.scene import Scene
from flow_manip_world_model.selection.limits import GeometricConfig, VetoError
from flow_manip_world_model.selection.wording import Wording

Array = NDArray[np.float64]
ROUNDS = 8  # of reweighting
TRIM = 0.8  # share of points, nearest to the fit first, that a residual is taken of
STILL = 0.012  # [m] a point that strays no farther stands still
STILL_SHARE = 0.15  # of points that make a part that stands still
MIN_SPLIT = 0.04  # [m] the moving part must move, to be told from noise
MIN_PART = 8  # points


@dataclass(frozen=True)
class Facts:
    """What every check needs of one candidate.

    Attributes:
        flow: the candidate.
        points: (T, N, 3) as given, 0 where hidden [m].
        seen: (T, N) True where visible.
        body: (N,) True on what moves; all, unless a part of the mask stands still.
        poses: (T, 4, 4) T_world_start of what moves, fitted.
        residuals: (T,) trimmed RMS distance of its points from that motion [m].
        model: (T, B, 3) its start points carried along; the points as given where the object may
            deform [m].
        shown: (T, B) True where `model` counts: everywhere for a rigid motion.
        center: (T, 3) of `model` [m].
        scene: what is around.
        mask: of the object that should move.
        wording: of the instruction.
    """

    flow: ObjectFlow
    points: Array
    seen: NDArray[np.bool_]
    body: NDArray[np.bool_]
    poses: Array
    residuals: Array
    model: Array
    shown: NDArray[np.bool_]
    center: Array
    scene: Scene
    mask: Mask
    wording: Wording


def gather_facts(
    flow: ObjectFlow, scene: Scene, mask: Mask, wording: Wording, config: GeometricConfig
) -> Facts:
    """Gather what the checks need.

    Raises:
        VetoError: a step shows nothing, the flow has one step, another frame than the
            observation, or does not fix a motion.
    """
    seen = flow.visible
    if flow.frame_id != scene.observation.frame_id:
        raise VetoError(
            f"is in the frame '{flow.frame_id}', the observation in '{scene.observation.frame_id}'"
        )
    if flow.num_steps < 2 or not seen.any(axis=1).all():
        raise VetoError(
            f'has {flow.num_steps} steps, {int((~seen.any(axis=1)).sum())} of them without a '
            'visible point'
        )
    points = np.where(seen[..., None], flow.points, 0.0).astype(np.float64)
    body = moving_part(points, seen) if config.shape != 'rigid' else np.ones(len(seen[0]), bool)
    poses, residuals = robust_poses(points[:, body], flow_weights(flow)[:, body])
    if config.shape == 'deformable':
        model, shown = points[:, body], seen[:, body]
        center = model.sum(axis=1) / np.maximum(shown.sum(axis=1), 1)[:, None]
    else:
        start = points[0][body & seen[0]]
        model = np.einsum('tij,nj->tni', poses[:, :3, :3], start) + poses[:, None, :3, 3]
        shown = np.ones(model.shape[:2], dtype=bool)
        center = model.mean(axis=1)
    return Facts(
        flow, points, seen, body, poses, residuals, model, shown, center, scene, mask, wording
    )  # fmt: skip


def moving_part(points: Array, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of N points move, where a part of them stands still; else all of them.

    A mask of a cabinet whose drawer opens has both.
    """
    both = seen & seen[:1]
    away = np.where(both, np.linalg.norm(points - points[:1], axis=-1), 0.0)
    # A point that noise carries away for a step has not moved.
    strayed = np.sort(away, axis=0)[max(len(away) - 3, 0)]
    moving = strayed > STILL
    far = float(np.percentile(strayed, 95))
    rest = int((~moving & (both.sum(axis=0) >= len(seen) / 2)).sum())
    enough = min(rest, int(moving.sum())) >= max(MIN_PART, STILL_SHARE * len(moving))
    return moving if far > MIN_SPLIT and enough else np.ones(len(moving), dtype=bool)


def robust_poses(points: Array, weights: Array) -> tuple[Array, Array]:
    """Fit the rigid motion since step 0, unimpressed by single points that go elsewhere.

    Iteratively reweighted least squares with Cauchy's weights, their scale from the median
    distance (Holland and Welsch, 1977).

    Args:
        points: (T, N, 3) [m].
        weights: (T, N) confidence; 0 where hidden.

    Returns:
        (T, 4, 4) T_world_start, the first identity, and (T,) RMS distance of the nearest `TRIM`
        of the points [m].

    Raises:
        VetoError: a step does not fix a rigid motion.
    """
    used, robust = weights > 0, weights
    for _ in range(ROUNDS):
        fits = fit_rigid_transforms(points[0], points, robust)
        if not fits.determined[1:].all():
            step = 1 + int((~fits.determined[1:]).argmax())
            raise VetoError(
                f'no rigid motion: {int(used[step].sum())} points at step {step} fix none'
            )
        poses = fits.transforms
        carried = np.einsum('tij,nj->tni', poses[:, :3, :3], points[0]) + poses[:, None, :3, 3]
        off = np.where(used, np.linalg.norm(points - carried, axis=-1), np.nan)
        scale = np.maximum(1.5 * np.nanmedian(off, axis=1), 1e-4)[:, None]
        robust = np.where(used, weights / (1.0 + (np.nan_to_num(off) / scale) ** 2), 0.0)
    limit = np.nanquantile(off, TRIM, axis=1)[:, None]
    near = used & (np.nan_to_num(off, nan=np.inf) <= limit)
    squares = np.where(near, np.nan_to_num(off) ** 2, 0.0).sum(axis=1)
    residuals = np.sqrt(squares / np.maximum(near.sum(axis=1), 1))
    poses[0] = np.eye(4)
    return poses, residuals
