# SPDX-License-Identifier: Apache-2.0
"""The tracked object's pose, as a perception node publishes it."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from flow_manip_core.tracking import TrackedPose
from flow_manip_ros import qos
from flow_manip_ros.conversions import seconds_from_stamp, transform_from_pose


class TopicTracker:
    """Remembers the newest pose of a topic; an `ObjectTracker`."""

    def __init__(self, node: Node, topic: str, frame_id: str) -> None:
        """Subscribe.

        Args:
            node: that subscribes.
            topic: of `geometry_msgs/PoseStamped`, stamped with the time of the image.
            frame_id: the world frame of plans; poses in another are refused.
        """
        self._node, self._frame_id = node, frame_id
        self._newest: TrackedPose | None = None
        self._refused: set[str] = set()
        self.topic = node.create_subscription(
            PoseStamped,
            topic,
            self._on_pose,
            qos.SENSOR,
            callback_group=MutuallyExclusiveCallbackGroup(),
        ).topic_name

    def pose(self, now: float) -> TrackedPose | None:
        """Return the newest pose, None before the first."""
        return self._newest

    def _on_pose(self, message: PoseStamped) -> None:
        frame = message.header.frame_id
        if frame != self._frame_id:
            self._refuse(f"its frame is '{frame}', plans are in '{self._frame_id}'")
            return
        try:
            stamp = seconds_from_stamp(message.header.stamp)
            self._newest = TrackedPose(stamp, transform_from_pose(message.pose))
        except ValueError as error:
            self._refuse(str(error))

    def _refuse(self, reason: str) -> None:
        """Say once per reason why a pose is not used."""
        if reason not in self._refused and len(self._refused) < 16:
            self._refused.add(reason)
            self._node.get_logger().warning(f'{self.topic}: a pose is not used: {reason}')
