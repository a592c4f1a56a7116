# SPDX-License-Identifier: Apache-2.0
"""A node of the command's own."""

import argparse
from collections.abc import Callable
import os
from typing import Any, Optional

import rclpy
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from ros2cli.node import NODE_NAME_PREFIX
from ros2cli.node.discovery import wait_for_graph


class DirectNode:
    """A context that holds an rclpy node, and stands for it.

    Args:
        args: of the command: `spin_time`, `use_sim_time` and `argv` count where they are there.
        node_name: None makes a hidden one of the process id.
        discover: wait until the node knows the graph.
        until: see `wait_for_graph`.
        handle_signals: let Ctrl-C and SIGTERM shut rclpy down. Without, they reach the command as
            Python delivers them, and it can still speak to others.
    """

    def __init__(
        self,
        args: Any,
        *,
        node_name: Optional[str] = None,
        discover: bool = True,
        until: Optional[Callable[[Any], Any]] = None,
        handle_signals: bool = True,
    ) -> None:
        options = SignalHandlerOptions.ALL if handle_signals else SignalHandlerOptions.NO
        rclpy.init(args=getattr(args, 'argv', []), signal_handler_options=options)
        use_sim_time = bool(getattr(args, 'use_sim_time', False))
        self.node = rclpy.create_node(
            node_name or f'{NODE_NAME_PREFIX}_{os.getpid()}',
            start_parameter_services=False,
            parameter_overrides=[Parameter('use_sim_time', value=use_sim_time)],
        )
        if discover:
            wait_for_graph(self.node, getattr(args, 'spin_time', None), until)

    def __enter__(self) -> 'DirectNode':
        return self

    def __getattr__(self, name: str) -> Any:
        if name == 'node':
            raise AttributeError('the node was not created')
        return getattr(self.node, name)

    def __exit__(self, *_: object) -> None:
        self.node.destroy_node()
        rclpy.try_shutdown()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every command that looks at the graph."""
    parser.add_argument(
        '--spin-time',
        type=float,
        default=None,
        help='Spin time in seconds to wait for discovery '
        '(default: until the graph has been quiet for a moment)',
    )
    parser.add_argument(
        '-s', '--use-sim-time', action='store_true', help='Enable ROS simulation time'
    )
