# SPDX-License-Identifier: Apache-2.0
"""`ros2 interface proto`."""

import argparse
from typing import Optional

from ros2interface.api import type_completer
from ros2interface.verb import VerbExtension
from rosidl_runtime_py import message_to_yaml
from rosidl_runtime_py.utilities import get_interface, is_action, is_message, is_service


class ProtoVerb(VerbExtension):
    """Output an interface prototype."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument(
            'type', help="Show an interface definition (e.g. 'example_interfaces/msg/String')"
        )
        argument.completer = type_completer
        parser.add_argument(
            '--no-quotes', action='store_true', help='if true output has no outer quotes'
        )

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the defaults of what a user would fill in."""
        try:
            interface = get_interface(args.type)
        except (ValueError, AttributeError, ModuleNotFoundError) as error:
            return f"Invalid interface '{args.type}': {error}"
        if is_service(interface):
            interface = interface.Request
        elif is_action(interface):
            interface = interface.Goal
        elif not is_message(interface):
            return f"'{args.type}' is no message, service or action"
        text = message_to_yaml(interface())
        print(text if args.no_quotes else f'"{text}"')
        return None
