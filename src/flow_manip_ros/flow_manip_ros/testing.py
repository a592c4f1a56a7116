# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests of nodes: an own context, an own domain, nothing shared.

In a conftest.py: ``from flow_manip_ros.testing import ros``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import itertools
import random
import threading
import time
from typing import Any

from domain_coordinator import domain_id
import pytest
import rclpy
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from flow_manip_ros.executor import ThreadedExecutor


class RosScope:
    """A ROS world of its own, spinning in the background.

    Attributes:
        node: a plain node for publishers, subscriptions and clients of the test.
        domain_id: of this world.
    """

    def __init__(self, domain: int) -> None:
        """Start the context, the executor and the test's node."""
        self.domain_id = domain
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self._executor = ThreadedExecutor(8, context=self.context)
        self._nodes: list[Node] = []
        self._stopping = threading.Event()
        self.node = self.add(Node('test', context=self.context))
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._stopping.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def add(self, node: Node) -> Node:
        """Spin `node` until the end of the test."""
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def start(self, cls: Callable[..., Node], parameters: dict[str, Any] | None = None) -> Any:
        """Create a node of `cls`, activate it if it is a lifecycle node, and spin it."""
        overrides = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
        node = cls(context=self.context, parameter_overrides=overrides)
        if hasattr(node, 'trigger_configure'):
            success = TransitionCallbackReturn.SUCCESS
            assert node.trigger_configure() == success, f'configure failed: {node.failure!r}'
            assert node.trigger_activate() == success, f'activate failed: {node.failure!r}'
        return self.add(node)

    def collect(self, message_type: Any, topic: str, qos: Any = 10) -> list[Any]:
        """Return a list that grows with every message on `topic`."""
        received: list[Any] = []
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def wait_until(self, condition: Callable[[], Any], timeout: float = 10.0) -> Any:
        """Wait until `condition()` is true and return its value; fail after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(0.005)
        raise AssertionError(f'condition not met within {timeout} s')

    def call(self, service_type: Any, name: str, request: Any, timeout: float = 20.0) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(service_type, name)
        self.wait_until(client.service_is_ready, timeout)
        future = client.call_async(request)
        self.wait_until(future.done, timeout)
        return future.result()

    def close(self) -> None:
        """Stop spinning and give everything back."""
        self._stopping.set()
        self._thread.join(timeout=5.0)
        self._executor.shutdown(timeout_sec=2.0)
        for node in self._nodes:
            # Action servers and clients outlive their node otherwise: the next test sees them.
            for waitable in list(node.waitables):
                if hasattr(waitable, 'destroy'):
                    waitable.destroy()
            node.destroy_node()
        rclpy.shutdown(context=self.context)


def rotate() -> int:
    """Choose the next domain: one that was just given back is remembered for a while."""
    return next(_DOMAINS)


_DOMAINS = itertools.cycle(random.sample(range(1, 51), 50))


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[RosScope]:
    """Give a test its own ROS world, out of reach of any robot on the network."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with domain_id(rotate) as domain:
        scope = RosScope(domain)
        yield scope
        scope.close()
