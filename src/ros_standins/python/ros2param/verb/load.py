# SPDX-License-Identifier: Apache-2.0
"""`ros2 param load`."""

import argparse

from ros2param.api import load_parameter_file
from ros2param.verb import add_target_arguments, target_node, VerbExtension


class LoadVerb(VerbExtension):
    """Load parameter file for a node."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_target_arguments(parser)
        parser.add_argument('parameter_file', help='Parameter file')
        parser.add_argument(
            '--no-use-wildcard',
            action='store_true',
            help="Do not load parameters in the '/**' namespace into the node",
        )

    def main(self, *, args: argparse.Namespace) -> None:
        """Set the parameters of the file."""
        with target_node(args) as (node, name):
            load_parameter_file(
                node=node,
                node_name=name,
                parameter_file=args.parameter_file,
                use_wildcard=not args.no_use_wildcard,
            )
