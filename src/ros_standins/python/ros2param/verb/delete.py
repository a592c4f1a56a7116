# SPDX-License-Identifier: Apache-2.0
"""`ros2 param delete`."""

import argparse

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue

from ros2param.api import call_set_parameters, ParameterNameCompleter, print_result
from ros2param.verb import add_target_arguments, target_node, VerbExtension


class DeleteVerb(VerbExtension):
    """Delete parameter."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_target_arguments(parser)
        argument = parser.add_argument('parameter_name', help='Name of the parameter')
        argument.completer = ParameterNameCompleter()

    def main(self, *, args: argparse.Namespace) -> None:
        """Unset the parameter and print what the node says to it."""
        value = ParameterValue(type=ParameterType.PARAMETER_NOT_SET)
        parameter = Parameter(name=args.parameter_name, value=value)
        with target_node(args) as (node, name):
            response = call_set_parameters(node=node, node_name=name, parameters=[parameter])
        result = response.results[0]
        if result.successful:
            print_result(result, 'Deleted parameter ', 'successfully', '')
        else:
            print_result(result, 'Deleting parameter ', '', 'failed')
