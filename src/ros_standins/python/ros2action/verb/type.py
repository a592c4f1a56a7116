# SPDX-License-Identifier: Apache-2.0
"""`ros2 action type`."""

import argparse

from ros2action.api import action_name_completer, get_action_names_and_types
from ros2action.verb import VerbExtension
from ros2cli.graph import is_there, print_types, types_of
from ros2cli.node.strategy import add_arguments, NodeStrategy


class TypeVerb(VerbExtension):
    """Print an action's type."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'action_name', help="Name of the ROS action to get type (e.g. '/fibonacci')"
        )
        argument.completer = action_name_completer

    def main(self, *, args: argparse.Namespace) -> int:
        """Print the types; 1 where there is no such action."""
        found = is_there(lambda node: get_action_names_and_types(node=node), args.action_name)
        with NodeStrategy(args, until=found) as node:
            return print_types(types_of(get_action_names_and_types(node=node), args.action_name))
