# SPDX-License-Identifier: Apache-2.0
"""Actions of the graph, by name."""

from collections.abc import Callable
from typing import Any

from ros2cli.graph import expand_name, NamesAndTypes, types_of
from ros2node.api import get_action_client_info, get_action_server_info, get_node_names


def get_action_names_and_types(*, node: Any) -> NamesAndTypes:
    """Return the actions of the graph."""
    from rclpy.action import get_action_names_and_types as get_from_graph

    return get_from_graph(getattr(node, 'node', node))


def get_action_names(*, node: Any) -> list[str]:
    """Return the names of the actions of the graph."""
    return [name for name, _ in get_action_names_and_types(node=node)]


def get_action_clients_and_servers(
    *, node: Any, action_name: str
) -> tuple[NamesAndTypes, NamesAndTypes]:
    """Return the nodes that use an action and the ones that serve it, each with the types.

    Raises:
        RuntimeError: it is not a valid name.
    """
    full_name = expand_name(node, action_name)
    return (
        _nodes_with(node, full_name, get_action_client_info),
        _nodes_with(node, full_name, get_action_server_info),
    )


def _nodes_with(node: Any, full_name: str, get_info: Callable) -> NamesAndTypes:
    found = []
    for name in sorted(
        {n.full_name for n in get_node_names(node=node, include_hidden_nodes=True)}
    ):
        types = types_of(get_info(node=node, remote_node_name=name), full_name)
        if types:
            found.append((name, types))
    return found


def action_name_completer(prefix: str, parsed_args: Any, **_: Any) -> list[str]:
    """Complete names of actions."""
    from ros2cli.node.direct import DirectNode

    with DirectNode(parsed_args) as node:
        return get_action_names(node=node)


def action_type_completer(**_: Any) -> list[str]:
    """Complete types of actions, installed ones."""
    from rosidl_runtime_py import get_action_interfaces

    return [f'{p}/{name}' for p, names in get_action_interfaces().items() for name in names]


class ActionTypeCompleter:
    """Completes the type of the action that is named."""

    def __init__(self, *, action_name_key: str) -> None:
        self.action_name_key = action_name_key

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return its types, or all that are installed."""
        from ros2cli.node.direct import DirectNode

        with DirectNode(parsed_args) as node:
            name = getattr(parsed_args, self.action_name_key)
            types = types_of(get_action_names_and_types(node=node), name)
        return types or action_type_completer()
