# SPDX-License-Identifier: Apache-2.0
"""Calls of services of other nodes."""

from typing import Any

import rclpy

from ros2cli.helpers import wait_for

SERVICE_TIMEOUT = 5.0
POLL_PERIOD = 0.02


def call_service(node: Any, service_class: Any, name: str, request: Any) -> Any:
    """Call a service once and return its response.

    Args:
        node: a `DirectNode`.
        service_class: the service's type.
        name: the service.
        request: its request.

    Raises:
        RuntimeError: the service is not there within five seconds, or the call failed.
    """
    client = node.create_client(service_class, name)
    try:
        if not wait_for(client.service_is_ready, SERVICE_TIMEOUT, POLL_PERIOD):
            raise RuntimeError(f"Wait for service timed out waiting for '{name}'")
        future = client.call_async(request)
        rclpy.spin_until_future_complete(node.node, future)
    finally:
        node.destroy_client(client)
    if future.result() is None:
        raise RuntimeError(f"Exception while calling service '{name}': {future.exception()}")
    return future.result()
