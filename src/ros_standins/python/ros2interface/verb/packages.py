# SPDX-License-Identifier: Apache-2.0
"""`ros2 interface packages`."""

import argparse

from ros2interface.api import add_kind_arguments, get_interface_names
from ros2interface.verb import VerbExtension


class PackagesVerb(VerbExtension):
    """Output a list of packages that provide interfaces."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_kind_arguments(parser)

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the names."""
        for package in sorted({n.split('/')[0] for n in get_interface_names(args.namespace)}):
            print(package)
