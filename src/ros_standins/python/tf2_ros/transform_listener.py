# SPDX-License-Identifier: Apache-2.0
"""Fills a buffer from ``/tf`` and ``/tf_static``."""

from __future__ import annotations

from threading import Thread
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

__all__ = ['TransformListener']

DEFAULT_TF_TOPIC = '/tf'
DEFAULT_STATIC_TF_TOPIC = '/tf_static'
AUTHORITY = 'default_authority'


class TransformListener:
    """Subscribes to both topics of transforms for as long as it lives."""

    def __init__(
        self,
        buffer: Any,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
    ) -> None:
        """Create the subscriptions.

        Args:
            buffer: Has ``set_transform`` and ``set_transform_static``.
            node: Node that subscribes.
            spin_thread: Spin the node in a thread of its own. The node must not be in another
                executor then.
            qos: Profile or depth for ``/tf``; by default the last 100 messages.
            static_qos: Profile or depth for ``/tf_static``; by default 100, transient local.
        """
        self.buffer = buffer
        self.node = node
        # Reentrant: a callback that waits for a transform must not keep this one from running.
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage,
            DEFAULT_TF_TOPIC,
            self.callback,
            _profile(DurabilityPolicy.VOLATILE) if qos is None else qos,
            callback_group=self.group,
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            DEFAULT_STATIC_TF_TOPIC,
            self.static_callback,
            _profile(DurabilityPolicy.TRANSIENT_LOCAL) if static_qos is None else static_qos,
            callback_group=self.group,
        )
        if spin_thread:
            self._spin()

    def _spin(self) -> None:
        self.executor = SingleThreadedExecutor(context=self.node.context)
        # Only what the thread needs: a reference to self would keep the listener alive for ever.
        executor, node = self.executor, self.node

        def run() -> None:
            executor.add_node(node)
            try:
                executor.spin()
            except ExternalShutdownException:
                # The context was shut down, which is how most programs end.
                return
            executor.remove_node(node)

        self.dedicated_listener_thread = Thread(target=run, daemon=True)
        self.dedicated_listener_thread.start()

    def __del__(self) -> None:
        """Stop the thread and the subscriptions."""
        if hasattr(self, 'dedicated_listener_thread'):
            self.executor.shutdown()
            self.dedicated_listener_thread.join()
        self.unregister()

    def unregister(self) -> None:
        """Destroy both subscriptions."""
        for name in ('tf_sub', 'tf_static_sub'):
            if hasattr(self, name):
                self.node.destroy_subscription(getattr(self, name))

    def callback(self, data: TFMessage) -> None:
        """Store a message of moving transforms."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, AUTHORITY)

    def static_callback(self, data: TFMessage) -> None:
        """Store a message of static transforms."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, AUTHORITY)


def _profile(durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(depth=100, durability=durability, history=HistoryPolicy.KEEP_LAST)
