# SPDX-License-Identifier: Apache-2.0
"""`ros2 service find`."""

import argparse

from ros2cli.graph import print_names, with_type
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2service.api import (
    add_hidden_argument,
    get_service_names_and_types,
    ServiceTypeCompleter,
)
from ros2service.verb import VerbExtension


class FindVerb(VerbExtension):
    """Output a list of available services of a given type."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        add_hidden_argument(parser)
        argument = parser.add_argument(
            'service_type',
            help="Name of the ROS service type to filter for (e.g. 'std_srvs/srv/Trigger')",
        )
        argument.completer = ServiceTypeCompleter()
        parser.add_argument(
            '-c',
            '--count-services',
            action='store_true',
            help='Only display the number of services discovered',
        )

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the services of the type, or their number."""
        with NodeStrategy(args) as node:
            services = get_service_names_and_types(
                node=node,
                include_hidden_services=getattr(args, 'include_hidden_services', False),
            )
        found = with_type(services, args.service_type)
        print_names(found, types=False, count=args.count_services)
