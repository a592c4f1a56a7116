# SPDX-License-Identifier: Apache-2.0
"""One observation from camera topics, tf and joint states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import threading
import time

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, JointState

from flow_manip_cameras.rectify import Rectifier
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import (
    CancelledError,
    FlowManipError,
    StaleInputError,
    TransformMissingError,
)
from flow_manip_core.observation import Observation
from flow_manip_core.robot import RigConfig
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    camera_from_info,
    color_from_image,
    depth_from_image,
    seconds_from_stamp,
    transform_from_msg,
)
from flow_manip_task.stages import Cancelled, OnFrame
from message_filters import ApproximateTimeSynchronizer, Subscriber
import tf2_ros

POLL = 0.01  # [s]


@dataclass(frozen=True)
class ObservingConfig:
    """How long the node waits for its senses.

    Attributes:
        timeout: for an image that is newer than the request [s].
        slop: between colour, depth and camera info of one observation [s].
        tf_timeout: for the camera's pose at the time of the image [s].
        joint_timeout: joint states older than this are not the robot's state [s].
    """

    timeout: float = field(default=3.0, metadata={'doc': 'For a new image [s]'})
    slop: float = field(default=0.03, metadata={'doc': 'Between colour and depth [s]'})
    tf_timeout: float = field(default=1.0, metadata={'doc': "For the camera's pose [s]"})
    joint_timeout: float = field(default=0.25, metadata={'doc': 'Oldest joint state [s]'})


class Observer:
    """Puts together what the rig's camera and the robot say."""

    def __init__(self, node: Node, rig: RigConfig, config: ObservingConfig) -> None:
        """Subscribe; nothing is decoded before `observe`."""
        self._node, self._rig, self._config = node, rig, config
        self._news = threading.Condition()
        self._images: tuple[Image, Image, CameraInfo] | None = None
        self._joints: dict[str, float] = {}
        self._joints_stamp = float('nan')
        self._on_frame: OnFrame | None = None
        group = MutuallyExclusiveCallbackGroup()
        camera = f'cameras/{rig.camera.name}'
        parts = [
            Subscriber(
                node, kind, f'{camera}/{name}', qos_profile=qos.SENSOR, callback_group=group
            )
            for kind, name in (
                (Image, 'color/image_raw'),
                (Image, 'depth/image_rect'),
                (CameraInfo, 'color/camera_info'),
            )
        ]
        parts[0].registerCallback(self._on_color)
        self._synchronizer = ApproximateTimeSynchronizer(parts, queue_size=10, slop=config.slop)
        self._synchronizer.registerCallback(self._on_images)
        node.create_subscription(
            JointState,
            'joint_states',
            self._on_joints,
            qos.SENSOR,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._buffer = tf2_ros.Buffer(node=node)
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def observe(self, *, cancelled: Cancelled) -> Observation:
        """Wait for an image that was taken after this call and put an observation together.

        Raises:
            StaleInputError: no such image came in time, or the joint states are old.
            TransformMissingError: nobody says where the camera was.
            InvalidInputError: an image is not what its header says.
            CancelledError: as it says.
        """
        color, depth, info = self._wait_for_images(cancelled)
        stamp = seconds_from_stamp(color.header.stamp)
        rgb, metres, camera = _rectified(color_from_image(color), depth_from_image(depth), info)
        return Observation(
            color=rgb,
            depth=metres,
            camera=camera,
            T_world_camera=self._camera_pose(color.header.frame_id, color.header.stamp, cancelled),
            frame_id=self._rig.frame_id,
            stamp=stamp,
            joint_positions=self.joint_positions(),
        )

    def joint_positions(self) -> dict[str, float]:
        """Return the newest joints; empty where no robot ever spoke.

        Raises:
            StaleInputError: there was a robot, but it fell silent.
        """
        with self._news:
            joints, stamp = dict(self._joints), self._joints_stamp
        age = self._now() - stamp
        if joints and age > self._config.joint_timeout:
            raise StaleInputError(
                f'the newest joint state is {age:.2f} s old, limit {self._config.joint_timeout} s'
            )
        return joints

    @contextmanager
    def streaming(self, on_frame: OnFrame) -> Iterator[None]:
        """Hand every colour image on while the context lasts."""
        self._on_frame = on_frame
        try:
            yield
        finally:
            self._on_frame = None

    def _wait_for_images(self, cancelled: Cancelled) -> tuple[Image, Image, CameraInfo]:
        begun, deadline = self._now(), time.monotonic() + self._config.timeout
        with self._news:
            while True:
                images = self._images
                if images and seconds_from_stamp(images[0].header.stamp) >= begun:
                    return images
                if cancelled():
                    raise CancelledError('cancelled while waiting for an image')
                if time.monotonic() > deadline:
                    raise StaleInputError(self._why_no_images(images))
                self._news.wait(POLL)

    def _why_no_images(self, images: tuple[Image, Image, CameraInfo] | None) -> str:
        what = f"camera '{self._rig.camera.name}': no new image with depth and camera info"
        waited = f'within {self._config.timeout:g} s'
        if images is None:
            return f'{what} {waited}; none ever came'
        age = self._now() - seconds_from_stamp(images[0].header.stamp)
        return f'{what} {waited}; the last one is {age:.1f} s old'

    def _camera_pose(self, frame: str, stamp: object, cancelled: Cancelled) -> NDArray:
        """Return T_world_camera at the time of the image."""
        world, deadline = self._rig.frame_id, time.monotonic() + self._config.tf_timeout
        while True:
            try:
                found = self._buffer.lookup_transform(world, frame, Time.from_msg(stamp))
                return transform_from_msg(found.transform)
            except tf2_ros.TransformException as error:
                if cancelled():
                    raise CancelledError(
                        "cancelled while waiting for the camera's pose"
                    ) from error
                if time.monotonic() > deadline:
                    raise TransformMissingError(
                        f"no transform from '{frame}' to '{world}' within "
                        f'{self._config.tf_timeout:g} s: {error}'
                    ) from error
            time.sleep(POLL)

    def _now(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9

    def _on_images(self, color: Image, depth: Image, info: CameraInfo) -> None:
        with self._news:
            self._images = (color, depth, info)
            self._news.notify_all()

    def _on_joints(self, message: JointState) -> None:
        with self._news:
            # Arm and hand may publish separately.
            self._joints = {**self._joints, **dict(zip(message.name, message.position))}
            self._joints_stamp = seconds_from_stamp(message.header.stamp)

    def _on_color(self, image: Image) -> None:
        on_frame = self._on_frame
        if on_frame is None:
            return
        try:
            on_frame(color_from_image(image), seconds_from_stamp(image.header.stamp))
        except FlowManipError as error:
            self._node.get_logger().warning(
                f'a frame was left out: {error}', throttle_duration_sec=5.0
            )


def _rectified(
    color: NDArray[np.uint8], depth: NDArray[np.float32], info: CameraInfo
) -> tuple[NDArray[np.uint8], NDArray[np.float32], CameraModel]:
    """Take the lens distortion out of images that a driver publishes as the sensor saw them."""
    camera = camera_from_info(info, distorted=True)
    rectifier = Rectifier.from_coefficients(camera, info.distortion_model, info.d)
    if rectifier is None:
        return color, depth, camera
    return rectifier.color(color), rectifier.depth(depth), camera
