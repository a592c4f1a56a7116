# SPDX-License-Identifier: Apache-2.0
"""`ros2 interface list`."""

import argparse

from ros2interface.api import add_kind_arguments, get_interface_names, KINDS
from ros2interface.verb import VerbExtension


class ListVerb(VerbExtension):
    """List all interface types available."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_kind_arguments(parser)

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the names under a title for each kind."""
        for _, _, namespace, title in KINDS:
            if args.namespace in (None, namespace):
                print(f'{title}:')
                for name in get_interface_names(namespace):
                    print(f'    {name}')
