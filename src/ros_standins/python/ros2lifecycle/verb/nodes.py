# SPDX-License-Identifier: Apache-2.0
"""`ros2 lifecycle nodes`."""

import argparse

from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2lifecycle.api import get_lifecycle_node_names
from ros2lifecycle.verb import VerbExtension


class NodesVerb(VerbExtension):
    """Output a list of nodes with lifecycle."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        parser.add_argument(
            '-a', '--all', action='store_true', help='Display all nodes even hidden ones'
        )
        parser.add_argument(
            '-c',
            '--count-nodes',
            action='store_true',
            help='Only display the number of nodes discovered',
        )

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the names, or their number."""
        with NodeStrategy(args) as node:
            names = get_lifecycle_node_names(node=node, include_hidden_nodes=args.all)
        if args.count_nodes:
            print(len(names))
            return
        for name in sorted(n.full_name for n in names):
            print(name)
