# SPDX-License-Identifier: Apache-2.0
"""`ros2 node list`."""

import argparse
import sys

from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2node.api import get_node_names, has_duplicates
from ros2node.verb import VerbExtension


class ListVerb(VerbExtension):
    """Output a list of available nodes."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        parser.add_argument(
            '-a', '--all', action='store_true', help='Display all nodes even hidden ones'
        )
        parser.add_argument(
            '-c',
            '--count-nodes',
            '--count',
            action='store_true',
            help='Only display the number of nodes discovered',
        )

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the names, sorted, or their number."""
        with NodeStrategy(args) as node:
            names = get_node_names(node=node, include_hidden_nodes=args.all)
        if args.count_nodes:
            print(len(names))
            return
        full_names = sorted(n.full_name for n in names)
        if has_duplicates(full_names):
            print(
                'WARNING: Be aware that there are nodes in the graph that share an exact name, '
                'which can have unintended side effects.',
                file=sys.stderr,
            )
        for name in full_names:
            print(name)
