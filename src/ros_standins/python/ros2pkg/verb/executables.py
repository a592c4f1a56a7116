# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg executables`."""

import argparse
from pathlib import Path
from typing import Optional

from ros2pkg.api import (
    get_executable_paths,
    get_package_names,
    package_name_completer,
    PackageNotFound,
)
from ros2pkg.verb import VerbExtension


class ExecutablesVerb(VerbExtension):
    """Output a list of package specific executables."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        parser.add_argument(
            '--full-path', action='store_true', help='Show the full path of each executable'
        )
        argument = parser.add_argument('package_name', nargs='?', help='The package name')
        argument.completer = package_name_completer

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print package and executable, or paths, for one package or all."""
        names = get_package_names() if args.package_name is None else [args.package_name]
        for name in names:
            try:
                paths = get_executable_paths(package_name=name)
            except PackageNotFound:
                return f"Package '{name}' not found"
            for path in paths:
                print(path if args.full_path else f'{name} {Path(path).name}')
        return None
