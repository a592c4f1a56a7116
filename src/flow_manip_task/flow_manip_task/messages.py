# SPDX-License-Identifier: Apache-2.0
"""Core values as ROS messages without ROS: for the record's MCAP.

The types come from the .msg files of flow_manip_msgs through `rosbags`, so the bytes are those
that a node would send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import RecordError
from flow_manip_core.flow import FlowEncoding, ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp, Plan, PlanSegment, Trajectory
from flow_manip_core.transforms import quaternion_from_transform
from flow_manip_task.stages import ManipulateRequest, ManipulationResult

CAMERA_FRAME = 'camera_color_optical_frame'
PACKAGE = 'flow_manip_msgs'


def interface_folder() -> Path:
    """Return the folder with msg/ and action/ of flow_manip_msgs, installed or in the checkout.

    Raises:
        RecordError: neither is there.
    """
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    candidates = [Path(prefix) / 'share' / PACKAGE for prefix in prefixes]
    candidates.append(Path(__file__).resolve().parents[2] / PACKAGE)
    for folder in candidates:
        if (folder / 'msg' / 'ObjectFlow.msg').is_file():
            return folder
    raise RecordError(f'{PACKAGE} is not at any of {[str(c) for c in candidates]}')


@cache
def typestore() -> Typestore:
    """Return Jazzy's types and ours; the parts of Manipulate.action count as messages."""
    store = get_typestore(Stores.ROS2_JAZZY)
    folder, added = interface_folder(), {}
    for path in sorted((folder / 'msg').glob('*.msg')):
        name = f'{PACKAGE}/msg/{path.stem}'
        added.update(get_types_from_msg(path.read_text(encoding='utf-8'), name))
    action = (folder / 'action' / 'Manipulate.action').read_text(encoding='utf-8')
    for part, text in zip(('Goal', 'Result', 'Feedback'), action.split('\n---\n')):
        added.update(get_types_from_msg(text, f'{PACKAGE}/action/Manipulate_{part}'))
    store.register(added)
    return store


def make(name: str, /, **fields: Any) -> Any:
    """Build the message `name`, e.g. 'std_msgs/msg/Header', from its fields."""
    return typestore().types[name](**fields)


def time_message(seconds: float) -> Any:
    """Return builtin_interfaces/Time of seconds since the clock's beginning."""
    nanoseconds = max(round(seconds * 1e9), 0)
    return make(
        'builtin_interfaces/msg/Time',
        sec=nanoseconds // 10**9 % 2**31,
        nanosec=nanoseconds % 10**9,
    )


def header(frame_id: str, stamp: float) -> Any:
    """Return std_msgs/Header."""
    return make('std_msgs/msg/Header', stamp=time_message(stamp), frame_id=frame_id)


def image_message(image: NDArray, frame_id: str = CAMERA_FRAME, stamp: float = 0.0) -> Any:
    """Return sensor_msgs/Image of (H, W, 3) uint8, (H, W) float32 or (H, W) bool pixels."""
    if image.dtype == np.bool_:
        image = image.astype(np.uint8) * 255
    encoding = {(3, 'uint8'): 'rgb8', (2, 'float32'): '32FC1', (2, 'uint8'): 'mono8'}[
        (image.ndim, image.dtype.name)
    ]
    step = image.strides[0] if image.size else 0
    data = np.frombuffer(np.ascontiguousarray(image).tobytes(), dtype=np.uint8)
    return make(
        'sensor_msgs/msg/Image',
        header=header(frame_id, stamp),
        height=image.shape[0],
        width=image.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=data,
    )


