# SPDX-License-Identifier: Apache-2.0
"""From object flow to the path of the object and of the hand that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import DegenerateFlowError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.rigid import fit_flow_transforms
from flow_manip_core.transforms import interpolate_transforms, transform_points
from flow_manip_planning.kinematics import Array, pose_errors
from flow_manip_planning.surroundings import Surroundings

MAX_STEPS = 400


@dataclass(frozen=True)
class ObjectPath:
    """Motion of a rigid object since its start.

    Attributes:
        times: (K,) seconds.
        poses: (K, 4, 4) T_world_start, the first identity.
    """

    times: Array
    poses: Array


def fit_object_path(flow: ObjectFlow, smoothing: float, max_residual: float = 0.05) -> ObjectPath:
    """Fit rigid motion to a flow and smooth it over time; both ends stay as fitted.

    Args:
        flow: of one object, two steps or more.
        smoothing: standard deviation in steps; 0 leaves the fit as it is.
        max_residual: largest root mean square distance between the points and a rigid motion [m].

    Raises:
        DegenerateFlowError: too short, on one line, or not rigid; the message has the numbers.
    """
    if flow.num_steps < 2:
        raise DegenerateFlowError(f'the flow has {flow.num_steps} step, motion needs two')
    poses, residuals = fit_flow_transforms(flow)
    worst = int(residuals.argmax())
    if residuals[worst] > max_residual:
        raise DegenerateFlowError(
            f'at step {worst} of {flow.num_steps} the points are {residuals[worst]:.3f} m from '
            f'any rigid motion, limit {max_residual:.3f} m'
        )
    return ObjectPath(flow.times - flow.times[0], smooth_poses(poses, smoothing))


def smooth_poses(poses: Array, sigma: float) -> Array:
    """Smooth (T, 4, 4) poses by a Gaussian over the steps, without moving the ends.

    Ends are continued by point reflection, so a straight motion stays what it is. Rotations are
    averaged as unit quaternions, which is exact enough for neighbours a few degrees apart (Gramkow
    2001).
    """
    if sigma <= 0 or len(poses) < 3:
        return poses
    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    signs = np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0, -1.0, 1.0)
    quaternions[1:] *= np.cumprod(signs)[:, None]
    values = np.concatenate([poses[:, :3, 3], quaternions], axis=1)
    pad = min(len(values) - 1, int(np.ceil(4 * sigma)))
    before = 2 * values[0] - values[pad:0:-1]
    after = 2 * values[-1] - values[-2 : -pad - 2 : -1]
    smooth = gaussian_filter1d(np.concatenate([before, values, after]), sigma, axis=0)
    smooth = smooth[pad : pad + len(values)]
    result = np.tile(np.eye(4), (len(values), 1, 1))
    result[:, :3, 3] = smooth[:, :3]
    result[:, :3, :3] = Rotation.from_quat(smooth[:, 3:]).as_matrix()
    result[[0, -1]] = poses[[0, -1]]
    return result


def resample_path(
    path: ObjectPath, at: Array, max_translation: float, max_rotation: float
) -> ObjectPath:
    """Split a path so that neither a hand at (3,) `at` nor the object moves far between two steps.

    Args:
        path: the object's.
        at: a point that is carried along, in the world at the start [m].
        max_translation: [m] per step.
        max_rotation: [rad] per step.
    """
    carried = path.poses[:, :3, :3] @ at + path.poses[:, :3, 3]
    moved = np.linalg.norm(np.diff(carried, axis=0), axis=1)
    turned = np.linalg.norm(pose_errors(path.poses[1:], path.poses[:-1])[:, 3:], axis=1)
    pieces = np.maximum(np.ceil(np.maximum(moved / max_translation, turned / max_rotation)), 1)
    if pieces.sum() > MAX_STEPS:
        pieces = np.maximum(np.ceil(pieces * MAX_STEPS / pieces.sum()), 1)
    times = np.concatenate(
        [
            np.linspace(t0, t1, int(n), endpoint=False)
            for t0, t1, n in zip(path.times[:-1], path.times[1:], pieces)
        ]
        + [path.times[-1:]]
    )
    return ObjectPath(times, interpolate_transforms(path.times, path.poses, times))


def rests_at_end(
    path: ObjectPath, shape: Array, surroundings: Surroundings, max_height: float
) -> bool:
    """Say whether the object ends at most `max_height` above the surface below it.

    Args:
        path: the object's.
        shape: (N, 3) its points at the start [m].
        surroundings: support and obstacles without the object.
        max_height: [m].
    """
    end = transform_points(path.poses[-1], shape)
    lowest = end[:, 2].min()
    surface = float(surroundings.support_at(end[end[:, 2].argmin()]))
    obstacles = surroundings.obstacles
    if len(obstacles):
        distance, _ = cKDTree(end[:, :2]).query(
            obstacles[:, :2], distance_upper_bound=surroundings.voxel
        )
        below = obstacles[np.isfinite(distance)]
        # A wall beside the object is not what it stands on: count what lies under its lowest
        # third.
        below = below[below[:, 2] < lowest + 0.34 * np.ptp(end[:, 2])]
        if len(below):
            surface = max(surface, float(below[:, 2].max()) + 0.5 * surroundings.voxel)
    return bool(lowest - surface <= max_height)
