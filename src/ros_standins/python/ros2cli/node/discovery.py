# SPDX-License-Identifier: Apache-2.0
"""Waiting until a new node knows the graph.

The real command line asks a daemon that has listened all the time. Here every command is new to
the graph: peers answer its announcement one after the other, so it watches until they are done.
"""

from collections.abc import Hashable
import time
from typing import Any, Callable, Optional

POLL_PERIOD = 0.02
# The real DirectNode spins half a second; a peer on a busy machine needs up to 0.3 s.
LEAST_TIME = 0.45
QUIET_TIME = 0.25
MOST_TIME = 3.0
# Fast DDS lists a node so while only its endpoints have been seen.
UNKNOWN_NODE = '_NODE_NAME_UNKNOWN_'


def wait_for_graph(
    node: Any,
    spin_time: Optional[float] = None,
    until: Optional[Callable[[Any], Any]] = None,
) -> None:
    """Wait until the graph has been quiet for a while.

    Args:
        node: an rclpy node.
        spin_time: wait exactly so many seconds instead.
        until: stop at once when it holds for the node: all that the caller wants is there.
    """
    start = last_change = time.monotonic()
    seen = _graph(node)
    while True:
        now = time.monotonic()
        if until is not None and until(node):
            return
        if spin_time is not None:
            if now - start >= spin_time:
                return
        elif now - start >= MOST_TIME or (
            now - start >= LEAST_TIME and now - last_change >= QUIET_TIME and _is_complete(seen)
        ):
            return
        time.sleep(POLL_PERIOD)
        graph = _graph(node)
        if graph != seen:
            seen, last_change = graph, now


def _graph(node: Any) -> tuple[Hashable, ...]:
    """Return what tells one state of the graph from another."""
    names = tuple(sorted(node.get_node_names_and_namespaces()))
    topics = tuple(
        (name, tuple(types), node.count_publishers(name), node.count_subscribers(name))
        for name, types in node.get_topic_names_and_types()
    )
    services = tuple((name, tuple(types)) for name, types in node.get_service_names_and_types())
    return names, topics, services


def _is_complete(graph: tuple[Any, ...]) -> bool:
    return all(name != UNKNOWN_NODE for name, _ in graph[0])
