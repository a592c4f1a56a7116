# SPDX-License-Identifier: Apache-2.0
"""`ros2 service info`."""

import argparse
from typing import Optional

from ros2cli.graph import expand_name, types_of
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2service.api import ServiceNameCompleter
from ros2service.verb import VerbExtension


class InfoVerb(VerbExtension):
    """Print information about a service."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'service_name', help="Name of the ROS service to get info (e.g. '/add_two_ints')"
        )
        argument.completer = ServiceNameCompleter(
            include_hidden_services_key='include_hidden_services'
        )

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print type and number of clients and servers."""
        with NodeStrategy(args) as node:
            name = expand_name(node, args.service_name, is_service=True)
            types = types_of(node.get_service_names_and_types(), name)
            if not types:
                return f"Unknown service '{args.service_name}'"
            print(f'Type: {types[0] if len(types) == 1 else types}')
            print(f'Clients count: {node.count_clients(name)}')
            print(f'Services count: {node.count_services(name)}')
        return None
