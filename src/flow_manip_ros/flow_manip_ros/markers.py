# SPDX-License-Identifier: Apache-2.0
"""What RViz shows: clouds, flows, grasps and plans as standard messages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from geometry_msgs.msg import Point
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Observation
from flow_manip_core.plan import Grasp, Plan
from flow_manip_core.robot import GripperConfig
from flow_manip_core.transforms import transform_points
from flow_manip_ros.conversions import make_header, message_bytes, pose_from_transform

MAX_LINES = 64  # point paths drawn of one flow; more only hides the object


def cloud_from_observation(observation: Observation) -> PointCloud2:
    """Build a coloured cloud of all pixels with depth, in the observation's frame."""
    points = observation.points_world().reshape(-1, 3)
    known = np.isfinite(points).all(axis=1)
    rgb = observation.color.reshape(-1, 3)[known].astype(np.uint32)
    packed = np.zeros(int(known.sum()), dtype=[('xyz', '<f4', 3), ('rgb', '<u4')])
    packed['xyz'] = points[known]
    packed['rgb'] = rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    cloud = PointCloud2(
        header=make_header(observation.frame_id, observation.stamp),
        height=1,
        width=len(packed),
        point_step=packed.itemsize,
        row_step=packed.nbytes,
        is_dense=True,
    )
    cloud.fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(('x', 'y', 'z', 'rgb'))
    ]
    cloud.data = message_bytes(packed)
    return cloud


def flow_markers(
    flows: Sequence[ObjectFlow], texts: Sequence[str] = (), namespace: str = 'flow'
) -> MarkerArray:
    """Draw flows as lines from blue (start) to red (end), each with a text at its end.

    The first marker deletes what an earlier array of this namespace drew.
    """
    markers = [Marker(ns=namespace, action=Marker.DELETEALL)]
    for index, flow in enumerate(flows):
        header = make_header(flow.frame_id, flow.stamp)
        line = _marker(header, namespace, 2 * index, Marker.LINE_LIST)
        line.scale.x = 0.002
        chosen = np.linspace(0, flow.num_points - 1, min(MAX_LINES, flow.num_points)).astype(int)
        colors = [_blend(step / max(flow.num_steps - 1, 1)) for step in range(flow.num_steps)]
        seen = flow.visible[:-1] & flow.visible[1:]
        for point in chosen:
            for step in np.flatnonzero(seen[:, point]):
                line.points += [_point(flow.points[step + k, point]) for k in (0, 1)]
                line.colors += [colors[step], colors[step + 1]]
        markers.append(line)
        if index < len(texts):
            text = _marker(header, namespace, 2 * index + 1, Marker.TEXT_VIEW_FACING)
            text.text, text.scale.z = texts[index], 0.025
            text.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
            end = flow.points[-1][flow.visible[-1]]
            if len(end):
                text.pose.position = _point(end.mean(axis=0) + np.array([0, 0, 0.05]))
                markers.append(text)
    return MarkerArray(markers=markers)


def plan_markers(plan: Plan, gripper: GripperConfig) -> MarkerArray:
    """Draw considered grasps, the chosen one, and the path of the held object."""
    header = make_header(plan.frame_id, plan.stamp)
    markers = [Marker(ns='plan', action=Marker.DELETEALL)]
    for index, grasp in enumerate(plan.considered[:20]):
        gray = ColorRGBA(r=0.6, g=0.6, b=0.6, a=0.4)
        markers.append(_gripper(header, index, grasp, gripper, gray, 0.002))
    green = ColorRGBA(r=0.1, g=0.9, b=0.2, a=1.0)
    markers.append(_gripper(header, 100, plan.grasp, gripper, green, 0.005))
    path = _marker(header, 'plan', 101, Marker.LINE_STRIP)
    path.scale.x, path.color = 0.004, ColorRGBA(r=1.0, g=0.8, b=0.1, a=1.0)
    start = plan.grasp.T_world_tcp[:3, 3]
    path.points = [_point(transform_points(pose, start)) for pose in plan.object_poses]
    markers.append(path)
    return MarkerArray(markers=markers)


def _gripper(
    header: Header,
    index: int,
    grasp: Grasp,
    gripper: GripperConfig,
    color: ColorRGBA,
    width: float,
) -> Marker:
    """Draw a gripper as the outline of two fingers, palm and approach."""
    half, tip = grasp.width / 2 + 0.005, gripper.tip_offset
    palm = tip - gripper.finger_length
    corners = [(-half, tip), (-half, palm), (half, palm), (half, tip)]
    lines = [*pairwise(corners), ((0.0, palm), (0.0, palm - 0.05))]
    marker = _marker(header, 'plan', index, Marker.LINE_LIST)
    marker.pose = pose_from_transform(grasp.T_world_tcp)
    marker.scale.x, marker.color = width, color
    marker.points = [Point(y=y, z=z) for line in lines for y, z in line]
    return marker


def _marker(header: Header, namespace: str, index: int, kind: int) -> Marker:
    marker = Marker(header=header, ns=namespace, id=index, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    return marker


def _point(xyz: NDArray) -> Point:
    return Point(x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))


def _blend(share: float) -> ColorRGBA:
    return ColorRGBA(r=share, g=0.3, b=1.0 - share, a=1.0)
