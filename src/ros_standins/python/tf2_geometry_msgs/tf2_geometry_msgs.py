# SPDX-License-Identifier: Apache-2.0
"""Applies transforms to the messages of geometry_msgs and registers them with tf2_ros.

Every function returns a new message; the stamped ones carry the transform's header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geometry_msgs.msg import (
    PointStamped,
    PolygonStamped,
    Pose,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
    Vector3Stamped,
    WrenchStamped,
)
import numpy as np
from numpy.typing import NDArray

from tf2_py._maths import canonical, compose, Point, Rigid, rotate
import tf2_ros

__all__ = [
    'do_transform_point',
    'do_transform_polygon_stamped',
    'do_transform_pose',
    'do_transform_pose_stamped',
    'do_transform_pose_with_covariance_stamped',
    'do_transform_vector3',
    'do_transform_wrench',
    'from_msg_msg',
    'to_msg_msg',
    'transform_covariance',
]


def to_msg_msg(msg: Any) -> Any:
    """Return a message as it is."""
    return msg


def from_msg_msg(msg: Any) -> Any:
    """Return a message as it is."""
    return msg


def _rigid(transform: TransformStamped) -> Rigid:
    t, q = transform.transform.translation, transform.transform.rotation
    return canonical((t.x, t.y, t.z, q.x, q.y, q.z, q.w))


def _apply(rigid: Rigid, point: Any) -> Point:
    x, y, z = rotate(rigid, point.x, point.y, point.z)
    return (x + rigid[0], y + rigid[1], z + rigid[2])


def _set(vector: Any, values: Sequence[float]) -> None:
    vector.x, vector.y, vector.z = values


def do_transform_point(point: PointStamped, transform: TransformStamped) -> PointStamped:
    """Express a point in the transform's frame."""
    result = PointStamped(header=transform.header)
    _set(result.point, _apply(_rigid(transform), point.point))
    return result


def do_transform_vector3(vector3: Vector3Stamped, transform: TransformStamped) -> Vector3Stamped:
    """Express a free vector in the transform's frame: rotated, not moved."""
    result = Vector3Stamped(header=transform.header)
    vector = vector3.vector
    _set(result.vector, rotate(_rigid(transform), vector.x, vector.y, vector.z))
    return result


def do_transform_pose(pose: Pose, transform: TransformStamped) -> Pose:
    """Express a pose without header in the transform's frame."""
    p, q = pose.position, pose.orientation
    x, y, z, qx, qy, qz, qw = canonical(
        compose(_rigid(transform), (p.x, p.y, p.z, q.x, q.y, q.z, q.w))
    )
    result = Pose()
    _set(result.position, (x, y, z))
    # The real package reads the quaternion off a matrix and makes w positive.
    sign = -1.0 if qw < 0.0 else 1.0
    result.orientation.x, result.orientation.y = sign * qx, sign * qy
    result.orientation.z, result.orientation.w = sign * qz, sign * qw
    return result


def do_transform_pose_stamped(pose: PoseStamped, transform: TransformStamped) -> PoseStamped:
    """Express a pose in the transform's frame."""
    return PoseStamped(header=transform.header, pose=do_transform_pose(pose.pose, transform))


def do_transform_pose_with_covariance_stamped(
    pose: PoseWithCovarianceStamped, transform: TransformStamped
) -> PoseWithCovarianceStamped:
    """Express a pose and its covariance in the transform's frame."""
    result = PoseWithCovarianceStamped(header=transform.header)
    result.pose.pose = do_transform_pose(pose.pose.pose, transform)
    result.pose.covariance = transform_covariance(pose.pose.covariance, transform)
    return result


def transform_covariance(
    cov_in: Sequence[float], transform: TransformStamped
) -> NDArray[np.float64]:
    """Rotate a covariance of (x, y, z, rotation about x, y, z), 36 values by rows.

    Returns:
        Shape (36,): ``R C R'`` block by block.
    """
    rotation = _matrix(_rigid(transform))
    blocks = np.zeros((6, 6))
    blocks[:3, :3] = blocks[3:, 3:] = rotation
    covariance = np.asarray(cov_in, np.float64).reshape(6, 6)
    return (blocks @ covariance @ blocks.T).reshape(36)


def _matrix(rigid: Rigid) -> NDArray[np.float64]:
    columns = [
        rotate(rigid, *axis) for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    ]
    return np.array(columns).T


def do_transform_wrench(wrench: WrenchStamped, transform: TransformStamped) -> WrenchStamped:
    """Express force and torque in the transform's axes; the point of action is kept."""
    rigid = _rigid(transform)
    result = WrenchStamped(header=transform.header)
    for name in ('force', 'torque'):
        vector = getattr(wrench.wrench, name)
        _set(getattr(result.wrench, name), rotate(rigid, vector.x, vector.y, vector.z))
    return result


def do_transform_polygon_stamped(
    polygon: PolygonStamped, transform: TransformStamped
) -> PolygonStamped:
    """Express a polygon in the transform's frame."""
    rigid = _rigid(transform)
    result = PolygonStamped(header=transform.header)
    for point in polygon.polygon.points:
        moved = type(point)()
        _set(moved, _apply(rigid, point))
        result.polygon.points.append(moved)
    return result


def _register() -> None:
    functions = {
        PointStamped: do_transform_point,
        Vector3Stamped: do_transform_vector3,
        PoseStamped: do_transform_pose_stamped,
        PoseWithCovarianceStamped: do_transform_pose_with_covariance_stamped,
        WrenchStamped: do_transform_wrench,
        PolygonStamped: do_transform_polygon_stamped,
    }
    for kind, function in functions.items():
        tf2_ros.TransformRegistration().add(kind, function)
        tf2_ros.ConvertRegistration().add_to_msg(kind, to_msg_msg)
        tf2_ros.ConvertRegistration().add_from_msg(kind, from_msg_msg)


_register()
