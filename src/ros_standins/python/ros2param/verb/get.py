# SPDX-License-Identifier: Apache-2.0
"""`ros2 param get`."""

import argparse
from typing import Optional

from rcl_interfaces.msg import ParameterType

from ros2param.api import call_get_parameters, ParameterNameCompleter
from ros2param.verb import add_target_arguments, target_node, VerbExtension

# Type -> label and the field of the value.
LABELS = {
    ParameterType.PARAMETER_BOOL: ('Boolean value is:', 'bool_value'),
    ParameterType.PARAMETER_INTEGER: ('Integer value is:', 'integer_value'),
    ParameterType.PARAMETER_DOUBLE: ('Double value is:', 'double_value'),
    ParameterType.PARAMETER_STRING: ('String value is:', 'string_value'),
    ParameterType.PARAMETER_BYTE_ARRAY: ('Byte values are:', 'byte_array_value'),
    ParameterType.PARAMETER_BOOL_ARRAY: ('Boolean values are:', 'bool_array_value'),
    ParameterType.PARAMETER_INTEGER_ARRAY: ('Integer values are:', 'integer_array_value'),
    ParameterType.PARAMETER_DOUBLE_ARRAY: ('Double values are:', 'double_array_value'),
    ParameterType.PARAMETER_STRING_ARRAY: ('String values are:', 'string_array_value'),
}


class GetVerb(VerbExtension):
    """Get parameter."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_target_arguments(parser)
        argument = parser.add_argument('parameter_name', help='Name of the parameter')
        argument.completer = ParameterNameCompleter()
        parser.add_argument('--hide-type', action='store_true', help='Hide the type information')

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the value."""
        with target_node(args) as (node, name):
            response = call_get_parameters(
                node=node, node_name=name, parameter_names=[args.parameter_name]
            )
        if len(response.values) > 1:
            raise RuntimeError(f'{len(response.values)} values came for one parameter')
        if not response.values or response.values[0].type == ParameterType.PARAMETER_NOT_SET:
            if not response.values:
                return 'Parameter not set'
            print('Parameter not set.')
            return None
        value = response.values[0]
        if value.type not in LABELS:
            return f"Unknown parameter type '{value.type}'"
        label, field = LABELS[value.type]
        print(*([] if args.hide_type else [label]), getattr(value, field))
        return None
