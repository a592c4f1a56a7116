# SPDX-License-Identifier: Apache-2.0
"""The verbs of `ros2 param`."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ros2cli.verb import VerbExtension

__all__ = ['add_target_arguments', 'target_node', 'VerbExtension']

NODE_TIMEOUT = 1


class NodeNotFound(RuntimeError):
    """The node that was named is not in the graph."""


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every verb that speaks to one node."""
    from ros2cli.node.strategy import add_arguments
    from ros2node.api import add_node_arguments

    add_arguments(parser)
    add_node_arguments(parser)
    parser.add_argument(
        '--timeout',
        metavar='N',
        type=int,
        default=NODE_TIMEOUT,
        help='Wait for N seconds until node becomes available (default %(default)s sec)',
    )


@contextmanager
def target_node(args: argparse.Namespace) -> Iterator[tuple[Any, str]]:
    """Give a node of our own, and the full name of the one that was named.

    Raises:
        NodeNotFound: it is not in the graph.
    """
    from ros2cli.node.strategy import NodeStrategy
    from ros2node.api import get_absolute_node_name, is_node_there, wait_for_node

    name = get_absolute_node_name(args.node_name)
    with NodeStrategy(args, until=is_node_there(name)) as node:
        if not wait_for_node(node, name, args.include_hidden_nodes, args.timeout):
            raise NodeNotFound('Node not found')
        yield node, name
