# SPDX-License-Identifier: Apache-2.0
"""Noticing within a quarter of a second that another process died or hangs.

Discovery alone forgets a killed participant only after many seconds. Every node of the workspace
holds a publisher with a
liveliness lease; whoever depends on that node watches the lease.
"""

from __future__ import annotations

import threading
import time

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

    def __init__(
        self, node: Node, peer: str, callback_group: object = None, *, patience: float = 0.0
    ) -> None:
        """Watch ``<peer>/heartbeat`` in the namespace of `node`.

        Args:
            node: that depends on the peer.
            peer: name of the other node.
            callback_group: for the lease's events.
            patience: how long after a lost lease the peer still counts as alive [s]: on a busy
                machine a lease may lapse although nobody died.
        """
        self.peer = peer
        self._patience = patience
        self._seen = threading.Event()
        self._lost_at: float | None = None
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
        """True while a node of that name renews its lease, and `patience` seconds longer."""
        lost_at = self._lost_at
        if lost_at is not None and time.monotonic() - lost_at > self._patience:
            return False
        return self._seen.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait until the peer is there; say whether it came in time [s]."""
        deadline = time.monotonic() + timeout
        while not self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _on_liveliness(self, event: object) -> None:
        if event.alive_count > 0:  # type: ignore[attr-defined]
            self._lost_at = None
            self._seen.set()
        else:
            self._lost_at = time.monotonic()
