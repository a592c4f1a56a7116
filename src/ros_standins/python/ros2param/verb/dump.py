# SPDX-License-Identifier: Apache-2.0
"""`ros2 param dump`."""

import argparse
from typing import Any

import yaml

from ros2param.api import call_get_parameters, call_list_parameters, get_value
from ros2param.verb import add_target_arguments, target_node, VerbExtension

SEPARATOR = '.'


class DumpVerb(VerbExtension):
    """Show all of the parameters of a node in a YAML file format."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_target_arguments(parser)

    def main(self, *, args: argparse.Namespace) -> None:
        """Print what `ros2 param load` reads."""
        with target_node(args) as (node, name):
            names = call_list_parameters(node=node, node_name=name)
            response = call_get_parameters(node=node, node_name=name, parameter_names=names)
        parameters: dict[str, Any] = {}
        for parameter, value in zip(names, response.values):
            insert(parameters, parameter, get_value(parameter_value=value))
        print(yaml.dump({name: {'ros__parameters': parameters}}, default_flow_style=False))


def insert(parameters: dict[str, Any], name: str, value: Any) -> None:
    """Put a value into nested dictionaries: 'a.b' is 'b' in 'a'."""
    *path, last = name.split(SEPARATOR)
    for step in path:
        parameters = parameters.setdefault(step, {})
    parameters[last] = value
