# SPDX-License-Identifier: Apache-2.0
"""The node of a command that would ask the daemon on a full ROS 2."""

import argparse
from typing import Any

from ros2cli.node.direct import add_arguments as add_direct_node_arguments
from ros2cli.node.direct import DirectNode


class NodeStrategy(DirectNode):
    """A node that knows the graph; with no daemon to ask, always a direct one."""

    def __enter__(self) -> 'NodeStrategy':
        return self

    @property
    def direct_node(self) -> 'NodeStrategy':
        """The node of this process."""
        return self

    @property
    def daemon_node(self) -> None:
        """Nothing: there is no daemon."""
        return None


def add_arguments(parser: argparse.ArgumentParser) -> Any:
    """Add the arguments of every command that looks at the graph."""
    add_direct_node_arguments(parser)
    return parser.add_argument(
        '--no-daemon',
        action='store_true',
        help='Do not spawn nor use an already running daemon (there is none here)',
    )
