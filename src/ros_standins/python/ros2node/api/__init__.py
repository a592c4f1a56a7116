# SPDX-License-Identifier: Apache-2.0
"""Nodes of the graph, by name."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Optional

from ros2cli.helpers import wait_for
from ros2cli.node import HIDDEN_NODE_PREFIX


class NodeName(NamedTuple):
    """The name of a node in its parts."""

    name: str
    namespace: str
    full_name: str


class TopicInfo(NamedTuple):
    """A topic, service or action with its types."""

    name: str
    types: list[str]


def get_absolute_node_name(node_name: Optional[str]) -> Optional[str]:
    """Return the name with its leading slash; None for no name."""
    if not node_name:
        return None
    return node_name if node_name.startswith('/') else f'/{node_name}'


def parse_node_name(node_name: str) -> NodeName:
    """Split the full name of a node."""
    full_name = node_name if node_name.startswith('/') else f'/{node_name}'
    namespace, _, name = full_name.rpartition('/')
    return NodeName(name, namespace or '/', full_name)


def is_hidden(node_name: str) -> bool:
    """Tell whether lists leave the node out."""
    return not node_name or node_name.startswith(HIDDEN_NODE_PREFIX)


def has_duplicates(values: Iterable[Any]) -> bool:
    """Tell whether something occurs twice."""
    values = list(values)
    return len(set(values)) < len(values)


def get_node_names(*, node: Any, include_hidden_nodes: bool = False) -> list[NodeName]:
    """Return the nodes of the graph."""
    return [
        NodeName(name, namespace, f'{namespace.rstrip("/")}/{name}')
        for name, namespace in node.get_node_names_and_namespaces()
        if include_hidden_nodes or not is_hidden(name)
    ]


def wait_for_node(
    node: Any, node_name: str, include_hidden_nodes: bool = False, timeout: float = 0.0
) -> bool:
    """Wait until a node is there; False where it is not within `timeout` seconds."""

    def is_there() -> bool:
        names = get_node_names(node=node, include_hidden_nodes=include_hidden_nodes)
        return node_name in {n.full_name for n in names}

    return wait_for(is_there, timeout, period=0.02)


def is_node_there(node_name: Optional[str]) -> Any:
    """Return a condition for discovery: a node of that name has been seen."""
    absolute = get_absolute_node_name(node_name)
    return lambda node: absolute in node.get_fully_qualified_node_names()


def get_publisher_info(
    *, node: Any, remote_node_name: str, include_hidden: bool = False
) -> list[TopicInfo]:
    """Return what a node publishes."""
    return _of_node(node.get_publisher_names_and_types_by_node, remote_node_name, include_hidden)


def get_subscriber_info(
    *, node: Any, remote_node_name: str, include_hidden: bool = False
) -> list[TopicInfo]:
    """Return what a node subscribes to."""
    return _of_node(node.get_subscriber_names_and_types_by_node, remote_node_name, include_hidden)


def get_service_server_info(
    *, node: Any, remote_node_name: str, include_hidden: bool = False
) -> list[TopicInfo]:
    """Return the services that a node serves."""
    return _of_node(node.get_service_names_and_types_by_node, remote_node_name, include_hidden)


def get_service_client_info(
    *, node: Any, remote_node_name: str, include_hidden: bool = False
) -> list[TopicInfo]:
    """Return the services that a node uses."""
    return _of_node(node.get_client_names_and_types_by_node, remote_node_name, include_hidden)


def get_action_server_info(
    *, node: Any, remote_node_name: str, include_hidden: bool = False
) -> list[TopicInfo]:
    """Return the actions that a node serves."""
    from rclpy.action import get_action_server_names_and_types_by_node

    return _actions(get_action_server_names_and_types_by_node, node, remote_node_name)


def get_action_client_info(
    *, node: Any, remote_node_name: str, include_hidden: bool = False
) -> list[TopicInfo]:
    """Return the actions that a node uses."""
    from rclpy.action import get_action_client_names_and_types_by_node

    return _actions(get_action_client_names_and_types_by_node, node, remote_node_name)


def _of_node(getter: Any, remote_node_name: str, include_hidden: bool) -> list[TopicInfo]:
    from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

    remote = parse_node_name(remote_node_name)
    return [
        TopicInfo(name, types)
        for name, types in getter(remote.name, remote.namespace)
        if include_hidden or not topic_or_service_is_hidden(name)
    ]


def _actions(getter: Any, node: Any, remote_node_name: str) -> list[TopicInfo]:
    remote = parse_node_name(remote_node_name)
    # The getter reads the node's handle, which a stand-in for the node does not have.
    return [
        TopicInfo(name, types)
        for name, types in getter(getattr(node, 'node', node), remote.name, remote.namespace)
    ]


class NodeNameCompleter:
    """Completes names of nodes."""

    def __init__(self, *, include_hidden_nodes_key: Optional[str] = None) -> None:
        self.include_hidden_nodes_key = include_hidden_nodes_key

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the names that are in the graph now."""
        from ros2cli.node.strategy import NodeStrategy

        hidden = getattr(parsed_args, self.include_hidden_nodes_key or '', False)
        with NodeStrategy(parsed_args) as node:
            return [n.full_name for n in get_node_names(node=node, include_hidden_nodes=hidden)]


def add_node_arguments(
    parser: Any, *, hidden_flags: tuple[str, ...] = ('--include-hidden-nodes',), **options: Any
) -> None:
    """Add the name of a node, and the option that admits hidden ones."""
    argument = parser.add_argument('node_name', help='Name of the ROS node', **options)
    argument.completer = NodeNameCompleter(include_hidden_nodes_key='include_hidden_nodes')
    parser.add_argument(*hidden_flags, action='store_true', help='Consider hidden nodes as well')
