# SPDX-License-Identifier: Apache-2.0
"""`ros2 interface package`."""

import argparse
from typing import Optional

from ros2interface.verb import VerbExtension
from rosidl_runtime_py import get_interface_packages, get_interfaces


class PackageVerb(VerbExtension):
    """Output a list of available interface types within one package."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument(
            'package_name', help="Name of the ROS package (e.g. 'example_interfaces')"
        )
        argument.completer = lambda **_: list(get_interface_packages())

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the names."""
        try:
            names = get_interfaces([args.package_name])
        except LookupError as error:
            return str(error.args[0])
        for name in names.get(args.package_name, []):
            print(f'{args.package_name}/{name}')
        return None
