# SPDX-License-Identifier: Apache-2.0
"""`ros2 run`."""

import argparse
import shlex
from typing import Union

from ros2cli.command import CommandExtension
from ros2pkg.api import package_name_completer
from ros2run.api import (
    ExecutableNameCompleter,
    get_executable_path,
    MultipleExecutables,
    PackageNotFound,
    run_executable,
)


class RunCommand(CommandExtension):
    """Run a package specific executable."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the command's arguments."""
        parser.add_argument(
            '--prefix',
            help='Prefix command, which should go before the executable, quoted where it has '
            "spaces (e.g. --prefix 'gdb -ex run --args')",
        )
        argument = parser.add_argument('package_name', help='Name of the ROS package')
        argument.completer = package_name_completer
        argument = parser.add_argument('executable_name', help='Name of the executable')
        argument.completer = ExecutableNameCompleter(package_name_key='package_name')
        parser.add_argument(
            'argv',
            nargs=argparse.REMAINDER,
            help='Pass arbitrary arguments to the executable',
        )

    def main(
        self, *, parser: argparse.ArgumentParser, args: argparse.Namespace
    ) -> Union[int, str]:
        """Run the executable and return its exit code."""
        try:
            path = get_executable_path(
                package_name=args.package_name, executable_name=args.executable_name
            )
        except PackageNotFound:
            return f"Package '{args.package_name}' not found"
        except MultipleExecutables as error:
            return 'Multiple executables found:' + ''.join(f'\n- {path}' for path in error.paths)
        if path is None:
            return 'No executable found'
        prefix = shlex.split(args.prefix) if args.prefix is not None else None
        return run_executable(path=path, argv=args.argv, prefix=prefix)
