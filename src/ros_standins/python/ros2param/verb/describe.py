# SPDX-License-Identifier: Apache-2.0
"""`ros2 param describe`."""

import argparse

from rcl_interfaces.msg import ParameterDescriptor

from ros2param.api import (
    call_describe_parameters,
    get_parameter_type_string,
    ParameterNameCompleter,
)
from ros2param.verb import add_target_arguments, target_node, VerbExtension


class DescribeVerb(VerbExtension):
    """Show descriptive information about declared parameters."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_target_arguments(parser)
        argument = parser.add_argument(
            'parameter_names', nargs='+', help='Names of the parameters'
        )
        argument.completer = ParameterNameCompleter()

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the descriptors."""
        with target_node(args) as (node, name):
            response = call_describe_parameters(
                node=node, node_name=name, parameter_names=args.parameter_names
            )
        for descriptor in response.descriptors:
            _print_descriptor(descriptor)


def _print_descriptor(descriptor: ParameterDescriptor) -> None:
    print('Parameter name:', descriptor.name)
    print('  Type:', get_parameter_type_string(descriptor.type))
    if descriptor.description:
        print('  Description:', descriptor.description)
    print('  Constraints:')
    if descriptor.read_only:
        print('    Read only: true')
    for limits in [*descriptor.floating_point_range, *descriptor.integer_range][:1]:
        print('    Min value:', limits.from_value)
        print('    Max value:', limits.to_value)
        if limits.step:
            print('    Step:', limits.step)
    if descriptor.additional_constraints:
        print('    Additional constraints:', descriptor.additional_constraints)
