# SPDX-License-Identifier: Apache-2.0
"""Sends transforms that change."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

__all__ = ['TransformBroadcaster']

DEFAULT_QOS = QoSProfile(depth=100)


class TransformBroadcaster:
    """Publishes on ``/tf``."""

    def __init__(self, node: Node, qos: QoSProfile | int = DEFAULT_QOS) -> None:
        """Create the publisher.

        Args:
            node: Node that publishes.
            qos: Profile or depth of the publisher.
        """
        self.pub_tf = node.create_publisher(TFMessage, '/tf', qos)

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Send one transform, or several in one message."""
        self.pub_tf.publish(TFMessage(transforms=as_list(transform)))


def as_list(transform: TransformStamped | Iterable[TransformStamped]) -> list[TransformStamped]:
    """Return one or several transforms as a list."""
    if isinstance(transform, Iterable):
        return list(transform)
    return [transform]
