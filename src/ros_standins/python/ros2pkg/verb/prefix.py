# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg prefix`."""

import argparse
from pathlib import Path
from typing import Optional

from ros2pkg.api import get_prefix_path, package_name_completer
from ros2pkg.verb import VerbExtension


class PrefixVerb(VerbExtension):
    """Output the prefix path of a package."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument('package_name', help='The package name')
        argument.completer = package_name_completer
        parser.add_argument(
            '--share',
            action='store_true',
            help='Output the share directory of the package instead of the prefix path',
        )

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the path."""
        prefix = get_prefix_path(args.package_name)
        if prefix is None:
            return 'Package not found'
        print(Path(prefix, 'share', args.package_name) if args.share else prefix)
        return None
