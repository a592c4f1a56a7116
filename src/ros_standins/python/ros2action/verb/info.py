# SPDX-License-Identifier: Apache-2.0
"""`ros2 action info`."""

import argparse

from ros2action.api import action_name_completer, get_action_clients_and_servers
from ros2action.verb import VerbExtension
from ros2cli.graph import NamesAndTypes
from ros2cli.node.strategy import add_arguments, NodeStrategy


class InfoVerb(VerbExtension):
    """Print information about an action."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'action_name', help="Name of the ROS action to get info (e.g. '/fibonacci')"
        )
        argument.completer = action_name_completer
        parser.add_argument(
            '-t', '--show-types', action='store_true', help='Additionally show the action type'
        )
        parser.add_argument(
            '-c',
            '--count',
            action='store_true',
            help='Only display the number of action clients and action servers',
        )

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the nodes on both sides, or how many there are."""
        with NodeStrategy(args) as node:
            clients, servers = get_action_clients_and_servers(
                node=node, action_name=args.action_name
            )
        print(f'Action: {args.action_name}')
        _print_side('clients', clients, args)
        _print_side('servers', servers, args)


def _print_side(side: str, nodes: NamesAndTypes, args: argparse.Namespace) -> None:
    print(f'Action {side}: {len(nodes)}')
    if args.count:
        return
    for name, types in nodes:
        print(f'    {name} [{", ".join(types)}]' if args.show_types else f'    {name}')
