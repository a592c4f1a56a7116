# SPDX-License-Identifier: Apache-2.0
"""`ros2 service type`."""

import argparse

from ros2cli.graph import is_there, print_types, types_of
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2service.api import ServiceNameCompleter
from ros2service.verb import VerbExtension


class TypeVerb(VerbExtension):
    """Output a service's type."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'service_name',
            help="Name of the ROS service to get type (e.g. '/talker/list_parameters')",
        )
        argument.completer = ServiceNameCompleter(
            include_hidden_services_key='include_hidden_services'
        )

    def main(self, *, args: argparse.Namespace) -> int:
        """Print the types; 1 where there is no such service."""
        found = is_there(lambda node: node.get_service_names_and_types(), args.service_name)
        with NodeStrategy(args, until=found) as node:
            return print_types(types_of(node.get_service_names_and_types(), args.service_name))
