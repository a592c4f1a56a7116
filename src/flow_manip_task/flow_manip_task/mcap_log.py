# SPDX-License-Identifier: Apache-2.0
"""The goal's messages as one MCAP file that rosbags, mcap-ros2-support and Foxglove open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.writer import CompressionType, Writer

from flow_manip_core.observation import Observation
from flow_manip_task import messages
from flow_manip_task.stages import ManipulateRequest, ManipulationResult


@dataclass(frozen=True)
class Event:
    """Something that happened during a goal.

    Attributes:
        time: wall clock [ns].
        name: of a value as in `Listener.on_value`, or 'goal', 'stage', 'result'.
        attempt: from 1.
        value: what came with it.
    """

    time: int
    name: str
    attempt: int
    value: Any


@dataclass(frozen=True)
class StageEvent:
    """A stage begun or ended, as in StageReport.msg."""

    stage: str
    attempt: int
    ended: bool
    seconds: float
    code: int
    text: str


def write_mcap(path: Path, events: Iterable[Event], goal_id: str) -> None:
    """Write the events as ROS 2 messages, one channel per topic."""
    store = messages.typestore()
    channels: dict[str, int] = {}
    schemas: dict[str, int] = {}
    with path.open('wb') as stream:
        writer = Writer(stream, compression=CompressionType.ZSTD)
        writer.start(profile='ros2', library='flow_manip')
        for event in events:
            for topic, message in _messages(event, goal_id):
                kind = message.__msgtype__
                if kind not in schemas:
                    text, _ = store.generate_msgdef(kind, ros_version=2)
                    schemas[kind] = writer.register_schema(kind, 'ros2msg', text.encode())
                if topic not in channels:
                    channels[topic] = writer.register_channel(topic, 'cdr', schemas[kind])
                data = bytes(store.serialize_cdr(message, kind))
                writer.add_message(channels[topic], event.time, data, event.time)
        writer.finish()


def _messages(event: Event, goal_id: str) -> list[tuple[str, Any]]:
    """Return topics and messages of one event; values that have no message give none."""
    name, value = event.name, event.value
    if name == 'goal':
        return [('manipulate/goal', messages.goal_message(_of(value, ManipulateRequest)))]
    if name == 'result':
        return [('manipulate/result', messages.result_message(_of(value, ManipulationResult)))]
    if name == 'stage':
        return [('task/status', _stage_message(value, goal_id, event.time))]
    if name in ('observation', 'observation_after'):
        return _observation_messages(value, name)
    if name == 'mask':
        return [('perception/masks', messages.masks_message([value], event.time / 1e9))]
    if name == 'references':
        return [('perception/references', messages.masks_message(value, event.time / 1e9))]
    if name == 'candidates':
        return [('world_model/candidates', messages.flow_message(flow)) for flow in value]
    if name == 'flow':
        return [('world_model/object_flow', messages.flow_message(value))]
    if name == 'plan':
        return [
            ('planning/plan', messages.plan_message(value)),
            ('planning/grasps', messages.grasps_message(value)),
        ]
    return []


def _of(value: Any, kind: type) -> Any:
    assert isinstance(value, kind)
    return value


def _stage_message(event: StageEvent, goal_id: str, time: int) -> Any:
    return messages.make(
        f'{messages.PACKAGE}/msg/StageReport',
        stamp=messages.time_message(time / 1e9),
        goal_id=goal_id,
        stage=event.stage,
        attempt=event.attempt,
        ended=event.ended,
        seconds=event.seconds,
        error_code=event.code,
        text=event.text,
    )


def _observation_messages(observation: Observation, name: str) -> list[tuple[str, Any]]:
    """The observation as one message to send again, and in parts that viewers know."""
    stamp, camera = observation.stamp, 'cameras/observation'
    pose = observation.T_world_camera
    frame = messages.CAMERA_FRAME
    return [
        (name, messages.observation_message(observation)),
        ('tf_static', messages.transform_message(pose, observation.frame_id, frame, stamp)),
        (f'{camera}/color/image_raw', messages.image_message(observation.color, stamp=stamp)),
        (f'{camera}/color/camera_info', messages.camera_info_message(observation.camera, stamp)),
        (f'{camera}/depth/image_rect', messages.image_message(observation.depth, stamp=stamp)),
        ('joint_states', messages.joint_state_message(observation.joint_positions, stamp)),
    ]
