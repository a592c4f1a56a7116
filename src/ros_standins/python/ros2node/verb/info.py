# SPDX-License-Identifier: Apache-2.0
"""`ros2 node info`."""

import argparse
import sys
from typing import Optional

from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2node import api
from ros2node.verb import VerbExtension

SECTIONS = (
    ('Subscribers', api.get_subscriber_info),
    ('Publishers', api.get_publisher_info),
    ('Service Servers', api.get_service_server_info),
    ('Service Clients', api.get_service_client_info),
    ('Action Servers', api.get_action_server_info),
    ('Action Clients', api.get_action_client_info),
)


def print_names_and_types(names_and_types: list[api.TopicInfo]) -> None:
    """Print one line for each, or an empty one for none."""
    print(*[f'    {n.name}: {", ".join(n.types)}' for n in names_and_types], sep='\n')


class InfoVerb(VerbExtension):
    """Output information about a node."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'node_name', help='Node name to request information, preceded by its namespace'
        )
        argument.completer = api.NodeNameCompleter()
        parser.add_argument(
            '--include-hidden',
            action='store_true',
            help='Display hidden topics, services, and actions as well',
        )

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print what the node has, section by section."""
        name = api.get_absolute_node_name(args.node_name)
        hidden = args.include_hidden
        with NodeStrategy(args) as node:
            names = api.get_node_names(node=node, include_hidden_nodes=hidden)
            count = [n.full_name for n in names].count(name)
            if count == 0:
                return f"Unable to find node '{args.node_name}'"
            if count > 1:
                print(
                    f"There are {count} nodes in the graph with the exact name '{name}'. You are "
                    'seeing information about only one of them.',
                    file=sys.stderr,
                )
            print(args.node_name)
            for title, get_info in SECTIONS:
                print(f'  {title}:')
                print_names_and_types(
                    get_info(node=node, remote_node_name=name, include_hidden=hidden)
                )
        return None
