# SPDX-License-Identifier: Apache-2.0
"""Core values to messages and back."""

from __future__ import annotations

import array
import sys
from typing import Any

from builtin_interfaces.msg import Duration, Time
from flow_manip_msgs import msg as fm
from geometry_msgs.msg import Point, Pose, PoseArray, Transform
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, JointState, RegionOfInterest
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import decode_points, encode_points, FlowEncoding, ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp, Plan, PlanSegment, Trajectory
from flow_manip_core.transforms import quaternion_from_transform, transform_from_quaternion

MAX_PIXELS = 4096 * 4096
MAX_FLOW_VALUES = 4_000_000  # T * N; a thousand points over four thousand steps

# Encoding -> dtype, channels.
_DTYPES: dict[str, tuple[str, int]] = {
    'rgb8': ('u1', 3),
    'bgr8': ('u1', 3),
    'rgba8': ('u1', 4),
    'bgra8': ('u1', 4),
    'mono8': ('u1', 1),
    '8UC1': ('u1', 1),
    '16UC1': ('u2', 1),
    'mono16': ('u2', 1),
    '32FC1': ('f4', 1),
}


# Time and headers


def stamp_from_seconds(seconds: float) -> Time:
    """Turn seconds of a clock into a message."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def seconds_from_stamp(stamp: Time) -> float:
    """Turn a time message into seconds of its clock."""
    return stamp.sec + stamp.nanosec * 1e-9


def duration_from_seconds(seconds: float) -> Duration:
    """Turn seconds into a duration message."""
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def make_header(frame_id: str, stamp: float) -> Header:
    """Build a header from a frame and seconds."""
    return Header(frame_id=frame_id, stamp=stamp_from_seconds(stamp))


# Images


def array_from_image(image: Image) -> NDArray:
    """Read an image as a (H, W) or (H, W, C) array of its own type, a view where possible.

    Raises:
        InvalidInputError: unknown encoding, or step, height and data do not fit together.
    """
    if image.encoding not in _DTYPES:
        raise InvalidInputError(
            f"image encoding '{image.encoding}' is not one of {sorted(_DTYPES)}"
        )
    kind, channels = _DTYPES[image.encoding]
    dtype = np.dtype(kind).newbyteorder('>' if image.is_bigendian else '<')
    row = image.width * channels * dtype.itemsize
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise InvalidInputError(f'image is {image.width} x {image.height} pixels')
    if image.step < row or len(image.data) < image.step * image.height:
        raise InvalidInputError(
            f'{image.width} x {image.height} {image.encoding} image has step {image.step} and '
            f'{len(image.data)} bytes'
        )
    data = np.frombuffer(image.data, dtype=np.uint8, count=image.step * image.height)
    data = data.reshape(image.height, image.step)[:, :row]
    pixels = np.ascontiguousarray(data).view(dtype).reshape(image.height, image.width, channels)
    return pixels[:, :, 0] if channels == 1 else pixels


def image_from_array(pixels: NDArray, encoding: str, header: Header) -> Image:
    """Build an image message; the array's type must be the encoding's."""
    kind, channels = _DTYPES[encoding]
    expected = pixels.shape[:2] if channels == 1 else (*pixels.shape[:2], channels)
    if pixels.dtype != np.dtype(kind) or pixels.shape != expected:
        raise InvalidInputError(f'{pixels.shape} {pixels.dtype} is no {encoding} image')
    image = Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    image.is_bigendian = int(sys.byteorder == 'big')
    image.step = pixels.shape[1] * channels * pixels.itemsize
    image.data = message_bytes(pixels)
    return image


def color_from_image(image: Image) -> NDArray[np.uint8]:
    """Read a colour image as (H, W, 3) uint8 RGB."""
    pixels = array_from_image(image)
    if image.encoding in ('rgb8', 'rgba8'):
        return np.ascontiguousarray(pixels[:, :, :3])
    if image.encoding in ('bgr8', 'bgra8'):
        return np.ascontiguousarray(pixels[:, :, 2::-1])
    if image.encoding in ('mono8', '8UC1'):
        return np.repeat(pixels[:, :, None], 3, axis=2)
    raise InvalidInputError(f"'{image.encoding}' is not a colour image")


def depth_from_image(image: Image) -> NDArray[np.float32]:
    """Read a depth image as (H, W) float32 metres, NaN where unknown.

    32FC1 is metres; 16UC1 and mono16 are millimetres with 0 unknown, as drivers send them
    (REP-118).
    """
    pixels = array_from_image(image)
    if image.encoding == '32FC1':
        depth = pixels.astype(np.float32)
    elif image.encoding in ('16UC1', 'mono16'):
        depth = pixels.astype(np.float32) * np.float32(0.001)
    else:
        raise InvalidInputError(f"'{image.encoding}' is not a depth image")
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def message_bytes(values: NDArray) -> array.array:
    """Return bytes in the one type that message fields take without checking each element."""
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).tobytes())
    return data


def _floats(values: NDArray, code: str) -> array.array:
    data = array.array(code)
    data.frombytes(np.ascontiguousarray(values, dtype=np.dtype(code)).tobytes())
    return data


# Geometry


def pose_from_transform(transform: NDArray) -> Pose:
    """Turn a (4, 4) transform into a pose."""
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in transform[:3, 3])
    q = quaternion_from_transform(transform)
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = (
        float(v) for v in q
    )
    return pose


def transform_from_pose(pose: Pose) -> NDArray[np.float64]:
    """Turn a pose into a (4, 4) transform.

    Raises:
        InvalidInputError: not finite, or the quaternion's length is not 1 within 1 %.
    """
    p, q = pose.position, pose.orientation
    return _transform((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))


def transform_from_msg(message: Transform) -> NDArray[np.float64]:
    """Turn a transform message into a (4, 4) transform; raises as `transform_from_pose`."""
    t, q = message.translation, message.rotation
    return _transform((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def msg_from_transform(transform: NDArray) -> Transform:
    """Turn a (4, 4) transform into a transform message."""
    pose = pose_from_transform(transform)
    message = Transform(rotation=pose.orientation)
    message.translation.x, message.translation.y, message.translation.z = (
        float(v) for v in transform[:3, 3]
    )
    return message


def _transform(translation: tuple, quaternion: tuple) -> NDArray[np.float64]:
    length = float(np.linalg.norm(quaternion))
    if not (np.isfinite(translation).all() and abs(length - 1.0) < 0.01):
        raise InvalidInputError(
            f'pose with position {translation} and quaternion {quaternion} is not a rigid '
            'transform'
        )
    return transform_from_quaternion(translation, quaternion)


# Camera and observation


def camera_from_info(info: CameraInfo, *, distorted: bool = False) -> CameraModel:
    """Read intrinsics.

    Args:
        info: of the image.
        distorted: the caller rectifies the image; otherwise any d other than zero is refused.
    """
    if not distorted and any(abs(d) > 1e-9 for d in info.d):
        raise InvalidInputError('camera_info has distortion; use a rectified image')
    return CameraModel.from_matrix(info.width, info.height, np.array(info.k))


def info_from_camera(camera: CameraModel, header: Header) -> CameraInfo:
    """Build the camera_info of a rectified pinhole camera."""
    info = CameraInfo(header=header, width=camera.width, height=camera.height)
    info.distortion_model = 'plumb_bob'
    info.d = [0.0] * 5
    info.k = camera.matrix.ravel().tolist()
    info.r = np.eye(3).ravel().tolist()
    info.p = np.hstack([camera.matrix, np.zeros((3, 1))]).ravel().tolist()
    return info


def observation_from_msg(message: fm.Observation) -> Observation:
    """Read an observation; raises InvalidInputError on anything that does not fit together."""
    joints = message.joint_state
    if len(joints.name) > len(joints.position):
        raise InvalidInputError(
            f'{len(joints.name)} joint names, {len(joints.position)} positions'
        )
    return Observation(
        color=color_from_image(message.color),
        depth=depth_from_image(message.depth),
        camera=camera_from_info(message.camera_info),
        T_world_camera=transform_from_pose(message.camera_pose),
        frame_id=message.header.frame_id,
        stamp=seconds_from_stamp(message.header.stamp),
        joint_positions=dict(zip(joints.name, joints.position)),
    )


def msg_from_observation(observation: Observation) -> fm.Observation:
    """Build the message of an observation."""
    header = make_header(observation.frame_id, observation.stamp)
    joints = JointState(header=header)
    joints.name = list(observation.joint_positions)
    joints.position = [float(v) for v in observation.joint_positions.values()]
    return fm.Observation(
        header=header,
        color=image_from_array(observation.color, 'rgb8', header),
        depth=image_from_array(observation.depth, '32FC1', header),
        camera_info=info_from_camera(observation.camera, header),
        camera_pose=pose_from_transform(observation.T_world_camera),
        joint_state=joints,
    )


# Masks


def mask_from_msg(message: fm.InstanceMask) -> Mask:
    """Read a mask."""
    if message.mask.encoding not in ('mono8', '8UC1'):
        raise InvalidInputError(f"mask has encoding '{message.mask.encoding}', expected mono8")
    return Mask(
        pixels=array_from_image(message.mask) > 0, label=message.label, score=message.score
    )


def msg_from_mask(mask: Mask, header: Header) -> fm.InstanceMask:
    """Build the message of a mask."""
    x, y, width, height = mask.box
    return fm.InstanceMask(
        header=header,
        label=mask.label,
        score=float(mask.score),
        mask=image_from_array(mask.pixels.astype(np.uint8) * np.uint8(255), 'mono8', header),
        box=RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height),
    )


# Flow


def flow_from_msg(message: fm.ObjectFlow) -> ObjectFlow:
    """Read a flow in any encoding.

    Raises:
        InvalidInputError: sizes do not fit, or values make no sense.
    """
    steps, points = message.num_steps, message.num_points
    if not 0 < steps * points <= MAX_FLOW_VALUES:
        raise InvalidInputError(f'flow of {steps} steps x {points} points')
    sizes = (
        len(message.points),
        len(message.confidence),
        len(message.times),
        len(message.point_ids),
    )
    if sizes != (steps * points * 3, steps * points, steps, points):
        raise InvalidInputError(f'flow of {steps} steps x {points} points has arrays of {sizes}')
    try:
        encoding = FlowEncoding(message.encoding)
    except ValueError as error:
        raise InvalidInputError(f'unknown flow encoding {message.encoding}') from error
    encoded = np.frombuffer(message.points, dtype=np.float32).reshape(steps, points, 3)
    return ObjectFlow(
        points=decode_points(encoded, encoding),
        confidence=np.array(message.confidence, dtype=np.float32).reshape(steps, points),
        times=np.array(message.times),
        frame_id=message.header.frame_id,
        object=message.object,
        source=message.source,
        point_ids=np.array(message.point_ids, dtype=np.uint32),
        score=message.score,
        stamp=seconds_from_stamp(message.header.stamp),
        contact=_xyz(message.contact[0]) if message.contact else None,
    )


def msg_from_flow(
    flow: ObjectFlow, encoding: FlowEncoding = FlowEncoding.ABSOLUTE
) -> fm.ObjectFlow:
    """Build the message of a flow in `encoding`."""
    return fm.ObjectFlow(
        header=make_header(flow.frame_id, flow.stamp),
        object=flow.object,
        source=flow.source,
        encoding=int(encoding),
        num_steps=flow.num_steps,
        num_points=flow.num_points,
        points=_floats(encode_points(flow.points, encoding), 'f'),
        confidence=_floats(flow.confidence, 'f'),
        times=_floats(flow.times, 'd'),
        point_ids=_floats(flow.point_ids, 'I'),
        score=float(flow.score),
        contact=[] if flow.contact is None else [_point(flow.contact)],
    )


def _xyz(message: Point) -> NDArray[np.float64]:
    return np.array([message.x, message.y, message.z])


def _point(xyz: NDArray[np.float64]) -> Point:
    return Point(x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))


# Plans


def grasp_from_msg(message: fm.GraspCandidate) -> Grasp:
    """Read a grasp."""
    return Grasp(transform_from_pose(message.pose), message.width, message.score, message.opening)


def msg_from_grasp(grasp: Grasp) -> fm.GraspCandidate:
    """Build the message of a grasp."""
    return fm.GraspCandidate(
        pose=pose_from_transform(grasp.T_world_tcp),
        width=float(grasp.width),
        score=float(grasp.score),
        opening=float(grasp.opening),
    )


def trajectory_from_msg(message: JointTrajectory) -> Trajectory:
    """Read a joint trajectory; a point without velocities or accelerations has zeros."""
    names, points = tuple(message.joint_names), message.points

    def rows(field: str) -> NDArray[np.float64]:
        values = [getattr(point, field) for point in points]
        if field != 'positions':
            values = [value if len(value) else np.zeros(len(names)) for value in values]
        if any(len(value) != len(names) for value in values):
            raise InvalidInputError(
                f'{field} of a trajectory point do not match {len(names)} joints'
            )
        return np.array([np.asarray(value) for value in values], dtype=np.float64).reshape(
            len(points), len(names)
        )

    times = np.array([p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in points])
    return Trajectory(names, times, rows('positions'), rows('velocities'), rows('accelerations'))


def msg_from_trajectory(trajectory: Trajectory) -> JointTrajectory:
    """Build the message of a joint trajectory; its header stays zero: start at once."""
    message = JointTrajectory(joint_names=list(trajectory.joint_names))
    for time, *values in zip(
        trajectory.times, trajectory.positions, trajectory.velocities, trajectory.accelerations
    ):
        positions, velocities, accelerations = (value.tolist() for value in values)
        message.points.append(
            JointTrajectoryPoint(
                positions=positions,
                velocities=velocities,
                accelerations=accelerations,
                time_from_start=duration_from_seconds(time),
            )
        )
    return message


def plan_from_msg(message: fm.Plan) -> Plan:
    """Read a plan."""
    segments = []
    for item in message.segments:
        if item.kind not in (fm.PlanSegment.MOVE, fm.PlanSegment.GRIPPER):
            raise InvalidInputError(f"segment '{item.name}' has kind {item.kind}")
        move = item.kind == fm.PlanSegment.MOVE
        segments.append(
            PlanSegment(
                name=item.name,
                trajectory=trajectory_from_msg(item.trajectory) if move else None,
                gripper_width=item.gripper_width,
                gripper_effort=item.gripper_effort,
                expect_object=item.expect_object,
                holding=item.holding,
                goal_tolerance=item.goal_tolerance,
            )
        )
    poses = [transform_from_pose(pose) for pose in message.object_poses.poses]
    return Plan(
        robot=message.robot,
        grasp=grasp_from_msg(message.grasp),
        segments=tuple(segments),
        object_poses=np.array(poses).reshape(-1, 4, 4),
        times=np.array(message.times),
        frame_id=message.header.frame_id,
        object=message.object,
        stamp=seconds_from_stamp(message.header.stamp),
    )


def msg_from_plan(plan: Plan) -> fm.Plan:
    """Build the message of a plan; what was considered goes into `msg_from_grasps`."""
    header = make_header(plan.frame_id, plan.stamp)
    message = fm.Plan(
        header=header, robot=plan.robot, object=plan.object, grasp=msg_from_grasp(plan.grasp)
    )
    for segment in plan.segments:
        item = fm.PlanSegment(
            kind=fm.PlanSegment.GRIPPER if segment.trajectory is None else fm.PlanSegment.MOVE,
            name=segment.name,
            gripper_width=float(segment.gripper_width),
            gripper_effort=float(segment.gripper_effort),
            expect_object=segment.expect_object,
            holding=segment.holding,
            goal_tolerance=float(segment.goal_tolerance),
        )
        if segment.trajectory is not None:
            item.trajectory = msg_from_trajectory(segment.trajectory)
        message.segments.append(item)
    message.object_poses = PoseArray(
        header=header, poses=[pose_from_transform(t) for t in plan.object_poses]
    )
    message.times = [float(t) for t in plan.times]
    return message


def msg_from_grasps(grasps: Any, rejections: Any, header: Header) -> fm.GraspCandidates:
    """Build the message of grasps, best first, with the reasons that cost others."""
    return fm.GraspCandidates(
        header=header,
        grasps=[msg_from_grasp(grasp) for grasp in grasps],
        rejection_reasons=list(rejections),
        rejection_counts=[int(count) for count in rejections.values()],
    )
