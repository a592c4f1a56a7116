# SPDX-License-Identifier: Apache-2.0
"""Noticing within a quarter of a second that another process died or hangs.

Discovery alone forgets a killed participant only after many seconds. Every node of the workspace
holds a publisher with a
liveliness lease; whoever depends on that node watches the lease.
"""

from __future__ import annotations

import threading

from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Empty

LEASE = 0.2  # [s]
_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
    liveliness=LivelinessPolicy.AUTOMATIC,
    liveliness_lease_duration=Duration(seconds=LEASE),
)


class Heartbeat:
    """Says on ``<node>/heartbeat`` that this process lives; the middleware renews the lease."""

    def __init__(self, node: Node) -> None:
        """Start at once; stops with the node."""
        self._publisher = node.create_publisher(Empty, f'{node.get_name()}/heartbeat', _QOS)


class PeerWatch:
    """Knows whether the node `peer` is alive."""

    def __init__(self, node: Node, peer: str, callback_group: object = None) -> None:
        """Watch ``<peer>/heartbeat`` in the namespace of `node`."""
        self.peer = peer
        self._alive = threading.Event()
        self._subscription = node.create_subscription(
            Empty,
            f'{peer}/heartbeat',
            lambda _: None,
            _QOS,
            callback_group=callback_group,
            event_callbacks=SubscriptionEventCallbacks(liveliness=self._on_liveliness),
        )

    @property
    def alive(self) -> bool:
        """True while at least one node of that name renews its lease."""
        return self._alive.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait until the peer is there; say whether it came in time [s]."""
        return self._alive.wait(timeout)

    def _on_liveliness(self, event: object) -> None:
        if event.alive_count > 0:  # type: ignore[attr-defined]
            self._alive.set()
        else:
            self._alive.clear()
