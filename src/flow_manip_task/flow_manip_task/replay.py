# SPDX-License-Identifier: Apache-2.0
"""A record read back: its values from goal.mcap, and a 3D view of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
import time
from typing import Any

from mcap.exceptions import McapError
from mcap.reader import make_reader
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import FlowManipError, RecordError
from flow_manip_core.flow import decode_points, FlowEncoding, ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp, Plan, PlanSegment, Trajectory
from flow_manip_core.robot import load_rig, load_robot
from flow_manip_core.transforms import transform_from_quaternion
from flow_manip_task.messages import typestore
from flow_manip_task.page import read_report

MAX_BYTES = 512 * 2**20  # of one record's MCAP
TOPICS = (
    'observation',
    'perception/masks',
    'perception/references',
    'world_model/object_flow',
    'planning/plan',
    'planning/grasps',
)


@dataclass(frozen=True)
class Replay:
    """The last of each value in a record; None or empty where the goal did not get that far."""

    report: dict[str, Any]
    observation: Observation | None = None
    masks: tuple[Mask, ...] = ()
    flow: ObjectFlow | None = None
    plan: Plan | None = None


def read_record(folder: Path) -> Replay:
    """Read what the stages made from a record.

    Raises:
        RecordError: it is not a record, or its MCAP is damaged or too large.
    """
    report, path = read_report(folder), folder / 'goal.mcap'
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecordError(f'{path} has more than {MAX_BYTES} bytes')
        latest = dict(_messages(path))
        return _replay(report, latest)
    except (OSError, McapError, KeyError, ValueError, FlowManipError) as error:
        raise RecordError(f'{path}: {error}') from error


def serve_record(folder: Path, port: int) -> None:
    """Serve a 3D view of a record on this machine until Ctrl-C.

    Raises:
        RecordError: it cannot be read.
        BackendError: viser is missing, or nothing can be served here.
    """
    from flow_manip_task.viewer import SceneView

    replay = read_record(folder)
    about = replay.report.get('about') or {}
    robot, rig = about.get('robot', 'franka'), about.get('rig', 'tabletop')
    view = SceneView(port, robot=load_robot(robot), rig=load_rig(rig))
    show_replay(view, replay)
    print(f'{view.url}  (Ctrl-C ends)', flush=True)
    try:
        while True:
            time.sleep(1.0)
    finally:
        view.close()


def show_replay(view: Any, replay: Replay) -> None:
    """Show a record in a `SceneView`."""
    result, request = replay.report['result'], replay.report['request']
    view.show_text(f'**{request["instruction"][:200]}**\n\n{result["sentence"][:400]}')
    if replay.observation is None:
        return
    view.show_observation(replay.observation)
    view.show_masks(list(replay.masks))
    if replay.flow is not None:
        view.show_flow(replay.flow)
    if replay.plan is not None:
        view.show_plan(replay.plan)


def _messages(path: Path) -> Iterator[tuple[str, Any]]:
    store = typestore()
    with path.open('rb') as stream:
        for schema, channel, message in make_reader(stream).iter_messages(topics=list(TOPICS)):
            if schema is not None and schema.name in store.types:
                yield channel.topic, store.deserialize_cdr(message.data, schema.name)


def _replay(report: dict[str, Any], latest: dict[str, Any]) -> Replay:
    masks = [m for t in TOPICS[1:3] if t in latest for m in latest[t].masks]
    flow, plan, grasps = (latest.get(topic) for topic in TOPICS[3:])
    planned = _plan(plan) if plan is not None else None
    if planned is not None and grasps is not None:
        planned = replace(planned, considered=tuple(_grasp(g) for g in grasps.grasps))
    return Replay(
        report=report,
        observation=_observation(latest['observation']) if 'observation' in latest else None,
        masks=tuple(Mask(_image(m.mask) > 0, m.label, float(m.score)) for m in masks),
        flow=_flow(flow) if flow is not None else None,
        plan=planned,
    )


def _image(message: Any) -> NDArray:
    kind, channels = {'rgb8': ('u1', 3), 'mono8': ('u1', 1), '32FC1': ('<f4', 1)}[message.encoding]
    pixels = np.frombuffer(message.data.tobytes(), kind)
    shape = (message.height, message.width, channels)
    return pixels.reshape(shape if channels > 1 else shape[:2])


def _pose(message: Any) -> NDArray[np.float64]:
    p, q = message.position, message.orientation
    return transform_from_quaternion((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))


def _seconds(stamp: Any) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def _observation(message: Any) -> Observation:
    info, joints = message.camera_info, message.joint_state
    return Observation(
        color=_image(message.color),
        depth=_image(message.depth).astype(np.float32),
        camera=CameraModel.from_matrix(info.width, info.height, info.k),
        T_world_camera=_pose(message.camera_pose),
        frame_id=message.header.frame_id,
        stamp=_seconds(message.header.stamp),
        joint_positions=dict(zip(joints.name, map(float, joints.position))),
    )


def _flow(message: Any) -> ObjectFlow:
    shape = (message.num_steps, message.num_points)
    points = message.points.reshape(*shape, 3)
    return ObjectFlow(
        points=decode_points(points, FlowEncoding(message.encoding)),
        confidence=message.confidence.reshape(shape),
        times=message.times,
        frame_id=message.header.frame_id,
        object=message.object,
        source=message.source,
        point_ids=message.point_ids,
        score=float(message.score),
        stamp=_seconds(message.header.stamp),
        contact=_xyz(message.contact[0]) if message.contact else None,
    )


def _xyz(point: Any) -> NDArray[np.float64]:
    return np.array([point.x, point.y, point.z])


def _grasp(message: Any) -> Grasp:
    width, score, opening = (float(v) for v in (message.width, message.score, message.opening))
    return Grasp(_pose(message.pose), width, score, opening)


def _plan(message: Any) -> Plan:
    segments = tuple(
        PlanSegment(
            name=item.name,
            trajectory=_trajectory(item.trajectory) if item.kind == 0 else None,
            gripper_width=item.gripper_width,
            gripper_effort=item.gripper_effort,
            expect_object=item.expect_object,
            holding=item.holding,
        )
        for item in message.segments
    )
    return Plan(
        robot=message.robot,
        grasp=_grasp(message.grasp),
        segments=segments,
        object_poses=np.array([_pose(pose) for pose in message.object_poses.poses]),
        times=message.times,
        frame_id=message.header.frame_id,
        object=message.object,
        stamp=_seconds(message.header.stamp),
    )


def _trajectory(message: Any) -> Trajectory:
    points = message.points
    return Trajectory(
        tuple(message.joint_names),
        np.array([_seconds_of(p.time_from_start) for p in points]),
        *(np.array([getattr(p, name) for p in points]) for name in VALUES),
    )


VALUES = ('positions', 'velocities', 'accelerations')


def _seconds_of(duration: Any) -> float:
    return duration.sec + duration.nanosec * 1e-9
