# SPDX-License-Identifier: Apache-2.0
"""`ros2 action list`."""

import argparse

from ros2action.api import get_action_names_and_types
from ros2action.verb import VerbExtension
from ros2cli.graph import print_names
from ros2cli.node.strategy import add_arguments, NodeStrategy


class ListVerb(VerbExtension):
    """Output a list of action names."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        parser.add_argument(
            '-t', '--show-types', action='store_true', help='Additionally show the action type'
        )
        parser.add_argument(
            '-c',
            '--count-actions',
            action='store_true',
            help='Only display the number of actions discovered',
        )

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the actions, or their number."""
        with NodeStrategy(args) as node:
            actions = get_action_names_and_types(node=node)
        print_names(actions, types=args.show_types, count=args.count_actions)