def camera_info_message(camera: CameraModel, stamp: float) -> Any:
    """Return sensor_msgs/CameraInfo of a rectified camera."""
    k = camera.matrix
    return make(
        'sensor_msgs/msg/CameraInfo',
        header=header(CAMERA_FRAME, stamp),
        height=camera.height,
        width=camera.width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=k.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([k, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=region_message(0, 0, 0, 0),
    )


def region_message(x: int, y: int, width: int, height: int) -> Any:
    """Return sensor_msgs/RegionOfInterest."""
    return make(
        'sensor_msgs/msg/RegionOfInterest',
        x_offset=x,
        y_offset=y,
        height=height,
        width=width,
        do_rectify=False,
    )


def pose_message(transform: NDArray) -> Any:
    """Return geometry_msgs/Pose of a (4, 4) transform."""
    x, y, z, w = (float(v) for v in quaternion_from_transform(transform))
    return make(
        'geometry_msgs/msg/Pose',
        position=_xyz('Point', transform[:3, 3]),
        orientation=make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
    )


def transform_message(transform: NDArray, parent: str, child: str, stamp: float) -> Any:
    """Return tf2_msgs/TFMessage with the one transform T_parent_child."""
    x, y, z, w = (float(v) for v in quaternion_from_transform(transform))
    stamped = make(
        'geometry_msgs/msg/TransformStamped',
        header=header(parent, stamp),
        child_frame_id=child,
        transform=make(
            'geometry_msgs/msg/Transform',
            translation=_xyz('Vector3', transform[:3, 3]),
            rotation=make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
        ),
    )
    return make('tf2_msgs/msg/TFMessage', transforms=[stamped])


def _xyz(kind: str, xyz: NDArray) -> Any:
    x, y, z = (float(v) for v in xyz)
    return make(f'geometry_msgs/msg/{kind}', x=x, y=y, z=z)


def joint_state_message(positions: Mapping[str, float], stamp: float) -> Any:
    """Return sensor_msgs/JointState with positions only."""
    return make(
        'sensor_msgs/msg/JointState',
        header=header('', stamp),
        name=list(positions),
        position=np.array(list(positions.values()), dtype=np.float64),
        velocity=np.zeros(0),
        effort=np.zeros(0),
    )


def observation_message(observation: Observation) -> Any:
    """Return flow_manip_msgs/Observation."""
    stamp = observation.stamp
    return make(
        f'{PACKAGE}/msg/Observation',
        header=header(observation.frame_id, stamp),
        color=image_message(observation.color, stamp=stamp),
        depth=image_message(observation.depth, stamp=stamp),
        camera_info=camera_info_message(observation.camera, stamp),
        camera_pose=pose_message(observation.T_world_camera),
        joint_state=joint_state_message(observation.joint_positions, stamp),
    )


def masks_message(masks: Sequence[Mask], stamp: float) -> Any:
    """Return flow_manip_msgs/InstanceMasks."""
    found = [
        make(
            f'{PACKAGE}/msg/InstanceMask',
            header=header(CAMERA_FRAME, stamp),
            label=mask.label,
            score=float(mask.score),
            mask=image_message(mask.pixels, stamp=stamp),
            box=region_message(*mask.box),
        )
        for mask in masks
    ]
    return make(f'{PACKAGE}/msg/InstanceMasks', header=header(CAMERA_FRAME, stamp), masks=found)


def flow_message(flow: ObjectFlow) -> Any:
    """Return flow_manip_msgs/ObjectFlow with absolute positions."""
    return make(
        f'{PACKAGE}/msg/ObjectFlow',
        header=header(flow.frame_id, flow.stamp),
        object=flow.object,
        source=flow.source,
        encoding=int(FlowEncoding.ABSOLUTE),
        num_steps=flow.num_steps,
        num_points=flow.num_points,
        points=flow.points.ravel(),
        confidence=flow.confidence.ravel(),
        times=flow.times,
        point_ids=flow.point_ids,
        score=flow.score,
        contact=[] if flow.contact is None else [_xyz('Point', flow.contact)],
    )


def grasp_message(grasp: Grasp) -> Any:
    """Return flow_manip_msgs/GraspCandidate."""
    return make(
        f'{PACKAGE}/msg/GraspCandidate',
        pose=pose_message(grasp.T_world_tcp),
        width=float(grasp.width),
        score=float(grasp.score),
        opening=float(grasp.opening),
    )


def plan_message(plan: Plan) -> Any:
    """Return flow_manip_msgs/Plan."""
    poses = [pose_message(pose) for pose in plan.object_poses]
    return make(
        f'{PACKAGE}/msg/Plan',
        header=header(plan.frame_id, plan.stamp),
        robot=plan.robot,
        object=plan.object,
        grasp=grasp_message(plan.grasp),
        segments=[_segment_message(segment) for segment in plan.segments],
        object_poses=make(
            'geometry_msgs/msg/PoseArray', header=header(plan.frame_id, plan.stamp), poses=poses
        ),
        times=np.asarray(plan.times, dtype=np.float64),
    )


def grasps_message(plan: Plan) -> Any:
    """Return flow_manip_msgs/GraspCandidates: what was considered, and why others were dropped."""
    return make(
        f'{PACKAGE}/msg/GraspCandidates',
        header=header(plan.frame_id, plan.stamp),
        grasps=[grasp_message(grasp) for grasp in plan.considered],
        rejection_reasons=list(plan.rejections),
        rejection_counts=np.array(list(plan.rejections.values()), dtype=np.uint32),
    )


def _segment_message(segment: PlanSegment) -> Any:
    moves = segment.trajectory is not None
    return make(
        f'{PACKAGE}/msg/PlanSegment',
        kind=0 if moves else 1,
        name=segment.name,
        trajectory=_trajectory_message(segment.trajectory),
        gripper_width=float(segment.gripper_width),
        gripper_effort=float(segment.gripper_effort),
        expect_object=segment.expect_object,
        holding=segment.holding,
        goal_tolerance=float(segment.goal_tolerance),
    )


def _trajectory_message(trajectory: Trajectory | None) -> Any:
    points = []
    for i in range(len(trajectory.times) if trajectory else 0):
        nanoseconds = round(float(trajectory.times[i]) * 1e9)
        points.append(
            make(
                'trajectory_msgs/msg/JointTrajectoryPoint',
                positions=trajectory.positions[i],
                velocities=trajectory.velocities[i],
                accelerations=trajectory.accelerations[i],
                effort=np.zeros(0),
                time_from_start=make(
                    'builtin_interfaces/msg/Duration',
                    sec=nanoseconds // 10**9,
                    nanosec=nanoseconds % 10**9,
                ),
            )
        )
    return make(
        'trajectory_msgs/msg/JointTrajectory',
        header=header('', 0.0),
        joint_names=list(trajectory.joint_names) if trajectory else [],
        points=points,
    )


def goal_message(request: ManipulateRequest) -> Any:
    """Return the goal part of Manipulate.action."""
    image = request.goal_image
    return make(
        f'{PACKAGE}/action/Manipulate_Goal',
        instruction=request.instruction,
        pipeline=request.pipeline,
        object=request.object,
        goal_image=image_message(np.zeros((0, 0, 3), np.uint8) if image is None else image),
        seed=request.seed,
        dry_run=request.dry_run,
    )


def result_message(result: ManipulationResult) -> Any:
    """Return the result part of Manipulate.action."""
    return make(
        f'{PACKAGE}/action/Manipulate_Result',
        error_code=result.code,
        error_msg=result.message,
        failure_stage=int(result.failure),
        stage_names=list(result.seconds),
        stage_seconds=np.array(list(result.seconds.values()), dtype=np.float64),
        final_error_metres=float(result.final_error_metres),
        final_error_degrees=float(result.final_error_degrees),
        record_path=result.record_path,
    )
