# SPDX-License-Identifier: Apache-2.0
"""`ros2 service list`."""

import argparse

from ros2cli.graph import print_names
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2service.api import add_hidden_argument, get_service_names_and_types
from ros2service.verb import VerbExtension


class ListVerb(VerbExtension):
    """Output a list of available services."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        add_hidden_argument(parser)
        parser.add_argument(
            '-t', '--show-types', action='store_true', help='Additionally show the service type'
        )
        parser.add_argument(
            '-c',
            '--count-services',
            action='store_true',
            help='Only display the number of services discovered',
        )

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the services, or their number."""
        with NodeStrategy(args) as node:
            services = get_service_names_and_types(
                node=node,
                include_hidden_services=getattr(args, 'include_hidden_services', False),
            )
        print_names(services, types=args.show_types, count=args.count_services)
