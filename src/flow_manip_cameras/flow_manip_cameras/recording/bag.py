# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 recording (MCAP or sqlite3), read without ROS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import logging
from pathlib import Path
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import get_typestore, Stores, TypesysError

from flow_manip_cameras.recording.description import BagDescription, fixed_pose
from flow_manip_cameras.recording.messages import (
    camera_from_message,
    color_from_message,
    COMPRESSED,
    depth_from_message,
    IMAGE,
    is_depth,
    seconds,
)
from flow_manip_cameras.recording.pairing import StampPairer
from flow_manip_cameras.recording.transform_tree import TransformTree
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import ConfigurationError, InvalidInputError, TransformMissingError
from flow_manip_core.observation import Observation

logger = logging.getLogger(__name__)

INFO = 'sensor_msgs/msg/CameraInfo'
TF = 'tf2_msgs/msg/TFMessage'

# What the bag library raises on files that are not what they seem.
_BROKEN = (
    AnyReaderError,
    ReaderError,
    SerdeError,
    TypesysError,
    struct.error,
    AssertionError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    RuntimeError,
    UnicodeDecodeError,
    ValueError,
)


class BagRecording:
    """Frames of one colour and one depth topic, matched by their stamps."""

    def __init__(
        self,
        path: Path,
        description: BagDescription,
        *,
        T_world_camera: NDArray[np.float64] | None = None,
        frame_id: str = 'world',
    ) -> None:
        """Find the topics, read intrinsics and transforms.

        Args:
            path: rosbag2 folder or .mcap file.
            description: which topics, which frame.
            T_world_camera: (4, 4) pose where neither description nor tf has one.
            frame_id: for a recording that names no frame.

        Raises:
            ConfigurationError: topics are missing or ambiguous, or nothing says where the camera
                is; names the key to set.
            InvalidInputError: the bag is broken.
        """
        self.path, self._description = path, description
        self.frame_id = description.frame_id or frame_id
        self._tree = TransformTree()
        with self._reader() as reader:
            self._choose_topics(reader)
            self._camera, self._rectifier = self._read_camera(reader)
            self._read_transforms(reader)
            self._frame, begin = self._first_header(reader)
            self.rate = description.rate or _rate(reader, self._color)
        self._pose = self._find_pose(T_world_camera, begin)
        self.fixed_pose = self._pose is not None or self._tree.is_fixed(self.frame_id, self._frame)

    def frames(self) -> Iterator[Observation]:
        """Yield the pairs in the order of their stamps.

        Raises:
            InvalidInputError: a message is broken, or no pair was found.
        """
        pairer: StampPairer[Any] = StampPairer(self._description.max_interval)
        found = 0
        with self._reader() as reader:
            chosen = [c for c in reader.connections if c.topic in (self._color, self._depth)]
            for connection, _, raw in reader.messages(connections=chosen):
                message: Any = reader.deserialize(raw, connection.msgtype)
                add = pairer.add_color if connection.topic == self._color else pairer.add_depth
                for pair in add(seconds(message.header.stamp), message):
                    found += 1
                    yield self._observation(*pair)
            for pair in pairer.flush():
                found += 1
                yield self._observation(*pair)
        if not found:
            raise InvalidInputError(
                f'{self.path}: no depth within {self._description.max_interval:g} s of any of '
                f'{pairer.lone} colour images'
            )
        if pairer.lone:
            logger.warning('%s: %d colour images without depth', self.path, pairer.lone)

    def close(self) -> None:
        """Do nothing: the bag is open only while frames are read."""

    def _observation(self, color: Any, depth: Any) -> Observation:
        stamp = seconds(color.header.stamp)
        where = f'{self.path} at {stamp:.3f} s'
        image = color_from_message(color, f'{where}, {self._color}')
        metres = depth_from_message(depth, self._description.depth_unit, f'{where}, {self._depth}')
        size = (self._camera.height, self._camera.width)
        if image.shape[:2] != size or metres.shape != size:
            raise InvalidInputError(
                f'{where}: colour is {image.shape[:2]}, depth {metres.shape}, camera_info {size}: '
                'depth must be registered to colour'
            )
        if self._rectifier is not None:
            image, metres = self._rectifier.color(image), self._rectifier.depth(metres)
        pose = self._pose
        if pose is None:
            pose = self._tree.lookup(self.frame_id, self._frame, stamp)
        return Observation(image, metres, self._camera, pose, self.frame_id, stamp)

    @contextmanager
    def _reader(self) -> Iterator[AnyReader]:
        store = get_typestore(Stores.ROS2_JAZZY)
        try:
            with AnyReader([self.path], default_typestore=store) as reader:
                yield reader
        except InvalidInputError:
            raise
        except _BROKEN as error:
            raise InvalidInputError(
                f'{self.path} is no readable rosbag2 recording: {type(error).__name__} {error}'
            ) from error

    def _choose_topics(self, reader: AnyReader) -> None:
        given = self._description
        images = {c.topic for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED)}
        depths = {topic for topic in images if is_depth(self._first(reader, topic))}
        self._color = self._choose('color_topic', given.color_topic, images - depths, images)
        self._depth = self._choose('depth_topic', given.depth_topic, depths, images)
        infos = {c.topic for c in reader.connections if c.msgtype == INFO}
        beside = {
            topic
            for topic in infos
            if topic.rpartition('/')[0] in (self._color.rpartition('/')[0], _parent(self._color))
        }
        self._info = self._choose('info_topic', given.info_topic, beside, infos)

    def _choose(self, key: str, given: str, fitting: set[str], known: set[str]) -> str:
        if given:
            if given not in known:
                raise ConfigurationError(
                    f"{self.path}: {key} '{given}' is not in the bag; it has {sorted(known)}"
                )
            return given
        raw = {t for t in fitting if not t.endswith(('/compressed', '/compressedDepth'))}
        choice = raw or fitting
        if len(choice) > 1 and key == 'depth_topic':
            # What drivers call depth that is registered to colour.
            choice = {t for t in choice if 'aligned' in t or 'registered' in t} or choice
        if len(choice) != 1:
            raise ConfigurationError(
                f"{self.path}: set '{key}' in a recording.yaml with 'bag'; "
                f'fitting topics: {sorted(fitting)}, of {sorted(known)}'
            )
        return choice.pop()

    def _read_camera(self, reader: AnyReader) -> tuple[CameraModel, Any]:
        return camera_from_message(self._first(reader, self._info), f'{self.path}, {self._info}')

    def _first_header(self, reader: AnyReader) -> tuple[str, float]:
        header = self._first(reader, self._color).header
        return header.frame_id, seconds(header.stamp)

    def _first(self, reader: AnyReader, topic: str) -> Any:
        for connection, raw in _messages(reader, [topic]):
            return reader.deserialize(raw, connection.msgtype)
        raise InvalidInputError(f'{self.path}: no message on {topic}')

    def _read_transforms(self, reader: AnyReader) -> None:
        topics = [c.topic for c in reader.connections if c.msgtype == TF]
        for connection, raw in _messages(reader, topics):
            message = reader.deserialize(raw, TF)
            self._tree.add(message, static=connection.topic.endswith('tf_static'))

    def _find_pose(
        self, given: NDArray[np.float64] | None, stamp: float
    ) -> NDArray[np.float64] | None:
        """Return the fixed pose: the description's, else tf's (None: it may move), else given."""
        if not isinstance(self._description.pose, str) or self._description.pose:
            pose = fixed_pose(self._description.pose, str(self.path))
            if pose is None:
                raise ConfigurationError(
                    f'{self.path}: pose must be a translation and a rotation for a bag'
                )
            return pose
        try:
            self._tree.lookup(self.frame_id, self._frame, stamp)
        except TransformMissingError as error:
            if given is None or self._description.frame_id:
                raise ConfigurationError(
                    f"{self.path}: {error}; set 'pose' or 'frame_id' in a recording.yaml"
                ) from error
            return given
        return None


def _messages(reader: AnyReader, topics: Sequence[str]) -> Iterator[tuple[Connection, bytes]]:
    chosen = [c for c in reader.connections if c.topic in topics]
    if chosen:
        for connection, _, raw in reader.messages(connections=chosen):
            yield connection, bytes(raw)


def _rate(reader: AnyReader, topic: str) -> float:
    """Return the mean rate of a topic [Hz]; 10 for a single message."""
    count = sum(c.msgcount for c in reader.connections if c.topic == topic)
    duration = reader.duration * 1e-9
    return float(np.clip((count - 1) / duration, 0.1, 1000.0)) if count > 1 else 10.0


def _parent(topic: str) -> str:
    """Return the base of a compressed topic: color/image_raw/compressed -> color."""
    return topic.rpartition('/')[0].rpartition('/')[0]
