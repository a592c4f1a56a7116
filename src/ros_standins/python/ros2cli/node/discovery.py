# SPDX-License-Identifier: Apache-2.0
"""Waiting until a new node knows the graph.

The real command line asks a daemon that has listened all the time. Here every command is new to
the graph. Peers answer its first announcement at once, and Fast DDS may drop that answer while it
is still starting; the peer's next one comes up to three seconds later. So a quiet graph is not
yet a whole one: on this machine, the ports that DDS participants hold tell how many there are.
"""

from collections.abc import Callable, Hashable
import os
from pathlib import Path
import time
from typing import Any, Optional

from ros2cli.helpers import get_ros_domain_id

POLL_PERIOD = 0.02
QUIET_TIME = 0.15
LEAST_TIME_LOCALHOST = 0.2
# The real DirectNode spins half a second; other machines cannot be counted.
LEAST_TIME_SUBNET = 0.5
# Fast DDS announces a participant every three seconds.
MOST_TIME = 3.5
# Fast DDS lists a node so while only its endpoints have been seen.
UNKNOWN_NODE = '_NODE_NAME_UNKNOWN_'
# Every participant of ROS publishes the names of its nodes here.
PARTICIPANTS_TOPIC = 'ros_discovery_info'
GUID_PREFIX_SIZE = 12

# RTPS 2.5, 9.6.2: in domain d, participants listen for others on port 7400 + 250 d, which they
# share, and participant i on port 7400 + 250 d + 10 + 2 i.
PORT_BASE, DOMAIN_GAIN, UNICAST_OFFSET, PARTICIPANT_GAIN = 7400, 250, 10, 2
UDP_SOCKETS = Path('/proc/net/udp')


def wait_for_graph(
    node: Any,
    spin_time: Optional[float] = None,
    until: Optional[Callable[[Any], Any]] = None,
) -> None:
    """Wait until every participant has been seen and the graph has been quiet for a while.

    Args:
        node: an rclpy node.
        spin_time: wait exactly so many seconds instead.
        until: stop at once when it holds for the node: all that the caller wants is there.
    """
    start = last_change = time.monotonic()
    is_localhost = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '').upper() == 'LOCALHOST'
    least = LEAST_TIME_LOCALHOST if is_localhost else LEAST_TIME_SUBNET
    expected = count_local_participants(get_ros_domain_id())
    seen = _graph(node)
    while until is None or not until(node):
        now = time.monotonic()
        is_quiet = now - start >= least and now - last_change >= QUIET_TIME
        if spin_time is not None:
            if now - start >= spin_time:
                return
        elif now - start >= MOST_TIME or (is_quiet and _is_whole(node, seen, expected)):
            return
        time.sleep(POLL_PERIOD)
        graph = _graph(node)
        if graph != seen:
            seen, last_change = graph, time.monotonic()


def count_local_participants(domain_id: int, sockets: Path = UDP_SOCKETS) -> int:
    """Count the DDS participants of a domain on this machine, by the ports that they hold.

    Args:
        domain_id: the domain.
        sockets: the kernel's table of UDP sockets.

    Returns:
        Their number; 0 where the machine has no such table, or they use other transports.
    """
    multicast = PORT_BASE + DOMAIN_GAIN * domain_id
    unicast = range(multicast + UNICAST_OFFSET, multicast + DOMAIN_GAIN, PARTICIPANT_GAIN)
    try:
        lines = sockets.read_text().splitlines()[1:]
    except OSError:
        return 0
    ports = [int(line.split()[1].rpartition(':')[2], 16) for line in lines]
    # Which of the two a participant holds depends on its transports; the first one is shared.
    return max(ports.count(multicast), len(set(ports) & set(unicast)))


def _graph(node: Any) -> tuple[Any, ...]:
    """Return what tells one state of the graph from another."""
    names = tuple(sorted(node.get_node_names_and_namespaces()))
    topics: tuple[Hashable, ...] = tuple(
        (name, tuple(types), node.count_publishers(name), node.count_subscribers(name))
        for name, types in node.get_topic_names_and_types()
    )
    services = tuple((name, tuple(types)) for name, types in node.get_service_names_and_types())
    return names, topics, services


def _is_whole(node: Any, graph: tuple[Any, ...], expected: int) -> bool:
    """Tell whether every participant has been seen, and has told its nodes."""
    names = [name for name, _ in graph[0]]
    if UNKNOWN_NODE in names or len(names) < expected:
        return False
    publishers = node.get_publishers_info_by_topic(PARTICIPANTS_TOPIC, no_mangle=True)
    return len({bytes(p.endpoint_gid[:GUID_PREFIX_SIZE]) for p in publishers}) >= expected
