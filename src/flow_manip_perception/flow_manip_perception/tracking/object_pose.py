# SPDX-License-Identifier: Apache-2.0
"""How a tracked thing has moved in the world: a rigid motion out of its lifted points."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import DegenerateFlowError
from flow_manip_core.rigid import fit_rigid_transform, fit_rigid_transforms
from flow_manip_core.transforms import transform_points
from flow_manip_perception.tracking.surface import sample_nearest

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ObjectPoseConfig:
    """When points say how their thing moved.

    Attributes:
        distance: points farther than this from where the motion puts them are wrong [m].
        min_points: that must agree.
        min_share: of the points in sight that must agree.
        samples: triples of points that are tried.
        edge: depth changes by more than this from pixel to pixel at an edge [m].
    """

    distance: float = field(default=0.01, metadata={'doc': 'Of points that agree [m]'})
    min_points: int = field(default=8, metadata={'doc': 'That must agree'})
    min_share: float = field(default=0.5, metadata={'doc': 'Of those in sight'})
    samples: int = field(default=64, metadata={'doc': 'Triples that are tried'})
    edge: float = field(default=0.015, metadata={'doc': 'Step of depth at an edge [m]'})


@dataclass(frozen=True)
class ObjectMotion:
    """A thing's motion.

    Attributes:
        motion: (4, 4) from where it was to where it is, in the frame of the points.
        num_agreeing: points that agree with it.
        share: of the points in sight.
        residual: root mean square distance of those that agree [m].
    """

    motion: Array
    num_agreeing: int
    share: float
    residual: float


def lift_pixels(
    pixels: NDArray, depth: NDArray[np.float32], camera: CameraModel, edge: float
) -> Array:
    """Return (N, 3) optical frame points of (N, 2) pixels, NaN at depth's edges and holes [m]."""
    pixels = np.asarray(pixels, dtype=np.float64)
    around = np.stack(
        [
            sample_nearest(depth, pixels + shift)
            for shift in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
        ]
    )
    with np.errstate(invalid='ignore'):
        inside = np.abs(around[1:] - around[0]).max(axis=0) < edge
    return camera.deproject(pixels, np.where(inside, around[0], np.nan))


def find_object_motion(
    before: Array, now: Array, confidence: NDArray, config: ObjectPoseConfig
) -> ObjectMotion | None:
    """Fit the rigid motion that most of the points in sight agree with.

    Random triples (Fischler and Bolles 1981), then least squares over those that agree.

    Args:
        before: (N, 3) where the points were, NaN unknown [m].
        now: (N, 3) where they are, NaN unknown [m].
        confidence: (N,) 0..1; those above 0.5 are in sight.
        config: what suffices.

    Returns:
        The motion, None where too few agree.
    """
    known = np.isfinite(before).all(axis=1) & np.isfinite(now).all(axis=1) & (confidence > 0.5)
    source, target, weights = before[known], now[known], confidence[known].astype(np.float64)
    if len(source) < max(3, config.min_points):
        return None
    motion = _best_triple(source, target, config)
    for _ in range(3):
        gap = np.linalg.norm(transform_points(motion, source) - target, axis=1)
        agree = gap < config.distance
        if agree.sum() < max(3, config.min_points):
            return None
        try:
            motion = fit_rigid_transform(source[agree], target[agree], weights[agree])
        except DegenerateFlowError:
            return None
    gap = np.linalg.norm(transform_points(motion, source) - target, axis=1)
    agree = gap < config.distance
    share = float(agree.mean())
    if agree.sum() < config.min_points or share < config.min_share:
        return None
    residual = float(np.sqrt((gap[agree] ** 2).mean()))
    return ObjectMotion(motion, int(agree.sum()), share, residual)


def _best_triple(source: Array, target: Array, config: ObjectPoseConfig) -> Array:
    """Return the motion of the triple that most points agree with; of all points if better."""
    rng = np.random.default_rng(len(source))
    chosen = np.argsort(rng.random((config.samples, len(source))), axis=1)[:, :3]
    weights = np.zeros((config.samples + 1, len(source)))
    weights[np.arange(config.samples)[:, None], chosen] = 1.0
    weights[-1] = 1.0
    fits = fit_rigid_transforms(source, np.tile(target, (config.samples + 1, 1, 1)), weights)
    moved = np.einsum('sij,nj->sni', fits.transforms[:, :3, :3], source)
    moved += fits.transforms[:, None, :3, 3]
    gap = np.linalg.norm(moved - target, axis=2)
    support = np.clip(1.0 - gap / config.distance, 0.0, None).sum(axis=1)
    support[~fits.determined] = -1.0
    return fits.transforms[int(support.argmax())]
