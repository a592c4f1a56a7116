# SPDX-License-Identifier: Apache-2.0
"""Sends transforms that hold for good."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from .transform_broadcaster import as_list

__all__ = ['StaticTransformBroadcaster']


class StaticTransformBroadcaster:
    """Publishes on ``/tf_static``, latched.

    A late subscriber gets the last message only, so each one repeats every frame sent so far; a
    child frame sent again replaces its former transform.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        """Create the publisher.

        Args:
            node: Node that publishes.
            qos: Profile or depth of the publisher; by default one message, transient local.
        """
        if qos is None:
            qos = QoSProfile(
                depth=1,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
                history=HistoryPolicy.KEEP_LAST,
            )
        self.pub_tf = node.create_publisher(TFMessage, '/tf_static', qos)
        self.net_message = TFMessage()
        self._frames: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Send one or several transforms, together with all earlier ones."""
        for one in as_list(transform):
            # A copy: the caller may reuse its message for the next frame.
            self._frames[one.child_frame_id] = deepcopy(one)
        self.net_message.transforms = list(self._frames.values())
        self.pub_tf.publish(self.net_message)
