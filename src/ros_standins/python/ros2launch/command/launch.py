# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch`."""

import argparse
import os
from pathlib import Path
import sys
from typing import Any

from ament_index_python import get_package_prefix, PackageNotFoundError

from ros2cli.command import CommandExtension
from ros2launch.api import (
    get_share_file_path_from_package,
    launch_a_launch_file,
    LaunchFileNameCompleter,
    MultipleLaunchFilesError,
    print_a_launch_file,
    print_arguments_of_launch_file,
)
from ros2pkg.api import package_name_completer


class LaunchCommand(CommandExtension):
    """Run a launch file."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the command's arguments."""
        _add_options(parser)
        argument = parser.add_argument(
            'package_name', help='Name of the ROS package which contains the launch file'
        )
        argument.completer = package_name_completer
        argument = parser.add_argument(
            'launch_file_name', nargs='?', help='Name of the launch file'
        )
        argument.completer = LaunchFileNameCompleter()
        parser.add_argument(
            'launch_arguments',
            nargs='*',
            help="Arguments to the launch file; '<name>:=<value>' (for duplicates, last one wins)",
        )

    def main(self, *, parser: argparse.ArgumentParser, args: argparse.Namespace) -> Any:
        """Launch the file, or describe it."""
        path, launch_arguments = _find(args)
        if args.show_all_subprocesses_output:
            os.environ['OVERRIDE_LAUNCH_PROCESS_OUTPUT'] = 'both'
        if args.print:
            return print_a_launch_file(launch_file_path=path)
        if args.show_args:
            return print_arguments_of_launch_file(launch_file_path=path)
        return launch_a_launch_file(
            launch_file_path=path,
            launch_file_arguments=launch_arguments,
            noninteractive=args.noninteractive,
            args=args,
            debug=args.debug,
        )


def _find(args: argparse.Namespace) -> tuple[str, list[str]]:
    """Return the launch file and its arguments: the first word is a package or a path."""
    if _is_path(args):
        if not Path(args.package_name).exists():
            raise RuntimeError('No launch file supplied')
        # With a path, what stands where a file's name would be is an argument already.
        first = [] if args.launch_file_name is None else [args.launch_file_name]
        return args.package_name, [*first, *args.launch_arguments]
    try:
        path = get_share_file_path_from_package(
            package_name=args.package_name, file_name=args.launch_file_name
        )
    except PackageNotFoundError as error:
        raise RuntimeError(f"Package '{args.package_name}' not found: {error}") from None
    except (FileNotFoundError, MultipleLaunchFilesError) as error:
        raise RuntimeError(str(error)) from None
    return path, args.launch_arguments


def _is_path(args: argparse.Namespace) -> bool:
    if args.launch_file_name is None:
        return True
    try:
        get_package_prefix(args.package_name)
    except (PackageNotFoundError, ValueError):
        return Path(args.package_name).exists()
    return False


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '-n',
        '--noninteractive',
        # Without a terminal, ctrl-c reaches the launch alone: it has to hand it on.
        default=not sys.stdin.isatty(),
        action='store_true',
        help='Run the launch system non-interactively, with no terminal associated',
    )
    parser.add_argument(
        '-d',
        '--debug',
        action='store_true',
        help='Put the launch system in debug mode, provides more verbose output.',
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '-p',
        '--print',
        '--print-description',
        action='store_true',
        help='Print the launch description to the console without launching it.',
    )
    group.add_argument(
        '-s',
        '--show-args',
        '--show-arguments',
        action='store_true',
        help='Show arguments that may be given to the launch file.',
    )
    parser.add_argument(
        '-a',
        '--show-all-subprocesses-output',
        action='store_true',
        help="Show all launched subprocesses' output by overriding their output configuration "
        'using the OVERRIDE_LAUNCH_PROCESS_OUTPUT envvar.',
    )
    parser.add_argument(
        '--launch-prefix',
        help='Prefix command, which should go before all executables, quoted where it has '
        "spaces (e.g. --launch-prefix 'xterm -e gdb -ex run --args').",
    )
    parser.add_argument(
        '--launch-prefix-filter',
        help='Regex pattern for filtering which executables the --launch-prefix is applied to '
        'by matching the executable name.',
    )
