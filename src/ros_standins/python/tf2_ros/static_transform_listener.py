# SPDX-License-Identifier: Apache-2.0
"""Fills a buffer from ``/tf_static`` alone.

Releases after Jazzy have it; it is reachable by its module only, as nothing that must also run on
Jazzy may use it.
"""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from .transform_listener import TransformListener

__all__ = ['StaticTransformListener']


class StaticTransformListener(TransformListener):
    """A `TransformListener` without its subscription to ``/tf``."""

    def __init__(
        self,
        buffer: Any,
        node: Node,
        *,
        spin_thread: bool = False,
        static_qos: QoSProfile | int | None = None,
    ) -> None:
        """Create the subscription; arguments as for `TransformListener`."""
        super().__init__(buffer, node, spin_thread=spin_thread, static_qos=static_qos)
        node.destroy_subscription(self.tf_sub)
        del self.tf_sub
