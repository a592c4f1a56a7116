# SPDX-License-Identifier: Apache-2.0
"""How far an object is from where it should be, from two partial clouds of its visible side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from flow_manip_core.transforms import make_transform, transform_points

MAX_POINTS = 1500
ITERATIONS = 40
NEIGHBOURS = 12
# Share of correspondences that is kept: the rest is surface that only one image shows.
KEPT = 0.8
# Smallest eigenvalue of the normal matrix, per point and in units of the object's radius, that
# counts as observed: a plane with 1 mm of noise has about 1e-4 about its normal, a corner 1e-1.
OBSERVED = 0.01
TURNING = 0.5  # share of rotation from which a direction of motion counts as one
SAME_FIT = 0.001  # [m] of residual


@dataclass(frozen=True)
class Alignment:
    """The rigid motion that is left between two clouds.

    Attributes:
        T_actual_expected: (4, 4) carries the expected cloud onto the actual one.
        metres: how far it moves the expected cloud's centre.
        degrees: angle about the axes that the shape shows; NaN if it shows none.
        residual: root mean square distance to the nearest points that is left, without the share
            that was trimmed [m].
    """

    T_actual_expected: NDArray[np.float64]
    metres: float
    degrees: float
    residual: float


def estimate_normals(points: NDArray[np.float64], neighbours: int = NEIGHBOURS) -> NDArray:
    """Return (N, 3) unit normals of the planes through each point's neighbours, sign arbitrary."""
    count = min(neighbours, len(points))
    _, index = cKDTree(points).query(points, k=count)
    local = points[np.asarray(index).reshape(len(points), count)]
    local = local - local.mean(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(np.einsum('nki,nkj->nij', local, local))
    return vectors[:, :, 0]


def align_clouds(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> Alignment:
    """Find the motion between where an object should be and where it is seen.

    Point-to-plane ICP (Chen and Medioni 1992) with trimmed correspondences (Chetverikov 2002),
    once from where the object should be and once from the clouds' middles; the better fit counts.
    Directions that the shape does not show are not moved along (Zhang, Kaess, Singh 2016), so a
    ball gets no made-up rotation.

    Args:
        expected: (N, 3) points [m], N >= 3.
        actual: (M, 3) points in the same frame [m], M >= 3. More than the object may be among
            them: every expected point looks for its own surface.
    """
    expected, actual = _thin(expected), _thin(actual)
    tree, normals = cKDTree(actual), estimate_normals(actual)
    shift = make_transform(np.median(actual, axis=0) - np.median(expected, axis=0))
    fits = [_fit(expected, actual, tree, normals, start) for start in (np.eye(4), shift)]
    # Of two fits that noise alone tells apart, the one that claims less motion.
    best = min(fit.residual for fit in fits)
    return min((f for f in fits if f.residual <= best + SAME_FIT), key=lambda f: f.metres)


def _fit(
    expected: NDArray, actual: NDArray, tree: cKDTree, normals: NDArray, start: NDArray
) -> Alignment:
    """Run ICP from a first guess."""
    center = expected.mean(axis=0)
    radius = max(float(np.sqrt(((expected - center) ** 2).sum(axis=1).mean())), 1e-4)
    transform, unseen, residual = start, 0, 0.0
    for _ in range(ITERATIONS):
        moved = transform_points(transform, expected)
        middle = transform_points(transform, center)
        step, unseen, residual = _step(moved, middle, radius, actual, tree, normals)
        rotation = Rotation.from_rotvec(step[:3] / radius).as_matrix()
        update = make_transform(middle + step[3:] - rotation @ middle, rotation)
        transform = update @ transform
        if np.linalg.norm(step) < 1e-5:
            break
    angle = Rotation.from_matrix(transform[:3, :3]).magnitude()
    return Alignment(
        T_actual_expected=transform,
        metres=float(np.linalg.norm(transform_points(transform, center) - center)),
        degrees=float(np.degrees(angle)) if unseen < 3 else float('nan'),
        residual=residual,
    )


def _step(
    moved: NDArray,
    middle: NDArray,
    radius: float,
    actual: NDArray,
    tree: cKDTree,
    normals: NDArray,
) -> tuple[NDArray, int, float]:
    """Return a Gauss-Newton step, how many rotations are not observed, and the residual [m].

    The step is (6,): rotation times radius, then translation.
    """
    distance, index = tree.query(moved)
    kept = distance <= np.quantile(distance, KEPT)
    source, target, normal = moved[kept], actual[index[kept]], normals[index[kept]]
    error = ((target - source) * normal).sum(axis=1)
    jacobian = np.hstack([np.cross(source - middle, normal) / radius, normal])
    values, vectors = np.linalg.eigh(jacobian.T @ jacobian / len(error))
    seen = values > OBSERVED
    gradient = vectors.T @ (jacobian.T @ error / len(error))
    step = vectors[:, seen] @ (gradient[seen] / values[seen])
    # Turning a ball about its own middle is a mix of turning and shifting about the cloud's.
    unseen = int((np.linalg.norm(vectors[:3, ~seen], axis=0) > TURNING).sum())
    return step, unseen, float(np.sqrt((distance[kept] ** 2).mean()))


def _thin(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return at most MAX_POINTS of the points, evenly from the list: the result repeats."""
    points = np.asarray(points, dtype=np.float64)
    if len(points) <= MAX_POINTS:
        return points
    return points[np.linspace(0, len(points) - 1, MAX_POINTS).astype(int)]
