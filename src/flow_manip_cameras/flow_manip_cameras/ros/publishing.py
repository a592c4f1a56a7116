# SPDX-License-Identifier: Apache-2.0
"""Observations as the camera topics of the rig."""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, Image

from flow_manip_core.observation import Observation
from flow_manip_core.robot import RigConfig
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    image_from_array,
    info_from_camera,
    make_header,
    msg_from_transform,
)
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster


class CameraPublisher:
    """Publishes colour, camera info and depth below ``cameras/<camera>`` and the pose on tf."""

    def __init__(
        self, node: LifecycleNode, rig: RigConfig, *, fixed_pose: bool, publish_pose: bool = True
    ) -> None:
        """Create the publishers.

        Args:
            node: publishes, and whose clock stamps.
            rig: names the camera and the world.
            fixed_pose: send the pose once, latched; otherwise with every frame.
            publish_pose: False where somebody else does.
        """
        self._node, self._rig = node, rig
        self.frame_id = f'{rig.camera.name}_color_optical_frame'
        self._fixed, self._pose_is_due = fixed_pose, publish_pose
        broadcaster = StaticTransformBroadcaster if fixed_pose else TransformBroadcaster
        self._broadcaster = broadcaster(node) if publish_pose else None
        base = f'cameras/{rig.camera.name}'
        self._color, self._depth, self._info = (
            node.create_lifecycle_publisher(kind, f'{base}/{name}', qos.SENSOR)
            for kind, name in (
                (Image, 'color/image_raw'),
                (Image, 'depth/image_rect'),
                (CameraInfo, 'color/camera_info'),
            )
        )

    def publish(self, observation: Observation) -> None:
        """Publish one frame with the stamp of the node's clock."""
        stamp = self._node.get_clock().now().nanoseconds * 1e-9
        if self._pose_is_due and self._broadcaster is not None:
            message = TransformStamped(
                header=make_header(self._rig.frame_id, stamp),
                child_frame_id=self.frame_id,
                transform=msg_from_transform(observation.T_world_camera),
            )
            self._broadcaster.sendTransform(message)
            self._pose_is_due = not self._fixed
        header = make_header(self.frame_id, stamp)
        self._info.publish(info_from_camera(observation.camera, header))
        self._color.publish(image_from_array(observation.color, 'rgb8', header))
        self._depth.publish(image_from_array(observation.depth, '32FC1', header))

    def destroy(self) -> None:
        """Take the publishers back."""
        for publisher in (self._color, self._depth, self._info):
            self._node.destroy_publisher(publisher)
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster.pub_tf)
