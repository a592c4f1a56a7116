# SPDX-License-Identifier: Apache-2.0
"""`ros2 param set`."""

import argparse

from rcl_interfaces.msg import Parameter

from ros2param.api import (
    call_set_parameters,
    get_parameter_value,
    ParameterNameCompleter,
    print_result,
)
from ros2param.verb import add_target_arguments, target_node, VerbExtension


class SetVerb(VerbExtension):
    """Set parameter."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_target_arguments(parser)
        argument = parser.add_argument('parameter_name', help='Name of the parameter')
        argument.completer = ParameterNameCompleter()
        parser.add_argument('value', help='Value of the parameter')

    def main(self, *, args: argparse.Namespace) -> None:
        """Set the value and print what the node says to it."""
        value = get_parameter_value(string_value=args.value)
        parameter = Parameter(name=args.parameter_name, value=value)
        with target_node(args) as (node, name):
            response = call_set_parameters(node=node, node_name=name, parameters=[parameter])
        result = response.results[0]
        if result.successful:
            print_result(result, 'Set parameter ', 'successful', '')
        else:
            print_result(result, 'Setting parameter ', '', 'failed')
