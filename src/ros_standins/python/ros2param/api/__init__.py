# SPDX-License-Identifier: Apache-2.0
"""Parameters of other nodes."""

from pathlib import Path
import sys
from typing import Any, Optional

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue, SetParametersResult
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParameters,
)
from rclpy.parameter import get_parameter_value as guess_parameter_value
from rclpy.parameter import parameter_value_to_python
import yaml

from ros2cli.calls import call_service

TYPE_NAMES = {
    ParameterType.PARAMETER_BOOL: 'boolean',
    ParameterType.PARAMETER_INTEGER: 'integer',
    ParameterType.PARAMETER_DOUBLE: 'double',
    ParameterType.PARAMETER_STRING: 'string',
    ParameterType.PARAMETER_BYTE_ARRAY: 'byte array',
    ParameterType.PARAMETER_BOOL_ARRAY: 'boolean array',
    ParameterType.PARAMETER_INTEGER_ARRAY: 'integer array',
    ParameterType.PARAMETER_DOUBLE_ARRAY: 'double array',
    ParameterType.PARAMETER_STRING_ARRAY: 'string array',
    ParameterType.PARAMETER_NOT_SET: 'not set',
}


def get_parameter_type_string(parameter_type: int) -> str:
    """Return the name of a parameter's type."""
    return TYPE_NAMES[parameter_type]


def get_parameter_value(*, string_value: str) -> ParameterValue:
    """Read a value, of the type that the text looks like."""
    return guess_parameter_value(string_value)


def get_value(*, parameter_value: ParameterValue) -> Any:
    """Return a value as Python's own; sequences as lists, None for one that is not set."""
    value = parameter_value_to_python(parameter_value)
    is_sequence = value is not None and not isinstance(value, (bool, int, float, str))
    return list(value) if is_sequence else value


def call_list_parameters(
    *, node: Any, node_name: str, prefixes: Optional[list[str]] = None
) -> list[str]:
    """Return the names of a node's parameters, sorted.

    Raises:
        RuntimeError: as all the calls here: the node does not answer.
    """
    request = ListParameters.Request(prefixes=prefixes or [])
    response = call_service(node, ListParameters, f'{node_name}/list_parameters', request)
    return sorted(response.result.names)


def call_get_parameters(
    *, node: Any, node_name: str, parameter_names: list[str]
) -> GetParameters.Response:
    """Ask a node for values."""
    request = GetParameters.Request(names=parameter_names)
    return call_service(node, GetParameters, f'{node_name}/get_parameters', request)


def call_set_parameters(
    *, node: Any, node_name: str, parameters: list[Parameter]
) -> SetParameters.Response:
    """Ask a node to change values, each on its own."""
    request = SetParameters.Request(parameters=parameters)
    return call_service(node, SetParameters, f'{node_name}/set_parameters', request)


def call_describe_parameters(
    *, node: Any, node_name: str, parameter_names: Optional[list[str]] = None
) -> DescribeParameters.Response:
    """Ask a node for descriptors."""
    request = DescribeParameters.Request(names=parameter_names or [])
    return call_service(node, DescribeParameters, f'{node_name}/describe_parameters', request)


def load_parameter_file(
    *, node: Any, node_name: str, parameter_file: str, use_wildcard: bool
) -> None:
    """Set the parameters that a file has for a node, and print what came of each.

    Raises:
        RuntimeError: the file has none for this node, or the node does not answer.
    """
    parameters = read_parameter_file(parameter_file, node_name, use_wildcard)
    response = call_set_parameters(node=node, node_name=node_name, parameters=parameters)
    for parameter, result in zip(parameters, response.results):
        print_result(result, f'Set parameter {parameter.name} ', 'successful', 'failed')


def read_parameter_file(path: str, node_name: str, use_wildcard: bool) -> list[Parameter]:
    """Return the parameters that a file has for a node; its own override those for all.

    Raises:
        RuntimeError: there are none, or the file is not laid out as `ros2 param dump` writes.
    """
    by_node = yaml.safe_load(Path(path).read_text()) or {}
    keys = ['/**'] if use_wildcard else []
    keys = [key for key in [*keys, node_name] if key in by_node]
    if not keys:
        raise RuntimeError(
            f'Param file does not contain parameters for {node_name}, '
            f'only for nodes: {list(by_node)}'
        )
    values: dict[str, Any] = {}
    for key in keys:
        section = by_node[key]
        if not isinstance(section, dict) or not isinstance(section.get('ros__parameters'), dict):
            raise RuntimeError(
                f'Invalid structure of parameter file for node {key}, '
                'expected same format as provided by ros2 param dump'
            )
        values.update(_flatten(section['ros__parameters']))
    return [Parameter(name=name, value=_as_parameter(v)) for name, v in values.items()]


def _flatten(values: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    """Turn nested dictionaries into names with dots."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f'{prefix}{name}.'))
        else:
            flat[f'{prefix}{name}'] = value
    return flat


def _as_parameter(value: Any) -> ParameterValue:
    if isinstance(value, str):
        # '5' in quotes is a text, which the guess would not see.
        return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
    return guess_parameter_value(yaml.safe_dump(value, default_flow_style=True))


def print_result(result: SetParametersResult, what: str, success: str, failure: str) -> None:
    """Print what came of a change, with the node's reason; failures on stderr."""
    text = what + (success if result.successful else failure)
    if result.reason:
        text += f': {result.reason}'
    print(text, file=sys.stdout if result.successful else sys.stderr)


class ParameterNameCompleter:
    """Completes the names of a node's parameters."""

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the names."""
        from ros2cli.node.direct import DirectNode

        with DirectNode(parsed_args, discover=False) as node:
            return call_list_parameters(node=node, node_name=parsed_args.node_name)
