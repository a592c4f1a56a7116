# SPDX-License-Identifier: Apache-2.0
"""`ros2 param list`."""

import argparse
import sys
from typing import Any, Optional

from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2node.api import add_node_arguments, get_absolute_node_name, get_node_names
from ros2param.api import (
    call_describe_parameters,
    call_list_parameters,
    get_parameter_type_string,
)
from ros2param.verb import VerbExtension


class ListVerb(VerbExtension):
    """Output a list of available parameters."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        add_node_arguments(parser, nargs='?')
        parser.add_argument(
            '--param-prefixes',
            nargs='+',
            default=[],
            help='Only list parameters with the provided prefixes',
        )
        parser.add_argument(
            '--param-type',
            action='store_true',
            help='Print parameter types with parameter names',
        )
        parser.add_argument('--filter', help='Only list parameters whose names match this regex')

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the names for one node, or for all."""
        wanted = get_absolute_node_name(args.node_name)
        with NodeStrategy(args) as node:
            names = get_node_names(node=node, include_hidden_nodes=args.include_hidden_nodes)
            full_names = sorted({n.full_name for n in names})
            if wanted is not None and wanted not in full_names:
                return 'Node not found'
            services = {name for name, _ in node.get_service_names_and_types()}
            for name in full_names if wanted is None else [wanted]:
                if f'{name}/list_parameters' in services:
                    _print_node(node, name, args)
        return None


def _print_node(node: Any, name: str, args: argparse.Namespace) -> None:
    import re

    try:
        parameters = call_list_parameters(node=node, node_name=name, prefixes=args.param_prefixes)
        if args.filter:
            parameters = [p for p in parameters if re.search(args.filter, p)]
        types = {}
        if args.param_type and parameters:
            response = call_describe_parameters(
                node=node, node_name=name, parameter_names=parameters
            )
            types = {d.name: get_parameter_type_string(d.type) for d in response.descriptors}
    except RuntimeError as error:
        # One silent node must not hide the others.
        print(f"Exception while calling service of node '{name}': {error}", file=sys.stderr)
        return
    if args.node_name is None:
        print(f'{name}:')
    for parameter in parameters:
        suffix = f' (type: {types[parameter]})' if parameter in types else ''
        print(f'  {parameter}{suffix}')
